// What every compiled block agrees on: which host register holds what, where guest registers live in the
// state, and the shared routines in the code cache. Fixed when the code generator is made; read by the
// compiler, on the thread that owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "engine/host/x64/emitter.h"
#include "engine/ir/core_state.h"
#include "engine/ir/guest.h"

namespace hindsight::engine::host::x64 {

constexpr Reg kState = RBP;    ///< CoreState*
constexpr Reg kBudget = R15;   ///< CoreState::budget while in generated code
constexpr Reg kScratch = RAX;  ///< never holds a value across an emitted operation
/// Hold values; arguments of calls are passed in the last three.
constexpr Reg kTemps[] = {RCX, RDX, RSI};
/// Hold guest registers, in the order of ir::RegisterTable::general. RBX first: its byte 1 can be addressed.
constexpr Reg kPinned[] = {RBX, RDI, R8, R9, R10, R11, R12, R13, R14};
constexpr unsigned kPinnedCount = sizeof(kPinned);
/// Those of kPinned that a C++ function may change (System V ABI, 3.2.1).
constexpr Reg kPinnedVolatile[] = {RDI, R8, R9, R10, R11};

constexpr std::int32_t state_offset(std::size_t offset) { return static_cast<std::int32_t>(offset); }
#define HINDSIGHT_STATE(field) \
  ::hindsight::engine::host::x64::state_offset(offsetof(::hindsight::engine::ir::CoreState, field))
constexpr Mem state(std::int32_t offset) { return {.base = kState, .disp = offset}; }

constexpr unsigned kSpillSlots = 52;                  ///< the rest of CoreState::spill has other uses:
constexpr unsigned kGroupSlot = 52, kGroupSlots = 8;  ///< addends of groups of accesses
/// What accesses of a loop remember from one round to the next: three words each.
constexpr unsigned kLoopSlot = 64, kLoopSlots = 8;
enum LoopSlotWord : unsigned { kLoopLimit, kLoopPage, kLoopAddend, kLoopWords };
static_assert(kLoopSlot + kLoopSlots * kLoopWords <= std::size(decltype(ir::CoreState::spill){}));
constexpr Mem spill_slot(unsigned i) {
  return state(HINDSIGHT_STATE(spill) + static_cast<std::int32_t>(i * 8));
}
/// Indices into CoreState::spill; the value may be 16 bytes.
constexpr unsigned kSlowAddress = 60, kSlowFunction = 61, kSlowValue = 62;

/// What the site of a memory access or a possible trap says about itself: 32 bits in a no-op after the
/// call.
struct SiteInfo {
  std::uint32_t page_offset;  ///< of its instruction
  std::uint32_t refund;       ///< instructions charged but not retired if it traps
  std::uint32_t log2_size = 0, access = 0;
  bool store = false;
  [[nodiscard]] constexpr std::uint32_t pack() const {
    return page_offset | refund << 16 | log2_size << 23 | access << 26 | (store ? 1u << 29 : 0);
  }
  static constexpr SiteInfo unpack(std::uint32_t v) {
    return {v & 0xFFFF, v >> 16 & 0x7F, v >> 23 & 7, v >> 26 & 7, (v >> 29 & 1) != 0};
  }
};

struct Routines {
  const std::uint8_t* enter;
  const std::uint8_t* leave;         ///< RAX = ExitKind, RDX = detail; pinned registers live
  const std::uint8_t* exit_leave;    ///< RAX = pc
  const std::uint8_t* exit_lookup;   ///< RAX = pc
  const std::uint8_t* invalid_jump;  ///< RCX = tag: an invalid entry of the jump table that matched after all
  const std::uint8_t* exit_budget;   ///< called; followed by page offset | charge << 16
  const std::uint8_t* exit_unlinked;   ///< called; followed by offset of the jump's displacement, target
  const std::uint8_t* lookup_site;     ///< likewise, for a site that goes through the jump table
  const std::uint8_t* exit_trap;       ///< called; followed by a no-op with SiteInfo
  const std::uint8_t* slow_access[2];  ///< called, likewise; [1] preserves vector registers too
  const std::uint8_t* slow_x87[2];     ///< likewise: the helper of an x87 operation
  const std::uint8_t* call[3];         ///< RAX = function, RSI, RDX, RCX = arguments; see CallClass
};
enum CallClass : unsigned { kCallPure, kCallReads, kCallWrites };

struct Layout {
  std::array<std::int32_t, kPinnedCount> pinned_offset{};  ///< -1: not used
  Routines routines{};
  ir::X87Slots x87{};
  const std::uint8_t* write_base = nullptr;  ///< of the code cache

  /// The pinned host register that holds bytes [offset, offset + size) of the state, or kNoReg.
  [[nodiscard]] Reg pinned_at(std::int32_t offset, unsigned size) const {
    const std::uint32_t cell = static_cast<std::uint32_t>(offset - window_) >> 3;
    if (offset < window_ || cell >= kWindowCells) return kNoReg;
    const Reg r = by_cell_[cell];
    if (r == kNoReg) return kNoReg;
    return static_cast<unsigned>(offset & 7) + size <= 8 ? r : kNoReg;
  }
  /// Whether the bytes lie in pinned registers but not in one alone, which no guest register does.
  [[nodiscard]] bool straddles_pinned(std::int32_t offset, unsigned size) const {
    return pinned_at(offset, size) == kNoReg &&
           (pinned_at(offset, 1) != kNoReg ||
            pinned_at(offset + static_cast<std::int32_t>(size) - 1, 1) != kNoReg);
  }
  [[nodiscard]] std::int32_t offset_of(Reg pinned) const { return offset_by_reg_[pinned]; }
  void pin(std::span<const std::uint32_t> general);

 private:
  static constexpr unsigned kWindowCells = 64;
  std::int32_t window_ = 0;  ///< lowest pinned offset
  std::array<Reg, kWindowCells> by_cell_{};
  std::array<std::int32_t, 16> offset_by_reg_{};
};

}  // namespace hindsight::engine::host::x64
