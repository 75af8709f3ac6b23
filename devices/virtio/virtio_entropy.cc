#include "devices/virtio/virtio_entropy.h"

#include <algorithm>

namespace hindsight::devices::virtio {
namespace {

constexpr std::uint16_t kQueueSizes[] = {64};

}  // namespace

VirtioEntropy::VirtioEntropy(pci::PciBus& bus, engine::port::GuestMemory& memory,
                             engine::port::HostPort& host, unsigned slot)
    : host_(host),
      transport_(bus, slot, "virtio_entropy", DeviceType::entropy, 0x108000, kQueueSizes, memory, *this) {}

void VirtioEntropy::process(unsigned queue) {
  Chain chain;
  for (unsigned left = transport_.waiting(queue); left > 0 && transport_.take(queue, chain); --left) {
    SegmentStream out(transport_.memory(), chain.writable);
    std::vector<std::byte> bytes(std::min<std::uint64_t>(kMaxRequest, out.remaining()));
    if (!bytes.empty()) host_.sample(engine::port::Channel::entropy, 0, bytes);
    if (!out.write(bytes)) return transport_.fail("entropy buffer is not in memory");
    transport_.give(queue, chain, static_cast<std::uint32_t>(bytes.size()));
  }
  transport_.finish(queue);
}

void VirtioEntropy::save(traces::schema::VirtioEntropyState::Builder out) const {
  transport_.save(out.initTransport());
}

void VirtioEntropy::load(traces::schema::VirtioEntropyState::Reader in) {
  transport_.load(in.getTransport());
}

}  // namespace hindsight::devices::virtio
