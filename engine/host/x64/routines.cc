#include "engine/host/x64/routines.h"

#include <cstring>
#include <iterator>

#include "engine/host/x64/code_generator.h"

namespace hindsight::engine::host::x64 {
namespace {

/// A memory access that missed the software TLB. `site` follows the call: a no-op that holds its SiteInfo.
/// Operands and result are in CoreState::spill. Returns whether it trapped.
std::uint64_t slow_access(ir::CoreState* s, const std::uint8_t* site_address) {
  std::uint32_t packed;
  std::memcpy(&packed, site_address + 3, 4);
  const SiteInfo site = SiteInfo::unpack(packed);
  const std::uint64_t address = s->spill[kSlowAddress];
  std::uint64_t* value = &s->spill[kSlowValue];
  const std::uint32_t size = 1u << site.log2_size;
  if (size == 16) {
    if (site.store) {
      std::memcpy(s->wide, value, 16);
      s->memory->store16(s, address, site.access);
    } else {
      s->memory->load16(s, address, site.access);
      std::memcpy(value, s->wide, 16);
    }
  } else if (site.store) {
    const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << size * 8) - 1;
    s->memory->store(s, address, *value & mask, size, site.access);
  } else {
    *value = s->memory->load(s, address, size, site.access);
  }
  return s->trap.kind != ir::TrapKind::none;
}

/// The helper of an x87 operation; likewise.
std::uint64_t slow_x87(ir::CoreState* s, const std::uint8_t*) {
  const auto helper = reinterpret_cast<ir::HelperFn>(s->spill[kSlowFunction]);
  s->spill[kSlowValue] = helper(s, s->spill[kSlowValue], s->spill[kSlowAddress], 0);
  return s->trap.kind != ir::TrapKind::none;
}

using SlowFunction = std::uint64_t (*)(ir::CoreState*, const std::uint8_t*);

constexpr Reg kCalleeSaved[] = {RBX, RBP, R12, R13, R14, R15};

class Writer {
 public:
  Writer(Emitter& e, Layout& layout) : e_(e), layout_(layout), r_(layout.routines) {}

  void all() {
    r_.enter = begin();
    for (Reg r : kCalleeSaved) e_.push(r);
    e_.alu_ri(kSub, 8, RSP, 8);  // aligned to 16 in generated code
    clear_upper_halves();
    e_.mov_rr(8, kState, RDI);
    e_.mov_rr(8, RAX, RSI);
    load_pinned(false);
    e_.mov_rm(8, kBudget, state(HINDSIGHT_STATE(budget)));
    e_.op_rr(4, 0xFF, 4, RAX);  // jmp rax

    r_.leave = begin();  // RAX = kind, RDX = detail
    store_pinned(false);
    e_.mov_mr(8, state(HINDSIGHT_STATE(budget)), kBudget);
    e_.alu_ri(kAdd, 8, RSP, 8);
    for (auto r = std::rbegin(kCalleeSaved); r != std::rend(kCalleeSaved); ++r) e_.pop(*r);
    e_.ret();

    r_.exit_leave = exit_with_pc(ExitKind::leave);
    r_.exit_lookup = exit_with_pc(ExitKind::lookup);

    r_.invalid_jump = begin();
    e_.mov_rr(8, RAX, RCX);
    e_.alu_rm(kXor, 8, RAX, state(HINDSIGHT_STATE(mode)));
    e_.jmp_to(r_.exit_lookup);

    r_.exit_budget = begin();
    e_.pop(RDX);
    e_.mov_rm(4, RCX, {.base = RDX});
    go_back_and_leave(ExitKind::budget);

    r_.exit_trap = begin();
    e_.pop(RDX);
    e_.mov_rm(4, RCX, {.base = RDX, .disp = 3});
    go_back_and_leave(ExitKind::trap);

    r_.exit_unlinked = begin();
    e_.pop(RDX);
    e_.op_rm(8, 0x63, RAX, {.base = RDX, .disp = 4});  // movsxd: the target
    e_.alu_rm(kAdd, 8, RAX, state(HINDSIGHT_STATE(page_base)));
    e_.mov_mr(8, state(HINDSIGHT_STATE(pc)), RAX);
    leave_as(ExitKind::unlinked);

    r_.lookup_site = begin();
    e_.pop(RDX);
    e_.op_rm(8, 0x63, RAX, {.base = RDX, .disp = 4});
    e_.alu_rm(kAdd, 8, RAX, state(HINDSIGHT_STATE(page_base)));
    emit_jump_lookup(e_, r_);

    for (const bool vectors : {false, true}) {
      r_.slow_access[vectors ? 1 : 0] = slow(slow_access, vectors);
      r_.slow_x87[vectors ? 1 : 0] = slow(slow_x87, vectors);
    }
    for (unsigned k = 0; k < 3; ++k) call(static_cast<CallClass>(k));
  }

