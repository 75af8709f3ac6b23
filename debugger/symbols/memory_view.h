// Guest memory as the symbol code sees it: linear addresses of the kernel's address space, read without any
// effect on the guest. Whoever has a machine implements it (machine_view.h does, over any port::Machine).
// Borrowed by every function here for the length of the call; one thread. What is read comes from the guest
// and is never trusted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::debugger::symbols {

/// Linear addresses from `begin` up to, not including, `end`.
struct Range {
  GuestVirt begin, end;

  [[nodiscard]] bool contains(GuestVirt address) const { return address >= begin && address < end; }
  [[nodiscard]] std::uint64_t size() const { return end > begin ? end - begin : 0; }
  friend bool operator==(const Range&, const Range&) = default;
};

class MemoryView {
 public:
  virtual ~MemoryView() = default;
  /// Fills `out` from `address` on; false, and `out` is unspecified, if any byte of it is not mapped to RAM.
  [[nodiscard]] virtual bool read(GuestVirt address, std::span<std::byte> out) const = 0;
  /// What is mapped of [from, to): ascending, disjoint, none empty.
  [[nodiscard]] virtual std::vector<Range> mapped(GuestVirt from, GuestVirt to) const = 0;
};

/// A value as the guest stores it; x86 is little-endian like every host that this runs on.
template <class T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> load(const MemoryView& memory, GuestVirt address) {
  std::array<std::byte, sizeof(T)> bytes;
  if (!memory.read(address, bytes)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// `count` values in a row; empty when they cannot all be read. The caller bounds `count`.
template <class T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::vector<T> load_array(const MemoryView& memory, GuestVirt address, std::size_t count) {
  std::vector<T> values(count);
  if (!memory.read(address, std::as_writable_bytes(std::span(values)))) values.clear();
  return values;
}

/// The text at `address` up to its zero; nothing if there is none within `most` bytes.
[[nodiscard]] std::optional<std::string> load_text(const MemoryView& memory, GuestVirt address,
                                                   std::size_t most);

/// `address` rounded up to a multiple of `alignment`, a power of two.
[[nodiscard]] constexpr GuestVirt align_up(GuestVirt address, std::uint64_t alignment) {
  return GuestVirt{(address.value + alignment - 1) & ~(alignment - 1)};
}

/// Where Linux on x86-64 maps its image (Documentation/x86/x86_64/mm.rst of the kernel): the slide of KASLR
/// stays within it.
constexpr Range kKernelRegion{GuestVirt{0xffff'ffff'8000'0000}, GuestVirt{0xffff'ffff'c000'0000}};
/// Where it puts modules.
constexpr Range kModuleRegion{GuestVirt{0xffff'ffff'a000'0000}, GuestVirt{0xffff'ffff'ff00'0000}};
/// The kernel's half of the address space, without its first page and its last.
constexpr Range kKernelHalf{GuestVirt{0xff00'0000'0000'0000}, GuestVirt{0xffff'ffff'ffff'f000}};

}  // namespace hindsight::debugger::symbols
