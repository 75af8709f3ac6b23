// Dispatch over operations, calls, traps and the ends of blocks.
#include <algorithm>
#include <iterator>

#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"
#include "engine/host/x64/routines.h"

namespace hindsight::engine::host::x64 {

using ir::kFlagsAll;
using ir::kNoValue;

void BlockCompiler::compile(const ir::Block& block, Emitter& hot, Emitter& cold, CompiledBlock& out) {
  analyse(block);
  analyse_groups();
  analyse_loop(block);
  group_regs_ = 0;
  e_ = hot_ = &hot, cold_ = &cold, out_ = &out;
  std::fill(std::begin(chain_), std::end(chain_), kNoValue);
  slot_chain_ = kNoValue;
  locked_ = xlocked_ = xmm_used_ = 0;
  cached_.clear();
  spill_used_ = spill_freed_ = 0;
  host_ = zero_ = 0, saved_ = true;
  recipe_ = Recipe{};
  x87_ = X87State{};
  start_offset_ = page_offset_ = block.start_offset, insn_index_ = 0;

  e_->alu_ri(kSub, 8, kBudget, insn_count_);
  std::uint8_t* refused = e_->jcc(kL);
  cold_->patch_here(refused);
  refused_ = cold_->cursor();
  cold_->call_to(layout_.routines.exit_budget);
  cold_->u32(block.start_offset | insn_count_ << 16);
  for (int slot = 0; slot < loop_slots_; ++slot) e_->mov_mi(8, loop_word(slot, kLoopLimit), 0);
  preload_vectors();
  round_ = e_->cursor();
  for (std::size_t i = 0; i < count_; ++i) emit(i);
}

void BlockCompiler::emit(std::size_t i) {
  const Inst& inst = insts_[i];
  if (values_[i].dead) return;
  at_ = i;
  switch (inst.op) {
    case Op::Const:
      values_[i].place = Place::constant;
      values_[i].constant =
          inst.type == Type::I64 ? inst.imm : inst.imm & ((std::int64_t{1} << ir::bits_of(inst.type)) - 1);
      return;
    case Op::LoadReg:
      return emit_load_reg(i);
    case Op::StoreReg:
      return emit_store_reg(i);
    case Op::GetPc: {
      if (values_[i].place == Place::folded) return;
      const Reg dst = destination(i, kNoValue);
      e_->mov_rm(8, dst, state(HINDSIGHT_STATE(page_base)));
      if (fits_i32(inst.imm)) {
        if (inst.imm != 0) e_->lea(8, dst, {.base = dst, .disp = static_cast<std::int32_t>(inst.imm)});
      } else {
        e_->mov_ri(kScratch, static_cast<std::uint64_t>(inst.imm));
        e_->lea(8, dst, {.base = dst, .index = kScratch});
      }
      return finish(i, dst, true);
    }
    case Op::GetIcount: {  // budget_end - budget - (instructions from this one to the block's end)
      const Reg dst = destination(i, kNoValue);
      e_->mov_rm(8, kScratch, state(HINDSIGHT_STATE(budget_end)));
      e_->mov_rr(8, dst, kBudget);
      e_->not_(8, dst);
      e_->lea(
          8, dst,
          {.base = dst, .index = kScratch, .disp = 1 - static_cast<std::int32_t>(insn_count_ - insn_index_)});
      return finish(i, dst, true);
    }
    case Op::Add:
      if (values_[i].place == Place::folded) return;
      [[fallthrough]];
    case Op::Sub:
    case Op::Adc:
    case Op::Sbb:
    case Op::And:
    case Op::Or:
    case Op::Xor:
      return emit_alu(i);
    case Op::Neg:
    case Op::Not:
    case Op::Bswap:
      return emit_unary(i);
    case Op::Shl:
      if (values_[i].place == Place::folded) return;
      [[fallthrough]];
    case Op::Shr:
    case Op::Sar:
    case Op::Rol:
    case Op::Ror:
      return emit_shift(i);
    case Op::ShlD:
    case Op::ShrD:
      return emit_double_shift(i);
    case Op::Mul:
      return emit_mul(i);
    case Op::UMulH:
    case Op::SMulH:
      return emit_mul_high(i);
    case Op::BsfOr:
    case Op::BsrOr:
    case Op::Popcnt:
      return emit_bit_scan(i);
    case Op::BitTest:
      return emit_bit_test(i);
    case Op::Zext:
    case Op::Sext:
    case Op::Trunc:
      return emit_convert(i);
    case Op::CmpEq:
    case Op::CmpLtU:
    case Op::CmpLtS:
    case Op::Cond:
      return emit_cond(i);
    case Op::Select:
      return emit_select(i);
    case Op::GetFlags:
      return emit_get_flags(i);
    case Op::SetFlags:
      return emit_set_flags(i);
    case Op::Load:
      return emit_load(i);
    case Op::Store:
      return emit_store(i);
    case Op::Vec:
    case Op::VecInt:
    case Op::IntVec:
    case Op::VecFlags:
      return emit_vector(i);
    case Op::Call:
      return emit_call(i);
    case Op::X87:
      return emit_x87(i);
    case Op::TrapIf:
      return emit_trap_if(i);
    case Op::InsnStart:
      page_offset_ = static_cast<std::uint32_t>(inst.imm);
      insn_index_ = inst.sub;
      return;
    case Op::Jump:
    case Op::Branch:
    case Op::JumpIndirect:
    case Op::Leave:
      return emit_end(i);
  }
}

void BlockCompiler::emit_call(std::size_t i) {
  const Inst& inst = insts_[i];
  x87_close();
  const std::uint32_t effects = inst.helper->effects;
  const bool sees_flags = effects & (ir::kMayTrap | ir::kReadsFlags | ir::kWritesFlags);
  if (sees_flags)
    sync_flags();
  else
    clobber_flags(before_[i]);
  host_ = 0, zero_ = 0;
  write_back_vectors();
  drop_vectors();
  for (Reg t : kTemps) evict(t, true);
  constexpr Reg kArguments[] = {RSI, RDX, RCX};
  const Value arguments[] = {inst.a, inst.b, inst.c};
  for (unsigned k = 0; k < 3; ++k) {
    lock(kArguments[k]);
    if (arguments[k] == kNoValue)
      e_->mov_ri(kArguments[k], 0);
    else
      load_into(kArguments[k], arguments[k]);
  }
  for (Value v : arguments) use(v);
  // Values that stand for guest state which the helper may change.
  if (effects & ir::kWritesRegisters)
    for (Reg p : kPinned) evict(p, true);
  if (effects != ir::kPure)
    while (slot_chain_ != kNoValue) {
      const ValueState& s = values_[slot_chain_];
      evacuate_slots(s.offset, 1);
    }
  const CallClass kind = (effects & ir::kWritesRegisters)  ? kCallWrites
                         : (effects & ir::kReadsRegisters) ? kCallReads
                                                           : kCallPure;
  e_->mov_ri(RAX, reinterpret_cast<std::uint64_t>(inst.helper->fn));
  e_->call_to(layout_.routines.call[kind]);
  if (effects & ir::kMayTrap) {
    e_->alu_mi(kCmp, 4, state(HINDSIGHT_STATE(trap)), 0);
    std::uint8_t* trapped = e_->jcc(kNe);
    cold_->patch_here(trapped);
    e_ = cold_;
    trap_exit_site();
    e_ = hot_;
  }
  unlock_all();
  const Reg dst = destination(i, kNoValue);
  if (dst != RAX) e_->mov_rr(8, dst, RAX);
  finish(i, dst, true);
}

void BlockCompiler::trap_exit_site() {
  e_->call_to(layout_.routines.exit_trap);
  e_->u8(0x0F), e_->u8(0x1F), e_->u8(0x80), e_->u32(site().pack());
}

void BlockCompiler::emit_trap_if(std::size_t i) {
  const Inst& inst = insts_[i];
  clobber_flags(kFlagsAll);
  const Reg a = reg_of(inst.a);
  if (fits_i32(inst.imm)) {
    e_->test_ri(8, a, inst.imm);
  } else {
    e_->mov_ri(kScratch, static_cast<std::uint64_t>(inst.imm));
    e_->test_rr(8, a, kScratch);
  }
  std::uint8_t* trapped = e_->jcc(kNe);
  e_ = cold_;
  e_->patch_here(trapped);
  flags_for_trap();
  for (const CachedVector& c : cached_)
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg);
  x87_suspend();
  const std::int32_t trap = HINDSIGHT_STATE(trap);
  const auto field = [&](std::size_t offset, std::int64_t value, unsigned size) {
    e_->mov_mi(size, state(trap + static_cast<std::int32_t>(offset)), value);
  };
  field(offsetof(ir::Trap, kind), static_cast<std::int64_t>(ir::TrapKind::guest), 4);
  field(offsetof(ir::Trap, vector), inst.imm2, 4);
  field(offsetof(ir::Trap, error_code), 0, 4);
  field(offsetof(ir::Trap, has_error_code), 1, 4);
  field(offsetof(ir::Trap, address), 0, 8);
  trap_exit_site();
  e_ = hot_;
  use(inst.a);
  unlock_all();
}