 private:
  /// A library may have left the upper halves of the vector registers in use, with which every SSE
  /// instruction takes about twice as long.
  void clear_upper_halves() {
    if (!__builtin_cpu_supports("avx")) return;
    for (const int byte : {0xC5, 0xF8, 0x77}) e_.u8(static_cast<std::uint8_t>(byte));  // vzeroupper
  }
  const std::uint8_t* begin() {
    while (reinterpret_cast<std::uintptr_t>(e_.cursor()) % 16 != 0) e_.u8(0xCC);
    return e_.cursor();
  }
  void leave_as(ExitKind kind) {
    e_.mov_ri(RAX, static_cast<std::uint64_t>(kind));
    e_.jmp_to(r_.leave);
  }
  const std::uint8_t* exit_with_pc(ExitKind kind) {
    const std::uint8_t* at = begin();
    e_.mov_mr(8, state(HINDSIGHT_STATE(pc)), RAX);
    leave_as(kind);
    return at;
  }
  /// RCX = page offset | instructions to give back << 16.
  void go_back_and_leave(ExitKind kind) {
    e_.movzx_rr(2, RAX, RCX);
    e_.alu_rm(kAdd, 8, RAX, state(HINDSIGHT_STATE(page_base)));
    e_.mov_mr(8, state(HINDSIGHT_STATE(pc)), RAX);
    e_.shift_ri(kShr, 4, RCX, 16);
    e_.alu_ri(kAnd, 4, RCX, 0x7F);
    e_.alu_rr(kAdd, 8, kBudget, RCX);
    leave_as(kind);
  }
  static bool is_volatile(Reg r) {
    for (Reg v : kPinnedVolatile)
      if (v == r) return true;
    return false;
  }
  void load_pinned(bool only_volatile) {
    for (unsigned i = 0; i < kPinnedCount; ++i)
      if (layout_.pinned_offset[i] >= 0 && (!only_volatile || is_volatile(kPinned[i])))
        e_.mov_rm(8, kPinned[i], state(layout_.pinned_offset[i]));
  }
  void store_pinned(bool only_volatile) {
    for (unsigned i = 0; i < kPinnedCount; ++i)
      if (layout_.pinned_offset[i] >= 0 && (!only_volatile || is_volatile(kPinned[i])))
        e_.mov_mr(8, state(layout_.pinned_offset[i]), kPinned[i]);
  }

  /// Preserves every register and the flags, but for the result in the state.
  const std::uint8_t* slow(SlowFunction function, bool vectors) {
    constexpr Reg kSaved[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};
    constexpr std::int32_t kVectorBytes = 256;
    const std::uint8_t* entry = begin();
    e_.u8(0x9C);  // pushfq
    for (Reg r : kSaved) e_.push(r);
    const std::int32_t frame = 8 + (vectors ? kVectorBytes : 0);
    e_.alu_ri(kSub, 8, RSP, frame);
    if (vectors)
      for (Reg x = 0; x < 16; ++x) e_.movups_mr({.base = RSP, .disp = x * 16}, x);
    e_.mov_mr(8, state(HINDSIGHT_STATE(budget)), kBudget);
    e_.mov_rr(8, RDI, kState);
    e_.mov_rm(8, RSI, {.base = RSP, .disp = frame + 8 * static_cast<std::int32_t>(std::size(kSaved) + 1)});
    e_.mov_ri(RAX, reinterpret_cast<std::uint64_t>(function));
    e_.call_r(RAX);
    e_.test_rr(4, RAX, RAX);
    std::uint8_t* trapped = e_.jcc(kNe);
    const auto restore = [&] {
      if (vectors)
        for (Reg x = 0; x < 16; ++x) e_.movups_rm(x, {.base = RSP, .disp = x * 16});
      e_.alu_ri(kAdd, 8, RSP, frame);
      for (auto r = std::rbegin(kSaved); r != std::rend(kSaved); ++r) e_.pop(*r);
      e_.u8(0x9D);  // popfq
    };
    restore();
    e_.ret();
    e_.patch_here(trapped);
    restore();
    e_.jmp_to(r_.exit_trap);
    return entry;
  }

  /// RAX = function. Generated code keeps nothing in RCX, RDX, RSI and vector registers here.
  void call(CallClass kind) {
    r_.call[kind] = begin();
    store_pinned(kind == kCallPure);
    e_.mov_mr(8, state(HINDSIGHT_STATE(budget)), kBudget);
    e_.mov_rr(8, RDI, kState);
    e_.alu_ri(kSub, 8, RSP, 8);
    e_.call_r(RAX);
    e_.alu_ri(kAdd, 8, RSP, 8);
    load_pinned(kind != kCallWrites);
    if (kind == kCallWrites) e_.mov_rm(8, kBudget, state(HINDSIGHT_STATE(budget)));
    e_.ret();
  }

  Emitter& e_;
  Layout& layout_;
  Routines& r_;
};

}  // namespace

void emit_routines(Emitter& e, Layout& layout) { Writer(e, layout).all(); }

void emit_jump_lookup(Emitter& e, const Routines& routines) {
  e.mov_rr(8, RCX, RAX);
  e.alu_rm(kXor, 8, RCX, state(HINDSIGHT_STATE(mode)));
  e.mov_rr(4, RDX, RCX);
  e.shift_ri(kShr, 4, RDX, 4);
  e.mov_rr(4, RSI, RCX);
  e.shift_ri(kShl, 4, RSI, 4);
  e.alu_ri(kAnd, 4, RSI, 0xF0);
  e.alu_rr(kXor, 4, RDX, RSI);
  e.alu_ri(kAnd, 4, RDX, ir::kJumpSize - 1);
  e.shift_ri(kShl, 4, RDX, 4);
  static_assert(sizeof(ir::JumpEntry) == 16);
  e.alu_rm(kAdd, 8, RDX, state(HINDSIGHT_STATE(jumps)));
  e.alu_rm(kCmp, 8, RCX, {.base = RDX});
  Emitter::patch(e.jcc(kNe), routines.exit_lookup);
  e.alu_ri(kAnd, 8, RAX, -4096);
  e.mov_mr(8, state(HINDSIGHT_STATE(page_base)), RAX);
  e.jmp_m({.base = RDX, .disp = static_cast<std::int32_t>(offsetof(ir::JumpEntry, code))});
}

}  // namespace hindsight::engine::host::x64
