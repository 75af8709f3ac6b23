// Near branches, conditions, flags (SDM vol. 2).
#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Condition;
using ir::Op;
using ir::Type;
using ir::Value;

/// A target outside 64-bit mode wraps at 4 GiB, which an offset from the page cannot say: so a far-off one is
/// computed. Code does not lie within this distance of either end of the address space and jump across it.
constexpr std::int64_t kNearDistance = 1 << 24;

/// The relative target is not a plain page offset: it is cut to 16 bits, or may wrap.
bool target_wraps(const LiftContext& c) {
  if (c.code64()) return false;
  return c.d.operand_bytes == 2 || c.d.immediate > kNearDistance || c.d.immediate < -kNearDistance;
}

/// `pc` cut to the operand size, as near branches do.
Value cut(LiftContext& c, Value pc) { return c.b.zext(Type::I64, c.b.trunc(c.operand_type(), pc)); }

Value target_pc(LiftContext& c) { return cut(c, c.b.get_pc(c.branch_target())); }

void jump_relative(LiftContext& c) {
  if (target_wraps(c)) {
    c.end_with_jump_indirect(target_pc(c));
  } else {
    c.end_with_jump(c.branch_target());
  }
}

void branch_relative(LiftContext& c, Value condition) {
  if (target_wraps(c)) {
    c.end_with_jump_indirect(c.b.select(condition, target_pc(c), c.next_pc()));
  } else {
    c.end_with_branch(condition, c.branch_target());
  }
}

Condition condition_of(const LiftContext& c) { return static_cast<Condition>(c.d.opcode & 15u); }

Value return_address(LiftContext& c) { return c.b.trunc(c.operand_type(), c.next_pc()); }

/// LOOPcc: counts rCX of the address size down and branches if it is not zero and `also` holds.
void loop(LiftContext& c, Value also) {
  const Type type = LiftContext::integer_type(c.d.address_bytes);
  const Value count = c.b.add_imm(c.gpr(kRcx, type), -1);
  const Value done = c.b.compare(Op::CmpEq, count, c.constant(type, 0));
  Value condition = c.b.compare(Op::CmpEq, done, c.constant(Type::I8, 0));
  if (also != ir::kNoValue) condition = c.b.and_(condition, also);
  c.set_gpr(kRcx, count);
  branch_relative(c, condition);
}

void change_direction(LiftContext& c, bool set) {
  constexpr auto kOffset = static_cast<std::uint32_t>(offsetof(CpuState, rflags_system));
  const Value system = c.b.load_reg(Type::I64, kOffset);
  c.b.store_reg(Type::I64, kOffset,
                set ? c.b.or_(system, c.constant(flag::kDf)) : c.b.and_(system, c.constant(~flag::kDf)));
}

}  // namespace

void lift_jmp(LiftContext& c) { jump_relative(c); }
void lift_jmp_indirect(LiftContext& c) { c.end_with_jump_indirect(c.b.zext(Type::I64, c.operand(0))); }

void lift_call(LiftContext& c) {
  c.push(return_address(c));
  jump_relative(c);
}

void lift_call_indirect(LiftContext& c) {
  const Value target = c.b.zext(Type::I64, c.operand(0));
  c.push(return_address(c));
  c.end_with_jump_indirect(target);
}

void lift_ret(LiftContext& c) {
  const Type type = c.operand_type();
  const Value sp = c.stack_pointer();
  const Value target = c.load_stack(type, sp);
  c.set_stack_pointer(c.stack_offset(sp, c.d.operand_bytes + c.d.immediate));
  c.end_with_jump_indirect(c.b.zext(Type::I64, target));
}

void lift_jcc(LiftContext& c) { branch_relative(c, c.b.cond(condition_of(c))); }
void lift_loop(LiftContext& c) { loop(c, ir::kNoValue); }
void lift_loope(LiftContext& c) { loop(c, c.b.cond(Condition::Z)); }
void lift_loopne(LiftContext& c) { loop(c, c.b.cond(Condition::NZ)); }

void lift_jcxz(LiftContext& c) {
  const Type type = LiftContext::integer_type(c.d.address_bytes);
  branch_relative(c, c.b.compare(Op::CmpEq, c.gpr(kRcx, type), c.constant(type, 0)));
}

void lift_setcc(LiftContext& c) { c.write(0, c.b.cond(condition_of(c))); }

// The source is read, and the upper half of a 32-bit destination cleared, whatever the condition.
void lift_cmovcc(LiftContext& c) {
  const Value source = c.operand(1);
  c.write(0, c.b.select(c.b.cond(condition_of(c)), source, c.operand(0)));
}

void lift_lahf(LiftContext& c) {
  const Value flags = c.b.trunc(Type::I8, c.b.get_flags());
  const Value kept = c.b.and_(flags, c.constant(Type::I8, 0xD5));
  c.b.store_reg(Type::I8, gpr_offset(kRax) + 1, c.b.or_(kept, c.constant(Type::I8, 2)));
}

void lift_sahf(LiftContext& c) {
  const Value ah = c.b.load_reg(Type::I8, gpr_offset(kRax) + 1);
  c.b.set_flags(c.b.zext(Type::I32, ah), ir::kFlagC | ir::kFlagP | ir::kFlagA | ir::kFlagZ | ir::kFlagS);
}

void lift_clc(LiftContext& c) { c.b.set_flags(c.constant(Type::I32, 0), ir::kFlagC); }
void lift_stc(LiftContext& c) { c.b.set_flags(c.constant(Type::I32, ir::eflags::kC), ir::kFlagC); }
void lift_cmc(LiftContext& c) { c.b.set_flags(c.b.zext(Type::I32, c.b.cond(Condition::NC)), ir::kFlagC); }
void lift_cld(LiftContext& c) { change_direction(c, false); }
void lift_std(LiftContext& c) { change_direction(c, true); }

// D6, not in the manual's main text but in every processor: AL = C ? FFH : 0.
void lift_salc(LiftContext& c) { c.set_gpr(kRax, c.b.unary(Op::Neg, c.b.cond(Condition::C))); }

void lift_bound(LiftContext& c) {
  const Type type = c.operand_type();
  const unsigned bytes = c.d.operand_bytes;
  const Value offset = c.effective_address();
  const Type address_type = LiftContext::integer_type(c.d.address_bytes);
  const Value second = c.b.zext(Type::I64, c.b.add_imm(c.b.trunc(address_type, offset), bytes));
  const Value lower = c.b.load(type, c.segment_linear(c.d.segment, offset, bytes, false), c.access());
  const Value upper = c.b.load(type, c.segment_linear(c.d.segment, second, bytes, false), c.access());
  c.b.call(kBoundCheck, c.b.sext(Type::I64, c.operand(0)), c.b.sext(Type::I64, lower),
           c.b.sext(Type::I64, upper));
}

void lift_ud(LiftContext& c) { c.raise_ud(); }

}  // namespace hindsight::engine::guest::x86
