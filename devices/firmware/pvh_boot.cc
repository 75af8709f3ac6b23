// ELF kernels with a PVH entry: the ELF specification 1.2 and its 64-bit extension; the entry note and the
// start info are defined in Xen's public headers elfnote.h and arch-x86/hvm/start_info.h.
#include <algorithm>
#include <optional>

#include "devices/firmware/boot_memory.h"
#include "devices/firmware/linux_boot.h"
#include "devices/firmware/memory_map.h"

namespace hindsight::devices::firmware {

namespace {

constexpr std::uint64_t kSegmentLoad = 1, kSegmentNote = 4;
constexpr std::uint64_t kNotePhys32Entry = 18;
constexpr std::uint64_t kStartInfoMagic = 0x336EC578;
constexpr std::uint64_t kMostSegments = 128;
// The start info and what it points to share the boot parameter page.
constexpr std::size_t kStartInfoSize = 56, kModuleOffset = 0x40, kMapOffset = 0x80;

struct Segment {
  std::uint64_t type = 0, offset = 0, paddr = 0, file_size = 0, memory_size = 0;
};

Result<std::vector<Segment>> read_segments(const FileView& file) {
  const std::uint64_t elf_class = file.get(4, 1);
  const bool wide = elf_class == 2;
  if ((elf_class != 1 && !wide) || file.get(5, 1) != 1) {
    return error("the kernel is not a little-endian 32-bit or 64-bit ELF file");
  }
  const std::uint64_t table = wide ? file.get(0x20, 8) : file.get(0x1C, 4);
  const std::uint64_t entry_size = file.get(wide ? 0x36 : 0x2A, 2);
  const std::uint64_t count = file.get(wide ? 0x38 : 0x2C, 2);
  if (count == 0 || count > kMostSegments || entry_size < (wide ? 56U : 32U)) {
    return error("the ELF kernel has {} program headers of {} bytes: expected 1 to {} of 32 or 56", count,
                 entry_size, kMostSegments);
  }
  std::vector<Segment> segments;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = table + i * entry_size;
    if (!file.has(at, entry_size)) return error("the ELF kernel ends before its program header {}", i);
    Segment segment{.type = file.get(at, 4)};
    if (wide) {
      segment.offset = file.get(at + 8, 8);
      segment.paddr = file.get(at + 24, 8);
      segment.file_size = file.get(at + 32, 8);
      segment.memory_size = file.get(at + 40, 8);
    } else {
      segment.offset = file.get(at + 4, 4);
      segment.paddr = file.get(at + 12, 4);
      segment.file_size = file.get(at + 16, 4);
      segment.memory_size = file.get(at + 20, 4);
    }
    if (segment.type != kSegmentLoad && segment.type != kSegmentNote) continue;
    if (!file.has(segment.offset, segment.file_size)) {
      return error("segment {} of the ELF kernel lies beyond the file's end", i);
    }
    segments.push_back(segment);
  }
  return segments;
}

/// The entry that the note XEN_ELFNOTE_PHYS32_ENTRY names.
std::optional<std::uint64_t> find_entry(const FileView& file, const Segment& notes) {
  const std::uint64_t end = notes.offset + notes.file_size;
  const auto padded = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
  for (std::uint64_t at = notes.offset; at + 12 <= end;) {
    const std::uint64_t name_size = file.get(at, 4), size = file.get(at + 4, 4), type = file.get(at + 8, 4);
    const std::uint64_t name = at + 12, contents = name + padded(name_size);
    if (contents + size > end) return std::nullopt;
    const bool is_xen = name_size == 4 && file.get(name, 4) == 0x006E6558;  // "Xen"
    if (is_xen && type == kNotePhys32Entry && (size == 4 || size == 8)) {
      return file.get(contents, static_cast<unsigned>(size));
    }
    at = contents + padded(size);
  }
  return std::nullopt;
}

Status load_segment(const FileView& file, const Segment& segment, engine::port::GuestMemory& memory) {
  if (segment.file_size > segment.memory_size) {
    return error("a segment of the ELF kernel holds {} bytes for {} of memory", segment.file_size,
                 segment.memory_size);
  }
  // A fresh machine's RAM is zero, so what the file does not fill needs no write, only to be there.
  std::byte last{};
  if (segment.memory_size != 0 &&
      (segment.paddr + segment.memory_size < segment.paddr ||
       !memory.read(GuestPhys(segment.paddr + segment.memory_size - 1), &last, 1))) {
    return error("the ELF kernel needs RAM from {:#x}, {} bytes: more than the machine has", segment.paddr,
                 segment.memory_size);
  }
  return write_bytes(memory, segment.paddr, file.part(segment.offset, segment.file_size), "the kernel");
}

Record start_info(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp, std::uint64_t initrd) {
  Record info(0x1000);
  info.put(0, kStartInfoMagic, 4);
  info.put(4, 1, 4);  // version
  info.put(12, images.initrd.empty() ? 0 : 1, 4);
  info.put(16, images.initrd.empty() ? 0 : kZeroPageAddress + kModuleOffset, 8);
  info.put(24, kCommandLineAddress, 8);
  info.put(32, rsdp.value, 8);
  info.put(40, kZeroPageAddress + kMapOffset, 8);
  info.put(kModuleOffset, initrd, 8);
  info.put(kModuleOffset + 8, images.initrd.size(), 8);
  const std::vector<E820Entry> map = e820_map(ram_size);
  info.put(48, map.size(), 4);
  for (std::size_t i = 0; i < map.size(); ++i) {
    info.put(kMapOffset + 24 * i, map[i].base, 8);
    info.put(kMapOffset + 24 * i + 8, map[i].size, 8);
    info.put(kMapOffset + 24 * i + 16, static_cast<std::uint32_t>(map[i].type), 4);
  }
  static_assert(kStartInfoSize <= kModuleOffset);
  return info;
}

}  // namespace

