// Bus 0 of a PCI hierarchy: 32 slots of one function each, the window in which BARs are decoded, and the
// wires of the four INTx pins. Owned by the board, built before the devices; the run loop's thread only. What
// is mapped and what level a line has are functions of the devices' state alone, never of the order of
// earlier accesses, so that a restored snapshot and a straight run agree.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "devices/pci/pci_device.h"
#include "engine/base/types.h"
#include "engine/port/interrupt.h"
#include "engine/port/io.h"

namespace hindsight::devices::pci {

constexpr unsigned kSlots = 32;

/// The addresses that the bridge forwards to the bus: BARs outside are not decoded. Power-on addresses are
/// given out from `first` up.
struct MemoryWindow {
  GuestPhys base{0xC0000000};
  GuestPhys first{0xE0000000};
  GuestPhys end{0xFEC00000};
};

/// Interrupts: pin 0..3 (INTA..INTD) of a slot drives line first + ((slot + pin) & (count - 1)).
struct IntxRouting {
  std::uint32_t first_line = 16;
  std::uint32_t line_count = 8;
};

class PciBus final {
 public:
  PciBus(engine::port::IoBus& io, engine::port::IrqSink& irq, engine::port::MsiSink& msi,
         MemoryWindow window = {}, IntxRouting routing = {});
  ~PciBus();
  PciBus(const PciBus&) = delete;
  PciBus& operator=(const PciBus&) = delete;

  /// Puts a device into a free slot (CHECK) and maps its BARs. Devices outlive the bus's last access.
  void attach(unsigned slot, PciDevice& device);
  /// Takes it out again, unmapping its BARs and dropping its interrupt lines.
  void detach(unsigned slot);

  /// The next free, naturally aligned range of the window: what firmware would assign. `size` is a power of
  /// two. Called while the board is built, in a fixed order; CHECK if the window is full.
  GuestPhys assign(std::uint64_t size);

  /// Configuration space by slot; nothing there reads as all ones (PCI Local Bus 3.0, 6.1).
  std::uint32_t config_read(unsigned slot, unsigned offset, unsigned size);
  void config_write(unsigned slot, unsigned offset, unsigned size, std::uint32_t value);
  [[nodiscard]] std::uint32_t config_peek(unsigned slot, unsigned offset, unsigned size) const;

  /// Brings the mapped ranges in line with the BARs: called by devices after any change. Where BARs overlap,
  /// the lowest slot and BAR wins and the others are not decoded.
  void update_mappings();
  /// Drives a slot's pin; lines that several pins share are ORed.
  void set_intx(unsigned slot, unsigned pin, bool level);
  void send_msi(GuestPhys address, std::uint32_t data) { msi_.send_msi(address, data); }
  [[nodiscard]] std::uint32_t line_of(unsigned slot, unsigned pin) const;

  /// Resets every device, in slot order.
  void reset();

 private:
  engine::port::IoBus& io_;
  engine::port::IrqSink& irq_;
  engine::port::MsiSink& msi_;
  MemoryWindow window_;
  IntxRouting routing_;
  GuestPhys next_free_;
  std::array<PciDevice*, kSlots> slots_{};
  std::array<std::uint8_t, kSlots> pins_{};  // asserted pins of each slot
  std::vector<MemoryBar> mapped_;            // ascending slot and BAR
};

}  // namespace hindsight::devices::pci
