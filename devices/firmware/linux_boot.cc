#include "devices/firmware/linux_boot.h"

#include <algorithm>

#include "devices/firmware/boot_memory.h"
#include "devices/firmware/memory_map.h"

namespace hindsight::devices::firmware {

namespace {

// Offsets in boot_params, which for 1F1h to 290h are those in the file (Documentation/x86/boot.rst and
// zero-page.rst).
constexpr std::size_t kAcpiRsdpAddr = 0x070, kE820Entries = 0x1E8, kSetupHeader = 0x1F1, kBootFlag = 0x1FE;
constexpr std::size_t kHeaderJump = 0x201, kHeaderMagic = 0x202, kVersion = 0x206, kTypeOfLoader = 0x210;
constexpr std::size_t kLoadFlags = 0x211, kRamdiskImage = 0x218, kRamdiskSize = 0x21C, kCmdLinePtr = 0x228;
constexpr std::size_t kInitrdAddrMax = 0x22C, kKernelAlignment = 0x230;
constexpr std::size_t kXLoadFlags = 0x236, kCmdlineSize = 0x238, kPrefAddress = 0x258, kInitSize = 0x260;
constexpr std::size_t kE820Table = 0x2D0, kBootParamsSize = 0x1000;
constexpr std::size_t kHeaderEnd = 0x290;  // boot_params has other fields from here on

constexpr std::uint64_t kLoadedHigh = 0x01, kKernel64 = 0x01, kSetupSector = 512;
constexpr std::uint64_t kDefaultLoadAddress = 0x100000;

struct Placement {
  std::uint64_t payload_offset = 0;
  std::uint64_t payload_size = 0;
  std::uint64_t load_address = 0;
  std::uint64_t init_size = 0;
};

Result<Placement> check_header(const FileView& file) {
  if (file.get(kHeaderMagic, 4) != 0x53726448 || file.get(kBootFlag, 2) != 0xAA55 ||
      !file.has(0, kHeaderEnd)) {
    return error("the kernel is neither a Linux bzImage nor an ELF file");
  }
  const std::uint64_t version = file.get(kVersion, 2);
  if (version < 0x20C || (file.get(kXLoadFlags, 2) & kKernel64) == 0) {
    return error(
        "the kernel has no 64-bit entry (boot protocol {}.{:02}): expected a 64-bit kernel, 2.12 or later",
        version >> 8, version & 0xFF);
  }
  if ((file.get(kLoadFlags, 1) & kLoadedHigh) == 0)
    return error("the kernel is a zImage: expected a bzImage");
  Placement out;
  const std::uint64_t sectors = file.get(kSetupHeader, 1);
  out.payload_offset = ((sectors == 0 ? 4 : sectors) + 1) * kSetupSector;
  // 200h is where the 64-bit entry lies in the payload.
  if (!file.has(out.payload_offset, 0x201)) {
    return error("the kernel file ends at {} bytes, inside its setup code of {}", file.size(),
                 out.payload_offset);
  }
  out.payload_size = file.size() - out.payload_offset;
  out.load_address = file.get(kPrefAddress, 8);
  const std::uint64_t alignment = file.get(kKernelAlignment, 4);
  if (out.load_address < kDefaultLoadAddress || (alignment != 0 && out.load_address % alignment != 0)) {
    return error("the kernel prefers the load address {:#x}: expected a multiple of {:#x} from 1 MiB up",
                 out.load_address, alignment);
  }
  out.init_size = std::max(file.get(kInitSize, 4), out.payload_size);
  return out;
}

Record boot_params(const FileView& file, const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                   std::uint64_t initrd_address) {
  Record params(kBootParamsSize);
  // The header's length is in the jump at its start (boot.rst, "64-bit Boot Protocol").
  const std::uint64_t end = std::min<std::uint64_t>(kHeaderMagic + file.get(kHeaderJump, 1), kHeaderEnd);
  for (std::size_t at = kSetupHeader; at < end; ++at) {
    params.bytes[at] = static_cast<std::uint8_t>(file.get(at, 1));
  }
  params.put(kTypeOfLoader, 0xFF, 1);  // a loader without an assigned number
  params.put(kRamdiskImage, initrd_address, 4);
  params.put(kRamdiskSize, images.initrd.size(), 4);
  params.put(kCmdLinePtr, kCommandLineAddress, 4);
  params.put(kAcpiRsdpAddr, rsdp.value, 8);
  const std::vector<E820Entry> map = e820_map(ram_size);
  params.put(kE820Entries, map.size(), 1);
  for (std::size_t i = 0; i < map.size(); ++i) {
    params.put(kE820Table + 20 * i, map[i].base, 8);
    params.put(kE820Table + 20 * i + 8, map[i].size, 8);
    params.put(kE820Table + 20 * i + 16, static_cast<std::uint32_t>(map[i].type), 4);
  }
  return params;
}

}  // namespace

Result<BootState> load_bzimage(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                               engine::port::GuestMemory& memory) {
  const FileView file(images.kernel);
  const auto placement = check_header(file);
  if (!placement) return placement.failure();
  const std::uint64_t low_ram = ram_layout(ram_size).low;
  if (placement->load_address >= low_ram || placement->init_size > low_ram - placement->load_address) {
    return error("the kernel needs RAM from {:#x} to {:#x}, the machine has {} MiB", placement->load_address,
                 placement->load_address + placement->init_size, ram_size >> 20);
  }
  const std::uint64_t kernel_end = placement->load_address + placement->init_size;
  const std::uint64_t initrd_max = file.get(kInitrdAddrMax, 4);
  const auto initrd = place_initrd(memory, images.initrd, kernel_end,
                                   std::min(low_ram, initrd_max == 0 ? 0x38000000 : initrd_max + 1));
  if (!initrd) return initrd.failure();

  BootState state;
  state.mode = BootState::Mode::long_mode;
  state.entry = placement->load_address + 0x200;
  state.rsi = kZeroPageAddress;
  const auto payload = file.part(placement->payload_offset, placement->payload_size);
  if (auto status = write_bytes(memory, placement->load_address, payload, "the kernel"); !status) {
    return status.failure();
  }
  if (auto status = write_command_line(memory, images.command_line, file.get(kCmdlineSize, 4)); !status) {
    return status.failure();
  }
  const Record params = boot_params(file, images, ram_size, rsdp, *initrd);
  if (auto status = write_record(memory, kZeroPageAddress, params, "the boot parameters"); !status) {
    return status.failure();
  }
  if (auto status = write_segments(memory, state); !status) return status.failure();
  if (auto status = write_identity_map(memory, state); !status) return status.failure();
  return state;
}

Result<BootState> load_linux(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                             engine::port::GuestMemory& memory) {
  constexpr std::uint64_t kElfMagic = 0x464C457F;
  if (FileView(images.kernel).get(0, 4) == kElfMagic) return load_pvh(images, ram_size, rsdp, memory);
  return load_bzimage(images, ram_size, rsdp, memory);
}

}  // namespace hindsight::devices::firmware
