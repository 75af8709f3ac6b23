// The smallest kernel files that the loaders accept, for tests and as the start of what the fuzzer alters.
// Deterministic; one test thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hindsight::tests::support {

/// A bzImage whose header the loader accepts, with `payload` bytes after 1 KiB of setup code.
std::vector<std::byte> bzimage(std::size_t payload = 4096);

/// A 64-bit ELF file with one loaded segment at 16 MiB and one PVH note that names `entry`.
std::vector<std::byte> pvh_elf(std::uint32_t entry);

}  // namespace hindsight::tests::support