void BlockCompiler::pc_to_scratch(std::int64_t offset) {
  if (fits_i32(offset)) {
    e_->mov_rm(8, kScratch, state(HINDSIGHT_STATE(page_base)));
    if (offset != 0) e_->lea(8, kScratch, {.base = kScratch, .disp = static_cast<std::int32_t>(offset)});
    return;
  }
  e_->mov_ri(kScratch, static_cast<std::uint64_t>(offset));
  e_->alu_rm(kAdd, 8, kScratch, state(HINDSIGHT_STATE(page_base)));
}

/// Registers a jump within the page; until linked it leads to a stub that leaves.
void BlockCompiler::add_site(std::uint8_t* patch, std::int64_t target) {
  const auto offset = [&](const std::uint8_t* p) {
    return static_cast<std::uint32_t>(p - layout_.write_base);
  };
  Emitter::patch(patch, cold_->cursor());
  out_->sites[out_->site_count++] = {offset(patch), offset(cold_->cursor()),
                                     static_cast<std::int32_t>(target)};
  cold_->call_to(layout_.routines.exit_unlinked);
  cold_->u32(offset(patch));
  cold_->u32(static_cast<std::uint32_t>(target));
}

/// A helper of this block may have asked to be back in the run loop.
void BlockCompiler::emit_leave_check(std::int64_t target) {
  if (!has_call_) return;
  e_->alu_mi(kCmp, 1, state(HINDSIGHT_STATE(leave)), 0);
  std::uint8_t* stay = e_->jcc(kE);
  pc_to_scratch(target);
  e_->jmp_to(layout_.routines.exit_leave);
  e_->patch_here(stay);
}

