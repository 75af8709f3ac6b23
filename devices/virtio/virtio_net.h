// The virtio network device (virtio 1.2, 5.1): one queue pair, no offloads. Owned by the board; the run
// loop's thread only. Deterministic: frames leave inside the notification and arrive as recorded inputs;
// those that find no buffer wait in a bounded queue that is part of the state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "devices/net/ethernet.h"
#include "devices/virtio/virtio_pci.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

class VirtioNet final : public VirtioModel,
                        public engine::port::InputHandler,
                        public engine::port::StatefulAs<traces::schema::VirtioNetState> {
 public:
  static constexpr std::size_t kMaxWaiting = 256;

  VirtioNet(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
            const net::MacAddress& mac = net::kDefaultMac, unsigned slot = kNetSlot);

  [[nodiscard]] VirtioPci& transport() { return transport_; }

  [[nodiscard]] std::uint64_t device_features() const override;
  [[nodiscard]] std::span<const std::byte> device_config() const override { return config_; }
  void process(unsigned queue) override;
  void device_reset() override { waiting_.clear(); }

  /// One frame from the host. Dropped if the device is not running, the frame is out of bounds, or
  /// kMaxWaiting frames wait already.
  void input(std::span<const std::byte> payload) override;

  [[nodiscard]] std::string_view state_name() const override { return "virtio_net"; }
  void save(traces::schema::VirtioNetState::Builder out) const override;
  void load(traces::schema::VirtioNetState::Reader in) override;

 private:
  void receive();
  void transmit();

  engine::port::HostPort& host_;
  std::array<std::byte, 8> config_;
  VirtioPci transport_;
  std::deque<std::vector<std::byte>> waiting_;
};

}  // namespace hindsight::devices::virtio
