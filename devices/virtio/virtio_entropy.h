// The virtio entropy device (virtio 1.2, 5.4). Owned by the board; the run loop's thread only. Its bytes are
// sampled through HostPort, hence recorded.
#pragma once

#include <string_view>

#include "devices/virtio/virtio_pci.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

class VirtioEntropy final : public VirtioModel,
                            public engine::port::StatefulAs<traces::schema::VirtioEntropyState> {
 public:
  /// The most that one request gets; a device may return less than was asked for (5.4.6).
  static constexpr std::size_t kMaxRequest = 4096;

  VirtioEntropy(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
                unsigned slot = kEntropySlot);

  [[nodiscard]] VirtioPci& transport() { return transport_; }

  [[nodiscard]] std::uint64_t device_features() const override { return 0; }
  [[nodiscard]] std::span<const std::byte> device_config() const override { return {}; }
  void process(unsigned queue) override;
  void device_reset() override {}

  [[nodiscard]] std::string_view state_name() const override { return "virtio_entropy"; }
  void save(traces::schema::VirtioEntropyState::Builder out) const override;
  void load(traces::schema::VirtioEntropyState::Reader in) override;

 private:
  engine::port::HostPort& host_;
  VirtioPci transport_;
};

}  // namespace hindsight::devices::virtio
