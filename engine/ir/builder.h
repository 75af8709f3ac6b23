// Appends operations to a Block. Used by frontends and tests; one block at a time, one thread.
#pragma once

#include "engine/base/check.h"
#include "engine/ir/ir.h"

namespace hindsight::engine::ir {

class Builder {
 public:
  explicit Builder(Block& block) : block_(block) {}

  Block& block() { return block_; }
  Value append(const Inst& inst) {
    block_.insts.push_back(inst);
    return static_cast<Value>(block_.insts.size() - 1);
  }
  [[nodiscard]] Type type_of(Value v) const { return result_type(block_.insts[v]); }

  void insn_start(std::uint32_t page_offset, std::uint16_t index) {
    append({.op = Op::InsnStart, .sub = index, .imm = page_offset});
  }

  Value constant(Type type, std::uint64_t bits) {
    return append({.op = Op::Const, .type = type, .imm = static_cast<std::int64_t>(bits)});
  }
  Value load_reg(Type type, std::uint32_t offset) {
    return append({.op = Op::LoadReg, .type = type, .imm = offset});
  }
  void store_reg(Type type, std::uint32_t offset, Value v) {
    append({.op = Op::StoreReg, .type = type, .a = v, .imm = offset});
  }
  Value get_pc(std::int64_t offset) { return append({.op = Op::GetPc, .type = Type::I64, .imm = offset}); }
  Value get_icount() { return append({.op = Op::GetIcount, .type = Type::I64}); }

  /// Integer operation of the type of `a`; `flags` = FlagBits it defines.
  Value unary(Op op, Value a, std::uint8_t flags = 0) {
    return append({.op = op, .type = type_of(a), .flags_out = flags, .a = a});
  }
  Value binary(Op op, Value a, Value b, std::uint8_t flags = 0) {
    return append({.op = op, .type = type_of(a), .flags_out = flags, .a = a, .b = b});
  }
  Value ternary(Op op, Value a, Value b, Value c, std::uint8_t flags = 0) {
    return append({.op = op, .type = type_of(a), .flags_out = flags, .a = a, .b = b, .c = c});
  }
  Value add(Value a, Value b, std::uint8_t flags = 0) { return binary(Op::Add, a, b, flags); }
  Value sub(Value a, Value b, std::uint8_t flags = 0) { return binary(Op::Sub, a, b, flags); }
  Value and_(Value a, Value b, std::uint8_t flags = 0) { return binary(Op::And, a, b, flags); }
  Value or_(Value a, Value b, std::uint8_t flags = 0) { return binary(Op::Or, a, b, flags); }
  Value xor_(Value a, Value b, std::uint8_t flags = 0) { return binary(Op::Xor, a, b, flags); }
  Value add_imm(Value a, std::int64_t imm) {
    return imm == 0 ? a : add(a, constant(type_of(a), static_cast<std::uint64_t>(imm)));
  }
  Value zext(Type to, Value v) { return convert(Op::Zext, to, v); }
  Value sext(Type to, Value v) { return convert(Op::Sext, to, v); }
  Value trunc(Type to, Value v) { return convert(Op::Trunc, to, v); }
  Value compare(Op op, Value a, Value b) { return append({.op = op, .type = type_of(a), .a = a, .b = b}); }
  Value select(Value condition, Value then, Value otherwise) {
    return append({.op = Op::Select, .type = type_of(then), .a = condition, .b = then, .c = otherwise});
  }

  Value cond(Condition condition) {
    return append({.op = Op::Cond, .type = Type::I8, .sub = static_cast<std::uint16_t>(condition)});
  }
  Value get_flags() { return append({.op = Op::GetFlags, .type = Type::I32}); }
  void set_flags(Value eflags, std::uint8_t flags) {
    append({.op = Op::SetFlags, .type = Type::I32, .flags_out = flags, .a = eflags});
  }

  Value load(Type type, Value address, std::uint32_t access = kAccessPlain) {
    return append({.op = Op::Load, .type = type, .sub = static_cast<std::uint16_t>(access), .a = address});
  }
  void store(Value address, Value value, std::uint32_t access = kAccessPlain) {
    append({.op = Op::Store,
            .type = type_of(value),
            .sub = static_cast<std::uint16_t>(access),
            .a = address,
            .b = value});
  }

  Value vec(std::uint16_t sub, Value a, Value b, std::int64_t imm = 0) {
    return append({.op = Op::Vec, .type = Type::V128, .sub = sub, .a = a, .b = b, .imm = imm});
  }
  Value vec_int(std::uint16_t sub, Value a, Value b, std::int64_t imm = 0) {
    return append({.op = Op::VecInt, .type = Type::V128, .sub = sub, .a = a, .b = b, .imm = imm});
  }
  Value int_vec(std::uint16_t sub, Value a, std::int64_t imm = 0) {
    return append({.op = Op::IntVec, .type = Type::I64, .sub = sub, .a = a, .imm = imm});
  }
  void vec_flags(std::uint16_t sub, Value a, Value b, std::uint8_t flags = kFlagsAll) {
    append({.op = Op::VecFlags, .type = Type::V128, .flags_out = flags, .sub = sub, .a = a, .b = b});
  }

  /// Arguments are I64 or kNoValue (passed as zero).
  Value call(const HelperInfo& helper, Value a = kNoValue, Value b = kNoValue, Value c = kNoValue) {
    return append({.op = Op::Call, .type = Type::I64, .a = a, .b = b, .c = c, .helper = &helper});
  }
  /// See x87_ops.h.
  void x87(std::uint16_t sub, const HelperInfo& helper, Value address, std::int64_t operands,
           std::int64_t next_offset, std::uint8_t flags = 0) {
    append({.op = Op::X87,
            .flags_out = flags,
            .sub = sub,
            .a = address,
            .imm = operands,
            .imm2 = next_offset,
            .helper = &helper});
  }
  void trap_if_bits(Value v, std::uint64_t mask, std::uint32_t vector) {
    append({.op = Op::TrapIf,
            .type = Type::I64,
            .a = v,
            .imm = static_cast<std::int64_t>(mask),
            .imm2 = vector});
  }

  void jump(std::int64_t offset) { append({.op = Op::Jump, .imm = offset}); }
  void branch(Value condition, std::int64_t taken, std::int64_t otherwise) {
    append({.op = Op::Branch, .a = condition, .imm = taken, .imm2 = otherwise});
  }
  void jump_indirect(Value pc) { append({.op = Op::JumpIndirect, .a = pc}); }
  void leave(Value pc) { append({.op = Op::Leave, .a = pc}); }

 private:
  Value convert(Op op, Type to, Value v) {
    return type_of(v) == to ? v : append({.op = op, .type = to, .a = v});
  }
  Block& block_;
};

}  // namespace hindsight::engine::ir
