// The host bridge at 00:00.0 and configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2): the address port
// at 0xCF8 and the data window at 0xCFC. Owned by the board; the run loop's thread only; deterministic.
#pragma once

#include <cstdint>
#include <string_view>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::pci {

class PciHost final : public PciDevice,
                      public engine::port::IoHandler,
                      public engine::port::StatefulAs<traces::schema::PciHostState> {
 public:
  static constexpr std::uint16_t kPortBase = 0xCF8;
  static constexpr std::uint16_t kPortCount = 8;

  /// Attaches itself to slot 0. `extra`, if any, receives the accesses to ports 0xCF8..0xCFB that are not 4
  /// bytes at 0xCF8 (0xCF9 is the reset control register of some chipsets), with offsets from 0xCF8.
  explicit PciHost(PciBus& bus, engine::port::IoHandler* extra = nullptr);
  ~PciHost() override;
  void map(engine::port::IoBus& io) { io.map_ports("pci_config", kPortBase, kPortCount, *this); }

  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  std::uint32_t config_read(unsigned offset, unsigned size) override {
    return function_.config_read(offset, size);
  }
  void config_write(unsigned offset, unsigned size, std::uint32_t value) override {
    function_.config_write(offset, size, value);
  }
  [[nodiscard]] std::uint32_t config_peek(unsigned offset, unsigned size) const override {
    return function_.config_read(offset, size);
  }
  [[nodiscard]] std::span<const MemoryBar> memory_bars() const override { return function_.memory_bars(); }
  void reset() override;

  [[nodiscard]] std::string_view state_name() const override { return "pci_host"; }
  void save(traces::schema::PciHostState::Builder out) const override;
  void load(traces::schema::PciHostState::Reader in) override;

 private:
  [[nodiscard]] bool selects(std::uint64_t offset, unsigned size) const;

  PciBus& bus_;
  engine::port::IoHandler* extra_;
  PciFunction function_;
  std::uint32_t address_ = 0;
};

}  // namespace hindsight::devices::pci
