// What the PCI bus asks of a device: one function (number 0) with configuration space and memory BARs.
// Owned by the board; the run loop's thread only. Everything is a function of the device's state and of the
// guest's accesses.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/types.h"
#include "engine/port/io.h"

namespace hindsight::devices::pci {

/// A memory BAR as it is decoded at present.
struct MemoryBar {
  std::string_view name;
  GuestPhys base;
  std::uint64_t size;
  engine::port::IoHandler* handler;
  bool decoded;  ///< the command register's Memory Space bit
};

class PciDevice {
 public:
  virtual ~PciDevice() = default;
  /// Configuration accesses: offset 0..255, size 1, 2 or 4, never crossing a 4-byte register.
  virtual std::uint32_t config_read(unsigned offset, unsigned size) = 0;
  virtual void config_write(unsigned offset, unsigned size, std::uint32_t value) = 0;
  [[nodiscard]] virtual std::uint32_t config_peek(unsigned offset, unsigned size) const = 0;
  [[nodiscard]] virtual std::span<const MemoryBar> memory_bars() const = 0;
  /// Power-on state; BARs return to the addresses that firmware would have assigned.
  virtual void reset() = 0;
};

}  // namespace hindsight::devices::pci
