#include "devices/firmware/boot_memory.h"

#include <algorithm>

namespace hindsight::devices::firmware {

Status write_bytes(engine::port::GuestMemory& memory, std::uint64_t address, std::span<const std::byte> bytes,
                   std::string_view what) {
  if (!memory.write(GuestPhys(address), bytes.data(), bytes.size())) {
    return error("{} ({} bytes) does not fit into RAM at {:#x}", what, bytes.size(), address);
  }
  return Done{};
}

Status write_record(engine::port::GuestMemory& memory, std::uint64_t address, const Record& record,
                    std::string_view what) {
  return write_bytes(memory, address, std::as_bytes(std::span(record.bytes)), what);
}

Status write_command_line(engine::port::GuestMemory& memory, std::string_view text, std::uint64_t limit) {
  const std::uint64_t most = std::min(limit, kCommandLineLimit - 1);
  if (text.size() > most) {
    return error("the kernel command line has {} characters, this kernel takes {}", text.size(), most);
  }
  Record record(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) record.bytes[i] = static_cast<std::uint8_t>(text[i]);
  return write_record(memory, kCommandLineAddress, record, "the kernel command line");
}

Status write_segments(engine::port::GuestMemory& memory, BootState& state) {
  // The selectors that the 64-bit boot protocol prescribes: 10h for code, 18h for data.
  const bool long_mode = state.mode == BootState::Mode::long_mode;
  Record gdt(0x30);
  gdt.put(0x10, long_mode ? 0x00AF9B000000FFFF : 0x00CF9B000000FFFF, 8);
  gdt.put(0x18, 0x00CF93000000FFFF, 8);
  // A busy TSS of 104 bytes; in long mode its descriptor takes two entries.
  gdt.put(0x20, 0x00008B0000000067 | (kTssAddress << 16), 8);
  if (auto status = write_record(memory, kGdtAddress, gdt, "the boot GDT"); !status) return status;
  if (auto status = write_record(memory, kTssAddress, Record(0x68), "the boot TSS"); !status) return status;
  state.gdt_base = GuestPhys(kGdtAddress);
  state.gdt_limit = static_cast<std::uint16_t>(gdt.bytes.size() - 1);
  state.code_selector = 0x10;
  state.data_selector = 0x18;
  state.task_selector = 0x20;
  state.rsp = kStackTop;
  return Done{};
}

Status write_identity_map(engine::port::GuestMemory& memory, BootState& state) {
  constexpr std::uint64_t kTable = 0x3, kPage2M = 0x83;  // present, writable; page size
  constexpr unsigned kDirectories = 4;
  Record tables((2 + kDirectories) * 0x1000);
  tables.put(0, (kPageTablesAddress + 0x1000) | kTable, 8);
  for (unsigned i = 0; i < kDirectories; ++i) {
    tables.put(0x1000 + 8 * i, (kPageTablesAddress + 0x2000 + i * 0x1000ULL) | kTable, 8);
  }
  for (unsigned i = 0; i < kDirectories * 512; ++i) {
    tables.put(0x2000 + 8 * i, (std::uint64_t{i} << 21) | kPage2M, 8);
  }
  state.page_table_root = GuestPhys(kPageTablesAddress);
  return write_record(memory, kPageTablesAddress, tables, "the boot page tables");
}

Result<std::uint64_t> place_initrd(engine::port::GuestMemory& memory, std::span<const std::byte> initrd,
                                   std::uint64_t floor, std::uint64_t limit) {
  if (initrd.empty()) return std::uint64_t{0};
  const std::uint64_t address = initrd.size() > limit ? 0 : (limit - initrd.size()) & ~kPageMask;
  if (address < floor) {
    return error(
        "the initrd ({} bytes) does not fit between the kernel's end {:#x} and {:#x}: more RAM is needed",
        initrd.size(), floor, limit);
  }
  if (auto status = write_bytes(memory, address, initrd, "the initrd"); !status) return status.failure();
  return address;
}

}  // namespace hindsight::devices::firmware
