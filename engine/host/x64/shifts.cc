// Shifts, rotations, multiplications and bit operations. What the host leaves undefined in the flags gets the
// values of ops.def here.
#include <utility>

#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kFlagA;
using ir::kFlagC;
using ir::kFlagsAll;
using ir::kFlagsCV;
using ir::kFlagV;
using ir::kFlagZ;
using ir::kNoValue;

namespace {
Shift shift_of(ir::Op op) {
  switch (op) {
    case ir::Op::Shl:
      return kShl;
    case ir::Op::Shr:
      return kShr;
    case ir::Op::Sar:
      return kSar;
    case ir::Op::Rol:
      return kRol;
    default:
      return kRor;
  }
}
}  // namespace

void BlockCompiler::emit_shift(std::size_t i) {
  const Inst& inst = insts_[i];
  if (!is_const(inst.b)) return emit_shift_variable(i);
  const unsigned count = static_cast<unsigned>(values_[inst.b].constant) & (inst.type == Type::I64 ? 63 : 31);
  emit_shift_const(i, count);
}

void BlockCompiler::emit_shift_const(std::size_t i, unsigned count) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type), bits = size * 8;
  const bool rotate = inst.op == Op::Rol || inst.op == Op::Ror;
  const std::uint8_t needed = count == 0 ? 0 : needed_flags(i);
  if (count != 0) {
    if (needed == 0) {
      clobber_flags(after_[i]);
    } else if (rotate) {  // the host leaves the other flags alone
      if (recipe_.active) sync_flags(), host_ = 0, zero_ = 0;
      if (after_[i] & ~inst.flags_out & kFlagsCV) before_partial_flags(i, inst.flags_out);
    } else {
      before_partial_flags(i, inst.flags_out);
    }
  }
  const Reg a = reg_of(inst.a);
  use(inst.a), use(inst.b);
  const Reg dst = destination(i, inst.a);
  if (dst != a) e_->mov_rr(size == 8 ? 8 : 4, dst, a);
  if (count == 0) return finish(i, dst, false);
  if (inst.op == Op::Sar && count > bits) count = bits;  // C is the sign either way
  e_->shift_ri(shift_of(inst.op), size, dst, count);
  if (needed != 0) {
    std::uint8_t zero = rotate ? 0 : kFlagA;
    if (count != 1) zero |= kFlagV;
    if (!rotate && inst.op != Op::Sar && count > bits) zero |= kFlagC;
    define_flags(inst.flags_out, static_cast<std::uint8_t>(kFlagsAll & ~zero), zero);
  }
  finish(i, dst, size >= 4);
}

/// After a shift by CL & mask, which is not zero and still in ECX: flags to the state.
void BlockCompiler::save_shift_flags(std::uint8_t mask) {
  e_->lahf();
  e_->setcc(kO, RAX);
  e_->alu_ri(kCmp, 4, RCX, 1);
  e_->setcc(kE, RCX);
  e_->alu_rr(kAnd, 1, RAX, RCX);             // V only for a count of 1
  e_->u8(0x80), e_->u8(0xE4), e_->u8(0xEF);  // and ah, ~A
  const std::uint16_t defined = ir::packed_mask(mask);
  const Mem flags = state(HINDSIGHT_STATE(flags));
  if (mask == kFlagsAll) return e_->mov_mr(2, flags, RAX);
  e_->alu_ri(kAnd, 4, RAX, defined);
  e_->alu_mi(kAnd, 2, flags, static_cast<std::int16_t>(~defined));
  e_->alu_mr(kOr, 2, flags, RAX);
}

/// Shifts and rotations by a value. A count of zero changes no flag, so where flags matter they go through
/// the state.
void BlockCompiler::emit_shift_variable(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type);
  const std::uint8_t needed = needed_flags(i);
  if (needed != 0)
    sync_flags();
  else
    clobber_flags(after_[i]);
  host_ = 0, zero_ = 0;
  if (!recipe_.active) drop_recipe();
  // The count into RCX, which may hold something else.
  ValueState& count = values_[inst.b];
  const bool alone = chain_[RCX] == inst.b && count.next == kNoValue && count.uses == 1 + (inst.a == inst.b);
  if (count.place == Place::reg && count.reg == RCX && alone)
    lock(RCX);
  else if (count.place == Place::reg && count.reg == RCX)
    take(RCX), e_->mov_rr(4, RCX, reg_of(inst.b));
  else
    take(RCX), load_into(RCX, inst.b);
  locked_ = 1u << RCX;  // the count's own register may be reused
  const Reg a = reg_of(inst.a);
  use(inst.a), use(inst.b);
  Reg dst = destination(i, inst.a);
  if (dst == RCX) dst = alloc();
  const bool exact = size < 4 && is_pinned(dst);
  if (dst != a) e_->mov_rr(exact ? size : size == 8 ? 8 : 4, dst, a);
  if (needed == 0) {
    e_->shift_rcl(shift_of(inst.op), size, dst);
  } else {
    e_->alu_ri(kAnd, 4, RCX, size == 8 ? 63 : 31);
    std::uint8_t* skip = e_->jcc_short(kE);
    e_->shift_rcl(shift_of(inst.op), size, dst);
    save_shift_flags(inst.flags_out);
    e_->patch_short_here(skip);
    saved_ = true;
  }
  finish(i, dst, size == 8);
}

