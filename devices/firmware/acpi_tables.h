// The ACPI tables of the PC board: ACPI specification 6.4, chapter 5. They describe the machine completely,
// so that a kernel needs no other firmware: no SMI, ACPI mode always on. A pure function of the
// configuration; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/port/io.h"

namespace hindsight::devices::firmware {

struct AcpiConfig {
  std::uint64_t ram_size = 0;
  unsigned cpus = 1;
};

/// PCI interrupt pins are wired to fixed lines: pin 0..3 (INTA..INTD) of a slot drives this one (16..23).
[[nodiscard]] constexpr std::uint32_t pci_gsi(unsigned slot, unsigned pin) { return 16 + ((slot + pin) & 7); }
/// The same wire on the 8259 pair, for systems that do not use the I/O APIC: 10 or 11.
[[nodiscard]] constexpr std::uint32_t pic_input_of_gsi(std::uint32_t gsi) { return 10 + (gsi & 1); }

/// The bytes from `base` on; the RSDP is the first of them.
[[nodiscard]] std::vector<std::uint8_t> build_acpi_tables(const AcpiConfig& config, GuestPhys base);

/// Writes them at kTablesBase and returns the RSDP's address.
[[nodiscard]] Result<GuestPhys> install_acpi_tables(const AcpiConfig& config,
                                                    engine::port::GuestMemory& memory);

}  // namespace hindsight::devices::firmware
