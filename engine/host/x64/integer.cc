// Integer operations: sums, logic, conversions, comparisons and selections.
#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kFlagC;
using ir::kFlagsAll;
using ir::kNoValue;

namespace {
Alu alu_of(ir::Op op) {
  switch (op) {
    case ir::Op::Add:
      return kAdd;
    case ir::Op::Sub:
      return kSub;
    case ir::Op::Adc:
      return kAdc;
    case ir::Op::Sbb:
      return kSbb;
    case ir::Op::And:
      return kAnd;
    case ir::Op::Or:
      return kOr;
    default:
      return kXor;
  }
}
bool commutes(Alu op) { return op != kSub && op != kSbb && op != kCmp; }
}  // namespace

void BlockCompiler::emit_alu_op(Alu op, unsigned size, Reg dst, const Operand& b) {
  switch (b.kind) {
    case Operand::reg:
      return e_->alu_rr(op, size, dst, b.r);
    case Operand::imm:
      return e_->alu_ri(op, size, dst, b.value);
    case Operand::mem:
      return e_->alu_rm(op, size, dst, b.m);
  }
}

/// Only the flags of a Sub or And are wanted.
void BlockCompiler::emit_compare_only(std::size_t i, Alu op, unsigned size) {
  const Inst& inst = insts_[i];
  const ValueState& first = values_[inst.a];
  const Operand b = operand(inst.b, size);
  if (op == kSub && first.place == Place::slot && b.kind != Operand::mem) {
    if (b.kind == Operand::imm)
      e_->alu_mi(kCmp, size, state(first.offset), b.value);
    else
      e_->alu_mr(kCmp, size, state(first.offset), b.r);
  } else {
    const Reg a = reg_of(inst.a);
    if (op == kSub)
      emit_alu_op(kCmp, size, a, b);
    else if (b.kind == Operand::imm)
      e_->test_ri(size, a, b.value);
    else if (b.kind == Operand::reg)
      e_->test_rr(size, a, b.r);
    else
      e_->op_rm(size, 0x85, a, b.m);
  }
  use(inst.a), use(inst.b);
  define_flags(inst.flags_out, kFlagsAll, 0);
  unlock_all();
}

void BlockCompiler::emit_alu(std::size_t i) {
  const Inst& inst = insts_[i];
  const Alu op = alu_of(inst.op);
  const unsigned size = ir::bytes_of(inst.type);
  const std::uint8_t needed = needed_flags(i);
  const bool one = (op == kAdd || op == kSub) && is_const(inst.b) && values_[inst.b].constant == 1;
  // Flags that this leaves alone stay put: INC and DEC keep C.
  const bool keeps_carry = one && needed != 0 && !(needed & kFlagC) && (after_[i] & kFlagC);
  const bool carry_used = op == kAdc || op == kSbb;
  if (carry_used) {
    if ((after_[i] & ~needed) != 0) sync_flags();
    carry_ready();
    drop_recipe();
    host_ = 0, zero_ = 0;
    if (needed == 0) saved_ = true;
  } else if (needed != 0 && !keeps_carry) {
    before_partial_flags(i, inst.flags_out);
  }
  if (needed != 0 && keeps_carry) {
    if (recipe_.active) sync_flags(), host_ = 0, zero_ = 0;
    const auto others = static_cast<std::uint8_t>(after_[i] & ~inst.flags_out & ~kFlagC);
    if (others != 0) before_partial_flags(i, inst.flags_out);
  }
  if (needed != 0 && values_[i].uses == 0 && (op == kSub || op == kAnd) && !keeps_carry)
    return emit_compare_only(i, op, size);

  const Recipe plan = plan_recipe(i);
  const bool swap =
      commutes(op) && values_[inst.a].place != Place::reg && values_[inst.b].place == Place::reg;
  const Value va = swap ? inst.b : inst.a, vb = swap ? inst.a : inst.b;
  const bool a_const = is_const(va);
  Reg a = kNoReg;
  if (!a_const && (values_[va].place == Place::reg)) a = reg_of(va);
  Operand b = operand(vb, size);
  // A three-operand sum that leaves the flags alone.
  const bool flags_held = !recipe_.active && !saved_ && (after_[i] & (host_ | zero_)) != 0;
  const bool lea_ok = op == kAdd && needed == 0 && b.kind != Operand::mem;
  const bool lea_sub = op == kSub && needed == 0 && b.kind == Operand::imm && b.value != INT32_MIN;
  if (a == kNoReg && (lea_ok || lea_sub)) a = reg_of(va);
  const ValueState& place_a = values_[va];
  const Mem a_mem = a != kNoReg || a_const         ? Mem{}
                    : place_a.place == Place::slot ? state(place_a.offset)
                                                   : spill_slot(static_cast<unsigned>(place_a.offset));
  const std::int64_t a_value = place_a.constant;
  use(inst.a), use(inst.b);
  Reg dst = destination(i, va);
  const bool narrow = size < 4 && is_pinned(dst);
  if ((lea_ok || lea_sub) && !narrow && (dst != a || flags_held)) {
    const unsigned wide = size == 8 ? 8 : 4;
    if (b.kind == Operand::imm)
      e_->lea(wide, dst, {.base = a, .disp = static_cast<std::int32_t>(lea_sub ? -b.value : b.value)});
    else
      e_->lea(wide, dst, {.base = a, .index = b.r});
    return finish(i, dst, size >= 4);
  }
  if (needed == 0 && !carry_used) clobber_flags(after_[i]);
  Reg work = dst;
  if (b.kind == Operand::reg && b.r == dst && a != dst) {
    if (commutes(op) && a != kNoReg)
      b.r = a, a = dst;
    else
      work = kScratch;
  }
  if (a != work) {
    const bool exact = size < 4 && is_pinned(work);
    if (a != kNoReg)
      e_->mov_rr(exact ? size : size == 8 ? 8 : 4, work, a);
    else if (a_const && exact)
      e_->mov_ri_narrow(size, work, a_value);
    else if (a_const)
      e_->mov_ri(work, static_cast<std::uint64_t>(a_value));
    else if (exact)
      e_->mov_rm(size, work, a_mem);
    else
      e_->movzx_rm(size, work, a_mem);
  }
  if (keeps_carry)
    op == kAdd ? e_->inc(size, work) : e_->dec(size, work);
  else
    emit_alu_op(op, size, work, b);
  if (work != dst) e_->mov_rr(narrow ? size : size == 8 ? 8 : 4, dst, work);
  if (needed != 0) define_flags(inst.flags_out, kFlagsAll, 0);
  finish(i, dst, size >= 4);
  if (needed != 0) start_recipe(plan);
}