void BlockCompiler::emit_double_shift(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type), bits = size * 8;
  const bool left = inst.op == Op::ShlD;
  std::uint8_t needed = needed_flags(i);
  const bool constant = is_const(inst.c);
  const unsigned count =
      constant ? static_cast<unsigned>(values_[inst.c].constant) & (size == 8 ? 63 : 31) : 0;
  if (constant) {
    const bool nothing = count == 0 || count > bits;
    if (nothing) needed = 0;
    if (needed != 0)
      before_partial_flags(i, inst.flags_out);
    else if (!nothing)
      clobber_flags(after_[i]);
    const Reg a = reg_of(inst.a), b = reg_of(inst.b);
    use(inst.a), use(inst.b), use(inst.c);
    Reg dst = destination(i, inst.a);
    const Reg work = dst == b && dst != a ? kScratch : dst;
    if (work != a) e_->mov_rr(8, work, a);
    if (!nothing) e_->op2_rr(size, left ? 0xA4 : 0xAC, b, work), e_->u8(count);
    if (work != dst) e_->mov_rr(8, dst, work);
    if (needed != 0) {
      const auto zero = static_cast<std::uint8_t>(kFlagA | (count != 1 ? kFlagV : 0));
      define_flags(inst.flags_out, static_cast<std::uint8_t>(kFlagsAll & ~zero), zero);
    }
    return finish(i, dst, size >= 4 && !nothing);
  }
  if (needed != 0)
    sync_flags();
  else
    clobber_flags(after_[i]);
  host_ = 0, zero_ = 0;
  if (!recipe_.active) drop_recipe();
  if (values_[inst.c].place == Place::reg && values_[inst.c].reg == RCX)
    take(RCX), e_->mov_rr(4, RCX, reg_of(inst.c));
  else
    take(RCX), load_into(RCX, inst.c);
  // The count has been copied; where its value sits does not matter any more.
  locked_ = 1u << RCX;
  const Reg b = reg_of(inst.b);
  load_into(kScratch, inst.a);
  use(inst.a), use(inst.b), use(inst.c);
  e_->alu_ri(kAnd, 4, RCX, size == 8 ? 63 : 31);
  std::uint8_t* skip = e_->jcc_short(kE);
  std::uint8_t* skip_large = nullptr;
  if (size == 2) e_->alu_ri(kCmp, 4, RCX, 16), skip_large = e_->jcc_short(kA);
  e_->op2_rr(size, left ? 0xA5 : 0xAD, b, kScratch);
  if (needed != 0) {
    const unsigned cell = alloc_spill(1);  // saving the flags needs the scratch register
    e_->mov_mr(8, spill_slot(cell), kScratch);
    save_shift_flags(inst.flags_out);
    e_->mov_rm(8, kScratch, spill_slot(cell));
    spill_freed_ |= std::uint64_t{1} << cell;
    saved_ = true;
  }
  e_->patch_short_here(skip);
  if (skip_large != nullptr) e_->patch_short_here(skip_large);
  locked_ = 0;
  const Reg dst = destination(i, kNoValue);
  e_->mov_rr(8, dst, kScratch);
  finish(i, dst, false);
}

