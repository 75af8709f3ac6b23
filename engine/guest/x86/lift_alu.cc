// Integer arithmetic and logic (SDM vol. 2).
#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;

/// Both operands are the same register: the result of XOR and SUB is known.
bool same_register(const LiftContext& c) {
  using enum Operand;
  const Operand first = c.d.row->operands[0], second = c.d.row->operands[1];
  const bool register_pair = (first == Ev && second == Gv) || (first == Gv && second == Ev);
  return register_pair && c.d.mod == 3 && c.d.reg == c.d.rm;
}

void binary(LiftContext& c, Op op) {
  const Value left = c.operand_for_update(0);
  const Value right = c.operand(1);
  c.write(0, c.b.binary(op, left, right, ir::kFlagsAll));
}

void clear_idiom(LiftContext& c, Op op) {
  const Value zero = c.constant(c.operand_type(), 0);
  c.b.binary(op, zero, zero, ir::kFlagsAll);
  c.write(0, zero);
}

Value double_width(LiftContext& c, Value v, bool is_signed) {
  const Type wide = LiftContext::integer_type(2 * ir::bytes_of(c.b.type_of(v)));
  return is_signed ? c.b.sext(wide, v) : c.b.zext(wide, v);
}

/// C = V = `overflow`, the others clear.
void set_overflow_flags(LiftContext& c, Value overflow) {
  const Value both = c.constant(Type::I32, ir::eflags::kC | ir::eflags::kV);
  c.b.set_flags(c.b.select(overflow, both, c.constant(Type::I32, 0)), ir::kFlagsAll);
}

/// rDX:rAX, or AX, = rAX * operand 0.
void multiply(LiftContext& c, bool is_signed) {
  auto& b = c.b;
  const Value source = c.operand(0);
  const Type type = b.type_of(source);
  const Value accumulator = c.gpr(kRax, type);
  if (type == Type::I64) {
    const Value low = b.binary(Op::Mul, accumulator, source);
    const Value high = b.binary(is_signed ? Op::SMulH : Op::UMulH, accumulator, source, ir::kFlagsAll);
    c.set_gpr(kRax, low);
    c.set_gpr(kRdx, high);
    return;
  }
  const Value product =
      b.binary(Op::Mul, double_width(c, accumulator, is_signed), double_width(c, source, is_signed));
  const unsigned bits = ir::bits_of(type);
  const Value high = b.trunc(type, b.binary(Op::Shr, product, c.constant(Type::I8, bits)));
  if (is_signed) {
    b.binary(Op::Mul, accumulator, source, ir::kFlagsAll);
  } else {
    set_overflow_flags(c, b.compare(Op::CmpLtU, c.constant(type, 0), high));
  }
  if (type == Type::I8) {
    c.set_gpr(kRax, product);
  } else {
    c.set_gpr(kRax, b.trunc(type, product));
    c.set_gpr(kRdx, high);
  }
}

/// The helper computes the quotient and raises #DE; the remainder follows from it.
void divide(LiftContext& c, bool is_signed) {
  auto& b = c.b;
  const Value divisor = c.operand(0);
  const Type type = b.type_of(divisor);
  Value low = ir::kNoValue, quotient = ir::kNoValue;
  if (type == Type::I64) {
    low = c.gpr(kRax, type);
    quotient = b.call(is_signed ? kDivideSigned128 : kDivideUnsigned128, c.gpr(kRdx, type), low, divisor);
  } else {
    const Type wide = LiftContext::integer_type(2 * ir::bytes_of(type));
    Value dividend = ir::kNoValue;
    if (type == Type::I8) {
      dividend = c.gpr(kRax, wide);
      low = b.trunc(type, dividend);
    } else {
      low = c.gpr(kRax, type);
      const Value high =
          b.binary(Op::Shl, b.zext(wide, c.gpr(kRdx, type)), c.constant(Type::I8, ir::bits_of(type)));
      dividend = b.or_(high, b.zext(wide, low));
    }
    const auto extend = [&](Value v) { return is_signed ? b.sext(Type::I64, v) : b.zext(Type::I64, v); };
    quotient = b.call(is_signed ? kDivideSigned : kDivideUnsigned, extend(dividend), extend(divisor),
                      c.constant(ir::bits_of(type)));
  }
  const Value result = b.trunc(type, quotient);
  const Value remainder = b.sub(low, b.binary(Op::Mul, result, divisor));
  if (type == Type::I8) {
    const Value high = b.binary(Op::Shl, b.zext(Type::I16, remainder), c.constant(Type::I8, 8));
    c.set_gpr(kRax, b.or_(high, b.zext(Type::I16, result)));
  } else {
    c.set_gpr(kRax, result);
    c.set_gpr(kRdx, remainder);
  }
}

}  // namespace

void lift_add(LiftContext& c) { binary(c, Op::Add); }
void lift_or(LiftContext& c) { binary(c, Op::Or); }
void lift_adc(LiftContext& c) { binary(c, Op::Adc); }
void lift_sbb(LiftContext& c) { binary(c, Op::Sbb); }
void lift_and(LiftContext& c) { binary(c, Op::And); }
void lift_sub(LiftContext& c) { same_register(c) ? clear_idiom(c, Op::Sub) : binary(c, Op::Sub); }
void lift_xor(LiftContext& c) { same_register(c) ? clear_idiom(c, Op::Xor) : binary(c, Op::Xor); }

void lift_cmp(LiftContext& c) {
  const Value left = c.operand(0);
  c.b.sub(left, c.operand(1), ir::kFlagsAll);
}

void lift_test(LiftContext& c) {
  const Value left = c.operand(0);
  c.b.and_(left, c.operand(1), ir::kFlagsAll);
}

void lift_inc(LiftContext& c) {
  const Value value = c.operand_for_update(0);
  c.write(0, c.b.add(value, c.constant(c.b.type_of(value), 1), ir::kFlagsNoCarry));
}

void lift_dec(LiftContext& c) {
  const Value value = c.operand_for_update(0);
  c.write(0, c.b.sub(value, c.constant(c.b.type_of(value), 1), ir::kFlagsNoCarry));
}

void lift_not(LiftContext& c) { c.write(0, c.b.unary(Op::Not, c.operand_for_update(0))); }
void lift_neg(LiftContext& c) { c.write(0, c.b.unary(Op::Neg, c.operand_for_update(0), ir::kFlagsAll)); }

void lift_mul(LiftContext& c) { multiply(c, false); }
void lift_imul_wide(LiftContext& c) { multiply(c, true); }

void lift_imul2(LiftContext& c) {
  const Value source = c.operand(1);
  c.write(0, c.b.binary(Op::Mul, c.operand(0), source, ir::kFlagsAll));
}

void lift_imul3(LiftContext& c) {
  const Value source = c.operand(1);
  c.write(0, c.b.binary(Op::Mul, source, c.operand(2), ir::kFlagsAll));
}

void lift_div(LiftContext& c) { divide(c, false); }
void lift_idiv(LiftContext& c) { divide(c, true); }

// CBW, CWDE, CDQE
void lift_cbw(LiftContext& c) {
  const Type half = LiftContext::integer_type(c.d.operand_bytes / 2u);
  c.set_gpr(kRax, c.b.sext(c.operand_type(), c.gpr(kRax, half)));
}

// CWD, CDQ, CQO
void lift_cwd(LiftContext& c) {
  const Value sign_shift = c.constant(Type::I8, c.d.operand_bytes * 8u - 1u);
  c.set_gpr(kRdx, c.b.binary(Op::Sar, c.gpr(kRax, c.operand_type()), sign_shift));
}

}  // namespace hindsight::engine::guest::x86
