#include "devices/virtio/virtio_net.h"

#include <algorithm>

namespace hindsight::devices::virtio {
namespace {

constexpr unsigned kFeatureMac = 5;
constexpr unsigned kFeatureStatus = 16;
constexpr std::byte kLinkUp{1};

constexpr unsigned kReceiveQueue = 0;
constexpr unsigned kTransmitQueue = 1;
constexpr std::uint16_t kQueueSizes[] = {256, 256};

// struct virtio_net_hdr with num_buffers, which VERSION_1 always includes (5.1.6.1).
constexpr std::size_t kNetHeader = 12;
constexpr std::size_t kNumBuffers = 10;

// struct virtio_net_config (5.1.4): mac, status.
std::array<std::byte, 8> make_config(const net::MacAddress& mac) {
  std::array<std::byte, 8> config{};
  for (std::size_t i = 0; i < mac.size(); ++i) config[i] = std::byte{mac[i]};
  config[6] = kLinkUp;
  return config;
}

bool acceptable(std::size_t size) { return size >= net::kHeaderSize && size <= net::kMaxFrame; }

}  // namespace

VirtioNet::VirtioNet(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
                     const net::MacAddress& mac, unsigned slot)
    : host_(host),
      config_(make_config(mac)),
      transport_(bus, slot, "virtio_net", DeviceType::network, 0x020000, kQueueSizes, memory, *this) {}

std::uint64_t VirtioNet::device_features() const {
  return feature_bit(kFeatureMac) | feature_bit(kFeatureStatus);
}

void VirtioNet::process(unsigned queue) {
  if (queue == kReceiveQueue) receive();
  if (queue == kTransmitQueue) transmit();
}

void VirtioNet::input(std::span<const std::byte> payload) {
  if (!transport_.running() || !acceptable(payload.size()) || waiting_.size() >= kMaxWaiting) return;
  waiting_.emplace_back(payload.begin(), payload.end());
  receive();
}

// Moves waiting frames into receive buffers.
void VirtioNet::receive() {
  Chain chain;
  while (!waiting_.empty() && transport_.take(kReceiveQueue, chain)) {
    std::vector<std::byte> packet(kNetHeader);
    packet[kNumBuffers] = std::byte{1};
    packet.insert(packet.end(), waiting_.front().begin(), waiting_.front().end());
    waiting_.pop_front();
    SegmentStream out(transport_.memory(), chain.writable);
    // A buffer that is too small takes nothing and the frame is lost, as the driver must have expected
    // (5.1.6.3.1).
    const bool fits = out.remaining() >= packet.size();
    if (fits && !out.write(packet)) return transport_.fail("receive buffer is not in memory");
    transport_.give(kReceiveQueue, chain, fits ? static_cast<std::uint32_t>(packet.size()) : 0);
  }
  transport_.finish(kReceiveQueue);
}

void VirtioNet::transmit() {
  Chain chain;
  for (unsigned left = transport_.waiting(kTransmitQueue); left > 0 && transport_.take(kTransmitQueue, chain);
       --left) {
    SegmentStream in(transport_.memory(), chain.readable);
    std::array<std::byte, kNetHeader> header{};
    if (!in.read(header)) return transport_.fail("malformed transmit request");
    // No offload is offered, so the header says nothing. What is no Ethernet frame is dropped.
    if (acceptable(in.remaining())) {
      std::vector<std::byte> frame(in.remaining());
      if (!in.read(frame)) return transport_.fail("transmit buffer is not in memory");
      host_.output(engine::port::Channel::net0, frame);
    }
    transport_.give(kTransmitQueue, chain, 0);
  }
  transport_.finish(kTransmitQueue);
}

void VirtioNet::save(traces::schema::VirtioNetState::Builder out) const {
  transport_.save(out.initTransport());
  auto received = out.initReceived(static_cast<unsigned>(waiting_.size()));
  for (unsigned i = 0; i < waiting_.size(); ++i)
    received.set(i, {reinterpret_cast<const kj::byte*>(waiting_[i].data()), waiting_[i].size()});
}

void VirtioNet::load(traces::schema::VirtioNetState::Reader in) {
  waiting_.clear();
  for (const auto frame : in.getReceived()) {
    if (waiting_.size() >= kMaxWaiting || !acceptable(frame.size())) continue;
    const auto* bytes = reinterpret_cast<const std::byte*>(frame.begin());
    waiting_.emplace_back(bytes, bytes + frame.size());
  }
  transport_.load(in.getTransport());
}

}  // namespace hindsight::devices::virtio