void BlockCompiler::emit_mul(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type);
  const std::uint8_t needed = needed_flags(i);
  if (needed != 0)
    before_partial_flags(i, inst.flags_out);
  else
    clobber_flags(after_[i]);
  const auto defined = [&] {
    if (needed != 0) define_flags(inst.flags_out, kFlagsCV, kFlagsAll & ~kFlagsCV);
  };
  if (size == 1) {  // AX = AL * operand
    const Reg a = reg_of(inst.a), b = reg_of(inst.b);
    use(inst.a), use(inst.b);
    const Reg dst = destination(i, kNoValue);
    e_->mov_rr(4, RAX, a);
    e_->op_rr(1, 0xF7, 5, b);
    if (dst != RAX) e_->mov_rr(4, dst, RAX);
    defined();
    return finish(i, dst, false);
  }
  const bool swap = is_const(inst.a) && !is_const(inst.b);
  const Value va = swap ? inst.b : inst.a, vb = swap ? inst.a : inst.b;
  Reg a = reg_of(va);
  Operand b = operand(vb, size);
  use(inst.a), use(inst.b);
  const Reg dst = destination(i, va);
  if (b.kind == Operand::imm) {
    const bool small = fits_i8(b.value);
    e_->op_rr(size, small ? 0x6B : 0x69, dst, a);
    if (small)
      e_->u8(static_cast<unsigned>(b.value));
    else if (size == 2)
      e_->u8(static_cast<unsigned>(b.value)), e_->u8(static_cast<unsigned>(b.value >> 8));
    else
      e_->u32(static_cast<std::uint32_t>(b.value));
  } else {
    if (b.kind == Operand::reg && b.r == dst && a != dst) std::swap(a, b.r);
    if (a != dst) e_->mov_rr(size == 8 ? 8 : 4, dst, a);
    b.kind == Operand::reg ? e_->op2_rr(size, 0xAF, dst, b.r) : e_->op2_rm(size, 0xAF, dst, b.m);
  }
  defined();
  finish(i, dst, size >= 4);
}

void BlockCompiler::emit_mul_high(std::size_t i) {
  const Inst& inst = insts_[i];
  const std::uint8_t needed = needed_flags(i);
  if (needed != 0)
    before_partial_flags(i, inst.flags_out);
  else
    clobber_flags(after_[i]);
  const Reg b = reg_of(inst.b);
  load_into(RAX, inst.a);
  use(inst.a), use(inst.b);
  evict(RDX);  // what is still needed; b is read before RDX is written
  lock(RDX);
  e_->op_rr(8, 0xF7, inst.op == Op::UMulH ? 4 : 5, b);
  if (needed != 0) define_flags(inst.flags_out, kFlagsCV, kFlagsAll & ~kFlagsCV);
  const Reg target = values_[i].target;
  Reg dst = RDX;
  if (values_[i].uses != 0 && target != kNoReg) dst = destination(i, kNoValue), e_->mov_rr(8, dst, RDX);
  finish(i, dst, true);
}

void BlockCompiler::emit_bit_scan(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type), wide = size == 8 ? 8 : 4;
  const std::uint8_t needed = needed_flags(i);
  if (needed != 0)
    before_partial_flags(i, inst.flags_out);
  else
    clobber_flags(after_[i]);
  Reg a = reg_of(inst.a);
  if (size < 4) e_->movzx_rr(size, kScratch, a), a = kScratch;
  if (inst.op == Op::Popcnt) {
    use(inst.a);
    const Reg dst = destination(i, inst.a);
    e_->u8(0xF3);
    e_->op2_rr(wide, 0xB8, dst, a);
    if (needed != 0) define_flags(inst.flags_out, kFlagsAll, 0);
    return finish(i, dst, true);
  }
  const Reg b = reg_of(inst.b);
  e_->op2_rr(wide, inst.op == Op::BsfOr ? 0xBC : 0xBD, kScratch, a);
  e_->cmov(kE, wide, kScratch, b);  // Z exactly if a was zero
  use(inst.a), use(inst.b);
  const Reg dst = destination(i, inst.a);
  if (dst != kScratch) e_->mov_rr(wide, dst, kScratch);
  if (needed != 0) define_flags(inst.flags_out, kFlagZ, kFlagsAll & ~kFlagZ);
  finish(i, dst, size >= 4);
}

void BlockCompiler::emit_bit_test(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type);
  const std::uint8_t needed = needed_flags(i);
  const auto done = [&] { use(inst.a), use(inst.b), unlock_all(); };
  if (!(needed & kFlagC)) return done();
  before_partial_flags(i, kFlagC);
  const unsigned wide = size == 1 ? 4 : size;
  const Reg a = reg_of(inst.a);
  if (is_const(inst.b)) {
    e_->op2_rr(wide, 0xBA, 4, a);
    e_->u8(static_cast<unsigned>(values_[inst.b].constant) & (size * 8 - 1));
  } else {
    Reg b = reg_of(inst.b);
    if (size == 1) e_->mov_rr(4, kScratch, b), e_->alu_ri(kAnd, 4, kScratch, 7), b = kScratch;
    e_->op2_rr(wide, 0xA3, b, a);
  }
  define_flags(kFlagC, kFlagC, 0);
  done();
}

}  // namespace hindsight::engine::host::x64
