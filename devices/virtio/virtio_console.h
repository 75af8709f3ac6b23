// The virtio console (virtio 1.2, 5.3): port 0 only, no control queues. Owned by the board; the run loop's
// thread only. Deterministic: bytes leave inside the notification and arrive as recorded inputs; those that
// find no buffer wait in a bounded buffer that is part of the state.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>

#include "devices/virtio/virtio_pci.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

class VirtioConsole final : public VirtioModel,
                            public engine::port::InputHandler,
                            public engine::port::StatefulAs<traces::schema::VirtioConsoleState> {
 public:
  static constexpr std::size_t kMaxWaiting = 64 * 1024;

  VirtioConsole(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
                unsigned slot = kConsoleSlot);

  [[nodiscard]] VirtioPci& transport() { return transport_; }

  [[nodiscard]] std::uint64_t device_features() const override { return 0; }
  [[nodiscard]] std::span<const std::byte> device_config() const override { return {}; }
  void process(unsigned queue) override;
  void device_reset() override { waiting_.clear(); }

  /// Bytes from the host; what exceeds kMaxWaiting bytes is lost.
  void input(std::span<const std::byte> payload) override;

  [[nodiscard]] std::string_view state_name() const override { return "virtio_console"; }
  void save(traces::schema::VirtioConsoleState::Builder out) const override;
  void load(traces::schema::VirtioConsoleState::Reader in) override;

 private:
  void receive();
  void transmit();

  engine::port::HostPort& host_;
  VirtioPci transport_;
  std::deque<std::byte> waiting_;
};

}  // namespace hindsight::devices::virtio
