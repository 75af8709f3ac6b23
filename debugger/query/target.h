// What people write for places in time and in memory: "37%", "mark:panic", "jiffies+0x4", "phys:0x1000".
// Pure functions of a timeline, a kernel and a text; one thread. A text that says nothing is an Error that
// names it and what was expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/symbols/guest_kernel.h"
#include "engine/base/result.h"
#include "engine/port/debug.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::query {

using engine::port::Position;

/// As session/positions.h reads it, of this timeline; what lies beyond an end of history is that end. Every
/// event of a trace with many is read to find "event:N".
Result<Position> parse_position(std::string_view text, replay::timeline::Timeline& timeline);

/// An address and how many bytes, as text says them.
struct AddressText {
  std::string_view place;  ///< without the length
  std::optional<std::uint64_t> size;
};
/// Splits "ADDR/LEN".
Result<AddressText> split_size(std::string_view text);

/// Where a linear address or a symbol is; `size` 0: unknown.
struct Address {
  GuestVirt address;
  std::uint64_t size = 0;
};
/// "0xffffffff81000000", "symbol", "symbol+0x10", "module:symbol": every place of that name. `kernel` may be
/// nullptr: then no symbol is known, because of `why`. A CPU's own variable is that of the first CPU.
Result<std::vector<Address>> parse_addresses(std::string_view text, const symbols::GuestKernel* kernel,
                                             const symbols::MemoryView& memory, const std::string& why);

/// Bytes of physical memory that lie together.
struct PhysicalRange {
  GuestPhys first;
  std::uint64_t size = 0;
};
/// What is watched: some bytes, wherever in physical memory they lie.
struct Target {
  std::string text;  ///< as it was asked for
  std::optional<GuestVirt> linear;
  std::uint64_t size = 0;
  std::vector<PhysicalRange> ranges;  ///< in the order of the bytes
};
/// Bytes that one question may watch.
inline constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 20;

}  // namespace hindsight::debugger::query
