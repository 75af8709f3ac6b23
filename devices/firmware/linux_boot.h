// Loads a kernel the way a boot loader would and describes the state in which the first CPU starts: Linux
// bzImage by its 64-bit boot protocol (Documentation/x86/boot.rst, protocol 2.12 and later), and ELF files
// that carry a PVH entry note (Xen's PVH boot ABI, "x86/HVM direct boot ABI"). Called once, before the
// machine runs, on the thread that builds it. Deterministic: what is written depends on the arguments alone.
// The files are untrusted: a malformed one is an error that says what is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/firmware/boot_state.h"
#include "engine/base/result.h"
#include "engine/port/io.h"

namespace hindsight::devices::firmware {

struct LinuxImages {
  std::span<const std::byte> kernel;
  std::span<const std::byte> initrd;  ///< may be empty
  std::string_view command_line;
};

/// Chooses the protocol by the kernel's format. `rsdp` is where the ACPI tables start.
[[nodiscard]] Result<BootState> load_linux(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                                           engine::port::GuestMemory& memory);

[[nodiscard]] Result<BootState> load_bzimage(const LinuxImages& images, std::uint64_t ram_size,
                                             GuestPhys rsdp, engine::port::GuestMemory& memory);
[[nodiscard]] Result<BootState> load_pvh(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                                         engine::port::GuestMemory& memory);

}  // namespace hindsight::devices::firmware
