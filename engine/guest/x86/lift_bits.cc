// Shifts, rotates, bit tests and scans (SDM vol. 2).
#include <bit>

#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;

unsigned count_mask(Type type) { return type == Type::I64 ? 63 : 31; }

/// Operand `number` is a count known now: its masked value, or -1.
int constant_count(const LiftContext& c, unsigned number, Type type) {
  switch (c.d.row->operands[number]) {
    case Operand::I1:
      return 1;
    case Operand::Ib:
      return static_cast<int>(static_cast<unsigned>(c.d.immediate) & count_mask(type));
    default:
      return -1;
  }
}

void shift(LiftContext& c, Op op, std::uint8_t flags) {
  const Value value = c.operand_for_update(0);
  if (constant_count(c, 1, c.b.type_of(value)) == 0) flags = 0;
  c.write(0, c.b.binary(op, value, c.operand(1), flags));
}

void rotate_through_carry(LiftContext& c, const ir::HelperInfo& helper) {
  const Value value = c.operand_for_update(0);
  const Type type = c.b.type_of(value);
  const Value count = c.b.zext(Type::I64, c.operand(1));
  const Value result = c.b.call(helper, c.b.zext(Type::I64, value), count, c.constant(ir::bits_of(type)));
  c.write(0, c.b.trunc(type, result));
}

void double_shift(LiftContext& c, Op op) {
  const Value value = c.operand_for_update(0);
  const Value filler = c.operand(1);
  const Value count = c.operand(2);
  const std::uint8_t flags = constant_count(c, 2, c.b.type_of(value)) == 0 ? 0 : ir::kFlagsAll;
  c.write(0, c.b.ternary(op, value, filler, count, flags));
}

enum class BitChange { none, set, reset, complement };

Value changed(LiftContext& c, Value value, Value bit, BitChange change) {
  const Type type = c.b.type_of(value);
  const Value mask = c.b.binary(Op::Shl, c.constant(type, 1), bit);
  switch (change) {
    case BitChange::set:
      return c.b.or_(value, mask);
    case BitChange::reset:
      return c.b.and_(value, c.b.unary(Op::Not, mask));
    default:
      return c.b.xor_(value, mask);
  }
}

/// A memory operand with a register offset reaches any bit from its address on, both ways (SDM vol. 2, BT).
Value bit_string_address(LiftContext& c, Value offset) {
  const Type type = c.b.type_of(offset);
  const unsigned bytes = ir::bytes_of(type);
  const auto bits_log2 = static_cast<unsigned>(std::countr_zero(bytes * 8));
  const auto bytes_log2 = static_cast<unsigned>(std::countr_zero(bytes));
  const Value element = c.b.binary(Op::Sar, offset, c.constant(Type::I8, bits_log2));
  const Value wide = c.b.sext(Type::I64, element);
  const Value delta = c.b.binary(Op::Shl, wide, c.constant(Type::I8, bytes_log2));
  const Type address_type = LiftContext::integer_type(c.d.address_bytes);
  const Value sum = c.b.trunc(address_type, c.b.add(c.effective_address(), delta));
  return c.b.zext(Type::I64, sum);
}

void bit_test(LiftContext& c, BitChange change) {
  const Type type = c.operand_type();
  const bool immediate = c.d.row->operands[1] == Operand::Ib;
  const Value offset = immediate ? c.constant(type, static_cast<std::uint64_t>(c.d.immediate)) : c.operand(1);
  // Shifts count modulo 32 or 64; the bit number is modulo the operand size.
  const Value bit =
      immediate ? c.constant(type, static_cast<std::uint64_t>(c.d.immediate) & (ir::bits_of(type) - 1))
                : c.b.and_(offset, c.constant(type, ir::bits_of(type) - 1));
  const bool writes = change != BitChange::none;
  if (c.is_memory_operand(0) && !immediate) {
    const unsigned bytes = ir::bytes_of(type);
    const Value address = c.segment_linear(c.d.segment, bit_string_address(c, offset), bytes, writes);
    const std::uint32_t intent = writes ? std::uint32_t{ir::kAccessWriteIntent} : 0u;
    const Value value = c.b.load(type, address, c.access() | intent);
    c.b.binary(Op::BitTest, value, bit, ir::kFlagC);
    if (writes) c.b.store(address, changed(c, value, bit, change), c.access());
    return;
  }
  const Value value = writes ? c.operand_for_update(0) : c.operand(0);
  c.b.binary(Op::BitTest, value, bit, ir::kFlagC);
  if (writes) c.write(0, changed(c, value, bit, change));
}

}  // namespace

void lift_rol(LiftContext& c) { shift(c, Op::Rol, ir::kFlagsCV); }
void lift_ror(LiftContext& c) { shift(c, Op::Ror, ir::kFlagsCV); }
void lift_shl(LiftContext& c) { shift(c, Op::Shl, ir::kFlagsAll); }
void lift_shr(LiftContext& c) { shift(c, Op::Shr, ir::kFlagsAll); }
void lift_sar(LiftContext& c) { shift(c, Op::Sar, ir::kFlagsAll); }

void lift_rcl(LiftContext& c) {
  if (constant_count(c, 1, c.type_of_operand(0)) == 1) {
    // a + a + C: its carry and overflow are those of RCL by one.
    const Value value = c.operand_for_update(0);
    c.write(0, c.b.binary(Op::Adc, value, value, ir::kFlagsCV));
    return;
  }
  rotate_through_carry(c, kRotateCarryLeft);
}
void lift_rcr(LiftContext& c) { rotate_through_carry(c, kRotateCarryRight); }

void lift_shld(LiftContext& c) { double_shift(c, Op::ShlD); }
void lift_shrd(LiftContext& c) { double_shift(c, Op::ShrD); }

void lift_bt(LiftContext& c) { bit_test(c, BitChange::none); }
void lift_bts(LiftContext& c) { bit_test(c, BitChange::set); }
void lift_btr(LiftContext& c) { bit_test(c, BitChange::reset); }
void lift_btc(LiftContext& c) { bit_test(c, BitChange::complement); }

void lift_bsf(LiftContext& c) {
  const Value source = c.operand(1);
  c.write(0, c.b.binary(Op::BsfOr, source, c.operand(0), ir::kFlagsAll));
}
void lift_bsr(LiftContext& c) {
  const Value source = c.operand(1);
  c.write(0, c.b.binary(Op::BsrOr, source, c.operand(0), ir::kFlagsAll));
}
void lift_popcnt(LiftContext& c) { c.write(0, c.b.unary(Op::Popcnt, c.operand(1), ir::kFlagsAll)); }

void lift_bswap(LiftContext& c) {
  // BSWAP of a 16-bit register is undefined; processors give zero.
  if (c.d.operand_bytes == 2) {
    c.write(0, c.constant(Type::I16, 0));
  } else {
    c.write(0, c.b.unary(Op::Bswap, c.operand(0)));
  }
}

void lift_crc32(LiftContext& c) {
  const Value source = c.operand(1);
  const Value bytes = c.constant(ir::bytes_of(c.b.type_of(source)));
  const Value sum =
      c.b.call(kCrc32, c.b.zext(Type::I64, c.gpr(c.d.reg, Type::I32)), c.b.zext(Type::I64, source), bytes);
  c.set_gpr(c.d.reg, sum);
}

}  // namespace hindsight::engine::guest::x86
