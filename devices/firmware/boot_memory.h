// Low memory as the loaders lay it out, and the parts that both of them write. Internal to devices/firmware.
// Called by the loaders, before the machine runs; deterministic.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "devices/firmware/boot_state.h"
#include "engine/base/little_endian.h"
#include "engine/base/result.h"
#include "engine/port/io.h"

namespace hindsight::devices::firmware {

constexpr std::uint64_t kGdtAddress = 0x1000;
constexpr std::uint64_t kTssAddress = 0x1100;
constexpr std::uint64_t kStackTop = 0x7000;
constexpr std::uint64_t kZeroPageAddress = 0x7000;    // boot_params, or the PVH start info and its lists
constexpr std::uint64_t kPageTablesAddress = 0x9000;  // PML4, PDPT, four page directories
constexpr std::uint64_t kCommandLineAddress = 0x20000;
constexpr std::uint64_t kCommandLineLimit = 0x10000;

/// Little-endian fields of a file, checked against its end.
class FileView {
 public:
  explicit FileView(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] bool has(std::uint64_t offset, std::uint64_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  /// Zero beyond the end.
  [[nodiscard]] std::uint64_t get(std::uint64_t offset, unsigned count) const {
    if (!has(offset, count)) return 0;
    return load_little_endian(bytes_.subspan(offset, count));
  }
  /// Only if has().
  [[nodiscard]] std::span<const std::byte> part(std::uint64_t offset, std::uint64_t count) const {
    return bytes_.subspan(offset, count);
  }

 private:
  std::span<const std::byte> bytes_;
};

/// A little-endian structure being built.
struct Record {
  std::vector<std::uint8_t> bytes;
  explicit Record(std::size_t size) : bytes(size) {}
  void put(std::size_t offset, std::uint64_t value, unsigned count) {
    store_little_endian(std::span(bytes).subspan(offset, count), value);
  }
};

[[nodiscard]] Status write_bytes(engine::port::GuestMemory& memory, std::uint64_t address,
                                 std::span<const std::byte> bytes, std::string_view what);
[[nodiscard]] Status write_record(engine::port::GuestMemory& memory, std::uint64_t address,
                                  const Record& record, std::string_view what);
[[nodiscard]] Status write_command_line(engine::port::GuestMemory& memory, std::string_view text,
                                        std::uint64_t limit);
/// GDT with flat segments and a TSS; fills the selectors of `state`.
[[nodiscard]] Status write_segments(engine::port::GuestMemory& memory, BootState& state);
/// Maps the first 4 GiB to themselves with 2 MiB pages; fills page_table_root.
[[nodiscard]] Status write_identity_map(engine::port::GuestMemory& memory, BootState& state);
/// The highest page-aligned place for the initrd below `limit` and above `floor`.
[[nodiscard]] Result<std::uint64_t> place_initrd(engine::port::GuestMemory& memory,
                                                 std::span<const std::byte> initrd, std::uint64_t floor,
                                                 std::uint64_t limit);

}  // namespace hindsight::devices::firmware