void BlockCompiler::emit_unary(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type);
  const std::uint8_t needed = needed_flags(i);
  const Reg a = reg_of(inst.a);
  if (inst.op == Op::Neg) {
    if (needed)
      before_partial_flags(i, inst.flags_out);
    else
      clobber_flags(after_[i]);
  }
  use(inst.a);
  const Reg dst = destination(i, inst.a);
  if (dst != a) e_->mov_rr(size < 4 && is_pinned(dst) ? size : size == 8 ? 8 : 4, dst, a);
  if (inst.op == Op::Neg) {
    e_->neg(size, dst);
    if (needed) define_flags(inst.flags_out, kFlagsAll, 0);
  } else if (inst.op == Op::Not) {
    e_->not_(size, dst);
  } else {  // Bswap
    if (size == 8)
      e_->u8(dst >= 8 ? 0x49 : 0x48);
    else if (dst >= 8)
      e_->u8(0x41);
    e_->u8(0x0F), e_->u8(0xC8u | (dst & 7));
  }
  finish(i, dst, size >= 4);
}

void BlockCompiler::emit_convert(std::size_t i) {
  const Inst& inst = insts_[i];
  ValueState& s = values_[inst.a];
  ValueState& me = values_[i];
  const unsigned from = ir::bytes_of(s.type), to = ir::bytes_of(inst.type);
  if (s.place == Place::constant) {
    std::int64_t c = s.constant;
    if (inst.op == Op::Sext) c = narrow_constant(c, from);
    me.place = Place::constant;
    me.constant = to == 8 ? c : c & static_cast<std::int64_t>((std::uint64_t{1} << to * 8) - 1);
    return use(inst.a);
  }
  if (inst.op == Op::Trunc && s.place == Place::slot) {
    const std::int32_t offset = s.offset;
    use(inst.a);
    return place_in_slot(static_cast<Value>(i), offset);
  }
  const bool alias = inst.op == Op::Trunc || (inst.op == Op::Zext && s.upper_zero && s.place == Place::reg);
  if (alias) {
    const Reg r = reg_of(inst.a);
    const bool upper_zero = inst.op == Op::Zext;
    const Reg target = me.target;
    if (target == kNoReg || target == r || inst.op == Op::Trunc) {
      use(inst.a);
      place_in_reg(static_cast<Value>(i), r, upper_zero);
      return unlock_all();
    }
  }
  const bool memory = s.place == Place::slot || s.place == Place::spill;
  const Mem m = s.place == Place::slot    ? state(s.offset)
                : s.place == Place::spill ? spill_slot(static_cast<unsigned>(s.offset))
                                          : Mem{};
  const Reg a = memory ? kNoReg : reg_of(inst.a);
  use(inst.a);
  const Reg dst = destination(i, inst.a);
  if (inst.op == Op::Zext)
    memory ? e_->movzx_rm(from, dst, m) : e_->movzx_rr(from, dst, a);
  else
    memory ? e_->movsx_rm(from, to, dst, m) : e_->movsx_rr(from, to, dst, a);
  finish(i, dst, inst.op == Op::Zext || to >= 4);
}

