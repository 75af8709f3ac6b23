// How the software MMU cuts linear addresses into slots, groups and halves: pure functions, shared by its
// source files alone.
#pragma once

#include <bit>
#include <cstdint>

#include "engine/base/types.h"
#include "engine/ir/core_state.h"

namespace hindsight::engine::mmu {

constexpr unsigned slot_of(std::uint64_t address) { return (address >> kPageBits) & (ir::kTlbSize - 1); }
constexpr std::uint64_t page_of(std::uint64_t address) { return address & ~kPageMask; }

/// Linear addresses of long mode are 48 bits, sign-extended (SDM vol. 1, 3.3.7.1).
constexpr std::uint64_t canonical(std::uint64_t address) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16);
}

/// Which half of linear addresses a page or a jump tag (whose mode sits above) belongs to. An invalid tag
/// counts as upper.
constexpr bool is_upper(std::uint64_t tag) { return (tag >> 47 & 1) != 0; }
constexpr bool is_cached_upper(std::uint64_t tag) { return is_upper(tag) && tag != ir::kTlbInvalid; }

/// The level of the root table of a 48-bit address space.
inline constexpr unsigned kTopLevel = 4;

constexpr std::uint64_t group_of(std::uint64_t pc) { return ir::jump_slot(page_of(pc)) / ir::kJumpGroup; }
/// A page's bit among the pages of its group: they differ above the bits that choose the group.
constexpr std::uint64_t page_bit(std::uint64_t pc) {
  return std::uint64_t{1} << (pc / (kPageSize * (ir::kJumpSize / ir::kJumpGroup)) % 64);
}

/// Calls f with the number of each set bit.
template <class F>
void for_bits(std::uint64_t bits, F f) {
  for (; bits != 0; bits &= bits - 1) f(static_cast<unsigned>(std::countr_zero(bits)));
}

/// Calls f with each index in a group of slots that may hold an entry of that half.
template <class Group, class F>
void for_jumps(const Group& group, bool upper, F f) {
  for (unsigned word = 0; word < group.slots[upper].size(); ++word)
    for_bits(group.slots[upper][word], [&](unsigned bit) { f(word * 64 + bit); });
}

inline void invalidate_fast(ir::TlbEntry& entry) { entry.tag = ir::kTlbInvalid; }

template <std::size_t N>
void invalidate_array(ir::TlbEntry (&entries)[N]) {
  for (auto& entry : entries) invalidate_fast(entry);
}

}  // namespace hindsight::engine::mmu
