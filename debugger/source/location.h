// Where a value is, by the DWARF expressions that say so (DWARF 5, 2.5 and 2.6), evaluated for one frame.
// Values; one thread. Expressions come from files and what they read from the guest: steps are bounded, and
// whatever cannot be worked out is an Error in words for the user.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "debugger/source/dwarf_file.h"

namespace hindsight::debugger::source {

/// By DWARF's numbers (System V psABI for x86-64, 3.6.2): 0 rax, 1 rdx, 2 rcx, 3 rbx, 4 rsi, 5 rdi, 6 rbp,
/// 7 rsp, 8 to 15, 16 the return address.
using RegisterFile = std::array<std::optional<std::uint64_t>, 17>;
constexpr unsigned kStackPointer = 7, kReturnAddress = 16;

/// Fills `out` from the guest's memory; false if any of it cannot be read.
using MemoryReader = std::function<bool(GuestVirt, std::span<std::byte>)>;

/// What an expression may look at.
struct FrameView {
  DwarfFile& file;
  LinkAddress pc = 0;  ///< of the instruction that is being executed
  const RegisterFile& registers;
  const MemoryReader& read;
  std::optional<Dwarf_Die> function = {};  ///< whose DW_AT_frame_base counts
};

/// A part of a value, in order.
struct Piece {
  enum class Kind : std::uint8_t { memory, constant, bytes, gone } kind = Kind::gone;
  std::uint64_t value = 0;  ///< the address, or the constant's low bytes
  std::vector<std::byte> bytes;
  std::uint64_t size = 0;  ///< in bytes; 0: all of it
};

/// Where the variable or member is whose attribute says it.
Result<std::vector<Piece>> locate(const FrameView& frame, Dwarf_Attribute& attribute);
/// A call-frame rule: the address or value it comes to.
Result<Piece> evaluate(const FrameView& frame, std::span<const Dwarf_Op> expression);
/// The value of the stack pointer before the call, which frames are told apart by.
std::optional<std::uint64_t> canonical_frame_address(const FrameView& frame);

/// `size` bytes of a value; an Error where a part of it is nowhere.
Result<std::vector<std::byte>> fetch(const std::vector<Piece>& pieces, std::uint64_t size,
                                     const MemoryReader& read);

}  // namespace hindsight::debugger::source