Result<BootState> load_pvh(const LinuxImages& images, std::uint64_t ram_size, GuestPhys rsdp,
                           engine::port::GuestMemory& memory) {
  const FileView file(images.kernel);
  const auto segments = read_segments(file);
  if (!segments) return segments.failure();
  std::optional<std::uint64_t> entry;
  std::uint64_t kernel_end = 0x100000;
  for (const Segment& segment : *segments) {
    if (segment.type == kSegmentNote && !entry) entry = find_entry(file, segment);
  }
  if (!entry || *entry > 0xFFFFFFFF) {
    return error("the ELF kernel has no PVH entry (note XEN_ELFNOTE_PHYS32_ENTRY): expected CONFIG_PVH");
  }
  for (const Segment& segment : *segments) {
    if (segment.type != kSegmentLoad) continue;
    // Below 1 MiB lie the loader's own structures and the tables.
    if (segment.memory_size != 0 && segment.paddr < 0x100000) {
      return error("the ELF kernel loads at {:#x}: expected 1 MiB or above", segment.paddr);
    }
    if (auto status = load_segment(file, segment, memory); !status) return status.failure();
    kernel_end = std::max(kernel_end, segment.paddr + segment.memory_size);
  }
  const auto initrd = place_initrd(memory, images.initrd, (kernel_end + kPageMask) & ~kPageMask,
                                   std::min<std::uint64_t>(ram_layout(ram_size).low, 0x38000000));
  if (!initrd) return initrd.failure();
  BootState state;
  state.mode = BootState::Mode::protected32;
  state.entry = *entry;
  state.rbx = kZeroPageAddress;
  if (auto status = write_command_line(memory, images.command_line, kCommandLineLimit - 1); !status) {
    return status.failure();
  }
  const Record info = start_info(images, ram_size, rsdp, *initrd);
  if (auto status = write_record(memory, kZeroPageAddress, info, "the start info"); !status) {
    return status.failure();
  }
  if (auto status = write_segments(memory, state); !status) return status.failure();
  return state;
}

}  // namespace hindsight::devices::firmware
