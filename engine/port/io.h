// How guest accesses reach devices. The run loop's thread only. A device never blocks and never reads a host
// clock, file or socket: those cross NondetSource.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/types.h"

namespace hindsight::engine::port {

/// One range of device registers, as the bus sees it. Sizes are 1, 2, 4 or 8 bytes (ports: 1, 2 or 4);
/// offsets are from the start of the mapped range and may be unaligned: the device decides what that means.
/// Values are zero-extended. A device must accept any access without crashing: the guest is untrusted.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  virtual std::uint64_t read(std::uint64_t offset, unsigned size) = 0;
  virtual void write(std::uint64_t offset, unsigned size, std::uint64_t value) = 0;
  /// What read would return, without any side effect: for the debugger.
  [[nodiscard]] virtual std::uint64_t peek(std::uint64_t offset, unsigned size) const = 0;
};

/// Where devices are mapped. A range that overlaps one already mapped
/// is not mapped, and logged: guests may program base registers as they like. Reads of unmapped addresses
/// give all ones; writes are dropped. Handlers are borrowed and must outlive the bus or be unmapped.
class IoBus {
 public:
  virtual ~IoBus() = default;
  virtual void map_mmio(std::string_view name, GuestPhys base, std::uint64_t size, IoHandler& handler) = 0;
  virtual void unmap_mmio(GuestPhys base) = 0;
  virtual void map_ports(std::string_view name, std::uint16_t base, std::uint16_t count,
                         IoHandler& handler) = 0;
  virtual void unmap_ports(std::uint16_t base) = 0;
};

/// Guest RAM as bus masters and firmware loaders see it. Returns false, touching nothing, if any byte of the
/// range is not RAM. Writes are tracked like the CPU's (translated code, page tables, dirty pages).
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;
  [[nodiscard]] virtual bool read(GuestPhys address, void* out, std::uint64_t size) const = 0;
  [[nodiscard]] virtual bool write(GuestPhys address, const void* data, std::uint64_t size) = 0;
};

}  // namespace hindsight::engine::port
