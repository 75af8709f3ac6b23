// The PC's physical memory: which addresses are RAM, and what the firmware tells the system about them.
// RAM fills the addresses from 0 to 3 GiB and goes on at 4 GiB; between them lies the PCI window and the
// platform's registers. Pure functions; any thread; deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::devices::firmware {

constexpr std::uint64_t kLowRamLimit = 0xC0000000;
constexpr std::uint64_t kHighRamBase = std::uint64_t{1} << 32;
constexpr std::uint64_t kPciWindowBase = kLowRamLimit;
constexpr std::uint64_t kPciWindowEnd = 0xFEC00000;
/// Conventional memory ends here; up to 1 MiB everything is reserved.
constexpr std::uint64_t kConventionalEnd = 0x9FC00;
constexpr std::uint64_t kReservedEnd = 0x100000;
/// Where the firmware's tables lie, in RAM that is reported as reserved.
constexpr std::uint64_t kTablesBase = 0xE0000;
constexpr std::uint64_t kTablesEnd = 0x100000;

/// Stored in boot parameters: values are the ones of INT 15h, E820h.
enum class E820Type : std::uint32_t { usable = 1, reserved = 2, acpi = 3, nvs = 4 };

struct E820Entry {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  E820Type type = E820Type::reserved;
};

struct RamLayout {
  std::uint64_t low = 0;   ///< bytes of RAM from address 0
  std::uint64_t high = 0;  ///< bytes of RAM from 4 GiB
};

[[nodiscard]] constexpr RamLayout ram_layout(std::uint64_t ram_size) {
  const std::uint64_t low = ram_size < kLowRamLimit ? ram_size : kLowRamLimit;
  return {.low = low, .high = ram_size - low};
}

/// The window for 64-bit BARs, above all RAM.
struct Window64 {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
};

[[nodiscard]] constexpr Window64 pci_window64(std::uint64_t ram_size) {
  constexpr std::uint64_t kUnit = std::uint64_t{1} << 32;
  const std::uint64_t top = kHighRamBase + ram_layout(ram_size).high;
  return {.base = (top + kUnit - 1) / kUnit * kUnit + kUnit, .size = kUnit};
}

/// Ascending, not overlapping. `ram_size` is at least 1 MiB.
[[nodiscard]] std::vector<E820Entry> e820_map(std::uint64_t ram_size);

}  // namespace hindsight::devices::firmware