void BlockCompiler::emit_cond(std::size_t i) {
  const Inst& inst = insts_[i];
  const bool compare = inst.op != Op::Cond;
  if (can_defer_condition(i)) {
    values_[i].place = compare ? Place::compare : Place::cond;
    return;
  }
  values_[i].place = compare ? Place::compare : Place::cond;
  ++values_[i].uses;  // boolean_ready releases one
  if (compare) clobber_flags(after_[i]);
  const Cc cc = boolean_ready(static_cast<Value>(i));
  values_[i].place = Place::none;
  const Reg dst = destination(i, kNoValue);
  e_->setcc(cc, dst);
  finish(i, dst, false);
}

void BlockCompiler::emit_select(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type) == 8 ? 8 : 4;
  const Cc cc = boolean_ready(inst.a);
  // From here on nothing may touch EFLAGS.
  const Reg b = reg_of(inst.b), c = reg_of(inst.c);
  use(inst.b), use(inst.c);
  const Reg dst = destination(i, inst.c);
  if (dst == b && dst != c) {
    e_->cmov(invert(cc), size, dst, c);
  } else {
    if (dst != c) e_->mov_rr(size, dst, c);
    e_->cmov(cc, size, dst, b);
  }
  finish(i, dst, size == 8 || inst.type == Type::I32);
}

void BlockCompiler::emit_get_flags(std::size_t i) {
  sync_flags();
  host_ = 0, zero_ = 0;
  const Reg dst = destination(i, kNoValue);
  e_->movzx_rm(1, kScratch, state(HINDSIGHT_STATE(flags)));
  e_->alu_ri(kAnd, 4, kScratch, 1);
  e_->shift_ri(kShl, 4, kScratch, 11);
  e_->movzx_rm(1, dst, state(HINDSIGHT_STATE(flags) + 1));
  e_->alu_ri(kAnd, 4, dst, 0xD5);
  e_->alu_rr(kOr, 4, dst, kScratch);
  finish(i, dst, true);
}

void BlockCompiler::emit_set_flags(std::size_t i) {
  const Inst& inst = insts_[i];
  const std::uint8_t needed = needed_flags(i);
  if (needed == 0) return use(inst.a);
  before_partial_flags(i, inst.flags_out);
  const Reg a = reg_of(inst.a);
  const std::uint16_t mask = ir::packed_mask(inst.flags_out);
  const auto merge = [&](std::int32_t at, unsigned keep) {
    if (keep == 0) return e_->mov_mr(1, state(at), kScratch);
    e_->alu_mi(kAnd, 1, state(at), static_cast<std::int8_t>(keep));
    e_->alu_mr(kOr, 1, state(at), kScratch);
  };
  if (const unsigned high = (mask >> 8) & 0xD5u) {
    e_->mov_rr(4, kScratch, a);
    e_->alu_ri(kAnd, 4, kScratch, high);
    e_->alu_ri(kOr, 4, kScratch, 2);
    merge(HINDSIGHT_STATE(flags) + 1, high == 0xD5 ? 0 : ~high & 0xFF);
  }
  if (mask & ir::packed::kV) {
    e_->mov_rr(4, kScratch, a);
    e_->shift_ri(kShr, 4, kScratch, 11);
    e_->alu_ri(kAnd, 4, kScratch, 1);
    merge(HINDSIGHT_STATE(flags), 0);
  }
  use(inst.a);
  drop_recipe();
  host_ = 0, zero_ = 0, saved_ = true;
  unlock_all();
}

}  // namespace hindsight::engine::host::x64
