// The ordinary part of a PCI function: a type 0 header, memory BARs, a capability list, INTA# and MSI-X
// (PCI Local Bus 3.0, chapters 6 and 6.8.2). Devices hold one and forward their configuration accesses to it.
// Owned by the device; the run loop's thread only; deterministic.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "devices/pci/pci_bus.h"
#include "engine/port/io.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::pci {

struct Identity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
  std::uint32_t class_code = 0;  ///< 24 bits: base class, subclass, interface
  std::uint8_t revision = 0;
  bool intx = false;  ///< has INTA#
};

constexpr std::uint16_t kCommandMemory = 1u << 1;
constexpr std::uint16_t kCommandMaster = 1u << 2;
constexpr std::uint16_t kCommandIntxDisable = 1u << 10;

class PciFunction final {
 public:
  PciFunction(PciBus& bus, unsigned slot, const Identity& identity);

  /// Building, before the device is attached to the bus. A BAR of a power-of-two size (at least 4 KiB),
  /// 32-bit, not prefetchable; the address is assigned at once.
  void add_bar(unsigned index, std::string_view name, std::uint64_t size, engine::port::IoHandler& handler);
  /// Appends a capability (`body` starts after the id and next bytes; bits set in `writable` may be written)
  /// and returns its offset in configuration space.
  unsigned add_capability(std::uint8_t id, std::span<const std::uint8_t> body,
                          std::span<const std::uint8_t> writable = {});
  /// Adds MSI-X with its table and pending bits in BAR `bar`; the device forwards accesses to those ranges.
  void add_msix(unsigned vectors, unsigned bar, std::uint32_t table_offset, std::uint32_t pending_offset);

  [[nodiscard]] std::uint32_t config_read(unsigned offset, unsigned size) const;
  void config_write(unsigned offset, unsigned size, std::uint32_t value);
  [[nodiscard]] std::span<const MemoryBar> memory_bars() const { return bars_; }
  void reset();

  /// Whether the function may read and write memory and send MSIs (command register, Bus Master).
  [[nodiscard]] bool bus_master() const { return (command() & kCommandMaster) != 0; }
  [[nodiscard]] bool msix_enabled() const;
  [[nodiscard]] unsigned msix_vectors() const { return static_cast<unsigned>(msix_.size()); }

  /// What the device asks of INTA#. The pin follows unless MSI-X is on or INTx is disabled.
  void set_interrupt(bool level);
  /// Sends vector `vector`, or marks it pending while masked. Ignored when MSI-X is off.
  void send_msix(unsigned vector);

  /// Accesses to the MSI-X table and pending bits; `offset` is from their start. Reads have no side effect.
  [[nodiscard]] std::uint64_t msix_table_read(std::uint64_t offset, unsigned size) const;
  void msix_table_write(std::uint64_t offset, unsigned size, std::uint64_t value);
  [[nodiscard]] std::uint64_t msix_pending_read(std::uint64_t offset, unsigned size) const;

  /// The state. What the device asks of INTA# follows from its own state and is given to load, so that the
  /// line goes straight to its level.
  void save(traces::schema::PciFunctionState::Builder out) const;
  void load(traces::schema::PciFunctionState::Reader in, bool interrupt);

 private:
  struct MsixVector {
    std::array<std::uint32_t, 4> words{0, 0, 0, 1};  // address low, address high, data, vector control
    bool pending = false;
  };

  [[nodiscard]] std::uint16_t command() const;
  void set_register(unsigned offset, std::uint32_t value, std::uint32_t writable);
  void refresh();
  void deliver_pending();
  [[nodiscard]] bool masked(const MsixVector& vector) const;

  PciBus& bus_;
  unsigned slot_;
  bool has_intx_;
  std::array<std::uint8_t, 256> initial_{};
  std::array<std::uint8_t, 256> config_{};
  std::array<std::uint8_t, 256> writable_{};
  unsigned next_capability_ = 0x40;
  unsigned last_link_ = 0x34;  // where the next capability's offset goes
  unsigned msix_capability_ = 0;
  std::vector<MemoryBar> bars_;
  std::vector<unsigned> bar_offsets_;
  std::vector<MsixVector> msix_;
  bool interrupt_ = false;
};

}  // namespace hindsight::devices::pci