/// The jump of a block to itself.
void BlockCompiler::emit_next_round() {
  restore_preloaded();
  e_->alu_ri(kSub, 8, kBudget, insn_count_);
  Emitter::patch(e_->jcc(kGe), round_);
  e_->jmp_to(refused_);
}

void BlockCompiler::emit_target(std::int64_t target) {
  emit_leave_check(target);
  if (target >= 0 && target < 4096) return add_site(e_->jmp(), target);
  pc_to_scratch(target);
  emit_jump_lookup(*e_, layout_.routines);
}

void BlockCompiler::emit_branch(std::size_t i) {
  const Inst& inst = insts_[i];
  const Cc cc = boolean_ready(inst.a);
  if (loops_) {
    const bool if_taken = inst.imm == start_offset_;
    const std::int64_t out = if_taken ? inst.imm2 : inst.imm;
    std::uint8_t* leaves = e_->jcc(if_taken ? invert(cc) : cc);
    emit_next_round();
    if (out >= 0 && out < 4096) return add_site(leaves, out);
    e_ = cold_;
    e_->patch_here(leaves);
    emit_target(out);
    e_ = hot_;
    return;
  }
  std::uint8_t* taken = e_->jcc(cc);
  if (!has_call_ && inst.imm >= 0 && inst.imm < 4096) {
    emit_target(inst.imm2);
    return add_site(taken, inst.imm);
  }
  emit_target(inst.imm2);
  e_ = cold_;
  e_->patch_here(taken);
  if (inst.imm >= 0 && inst.imm < 4096) {
    emit_leave_check(inst.imm);
    std::uint8_t* jump = e_->jmp();
    add_site(jump, inst.imm);
  } else {
    emit_target(inst.imm);
  }
  e_ = hot_;
}

void BlockCompiler::emit_end(std::size_t i) {
  const Inst& inst = insts_[i];
  sync_flags();
  x87_close();
  write_back_vectors();
  switch (inst.op) {
    case Op::Jump:
      return loops_ ? emit_next_round() : emit_target(inst.imm);
    case Op::Branch:
      return emit_branch(i);
    default:
      break;
  }
  load_into(RAX, inst.a);
  use(inst.a);
  unlock_all();
  if (inst.op == Op::Leave) return e_->jmp_to(layout_.routines.exit_leave);
  if (has_call_) {
    e_->alu_mi(kCmp, 1, state(HINDSIGHT_STATE(leave)), 0);
    Emitter::patch(e_->jcc(kNe), layout_.routines.exit_leave);
  }
  emit_jump_lookup(*e_, layout_.routines);
}

}  // namespace hindsight::engine::host::x64
