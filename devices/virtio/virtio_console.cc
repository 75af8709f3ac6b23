#include "devices/virtio/virtio_console.h"

#include <algorithm>

namespace hindsight::devices::virtio {
namespace {

constexpr unsigned kReceiveQueue = 0;
constexpr unsigned kTransmitQueue = 1;
constexpr std::uint16_t kQueueSizes[] = {64, 64};
constexpr std::uint64_t kStaging = 4096;
// The most that is taken from one chain: far more than a driver sends, and a bound for the others.
constexpr std::uint64_t kMaxRequest = 1024 * 1024;

}  // namespace

VirtioConsole::VirtioConsole(pci::PciBus& bus, engine::port::GuestMemory& memory,
                             engine::port::HostPort& host, unsigned slot)
    : host_(host),
      transport_(bus, slot, "virtio_console", DeviceType::console, 0x078000, kQueueSizes, memory, *this) {}

void VirtioConsole::process(unsigned queue) {
  if (queue == kReceiveQueue) receive();
  if (queue == kTransmitQueue) transmit();
}

void VirtioConsole::input(std::span<const std::byte> payload) {
  const std::size_t taken = std::min(payload.size(), kMaxWaiting - waiting_.size());
  waiting_.insert(waiting_.end(), payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(taken));
  receive();
}

void VirtioConsole::receive() {
  Chain chain;
  for (unsigned left = waiting_.empty() ? 0 : transport_.waiting(kReceiveQueue);
       left > 0 && !waiting_.empty() && transport_.take(kReceiveQueue, chain); --left) {
    SegmentStream out(transport_.memory(), chain.writable);
    const auto count = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(waiting_.size(), out.remaining()));
    const std::vector<std::byte> bytes(waiting_.begin(), waiting_.begin() + count);
    if (!out.write(bytes)) return transport_.fail("receive buffer is not in memory");
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    transport_.give(kReceiveQueue, chain, static_cast<std::uint32_t>(bytes.size()));
  }
  transport_.finish(kReceiveQueue);
}

void VirtioConsole::transmit() {
  Chain chain;
  for (unsigned left = transport_.waiting(kTransmitQueue); left > 0 && transport_.take(kTransmitQueue, chain);
       --left) {
    SegmentStream in(transport_.memory(), chain.readable);
    if (in.remaining() > kMaxRequest) return transport_.fail("console request is too long");
    while (in.remaining() != 0) {
      std::vector<std::byte> bytes(std::min(kStaging, in.remaining()));
      if (!in.read(bytes)) return transport_.fail("transmit buffer is not in memory");
      host_.output(engine::port::Channel::virtio_console, bytes);
    }
    transport_.give(kTransmitQueue, chain, 0);
  }
  transport_.finish(kTransmitQueue);
}

void VirtioConsole::save(traces::schema::VirtioConsoleState::Builder out) const {
  transport_.save(out.initTransport());
  auto received = out.initReceived(static_cast<unsigned>(waiting_.size()));
  for (unsigned i = 0; i < waiting_.size(); ++i) received[i] = std::to_integer<kj::byte>(waiting_[i]);
}

void VirtioConsole::load(traces::schema::VirtioConsoleState::Reader in) {
  const auto received = in.getReceived();
  const auto* bytes = reinterpret_cast<const std::byte*>(received.begin());
  waiting_.assign(bytes, bytes + std::min(received.size(), kMaxWaiting));
  transport_.load(in.getTransport());
}

}  // namespace hindsight::devices::virtio
