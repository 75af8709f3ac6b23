#include <fmt/format.h>

#include <array>

#include "engine/ir/ir.h"
#include "engine/ir/vector_ops.h"

namespace hindsight::engine::ir {
namespace {

bool is_integer(Type type) { return type >= Type::I8 && type <= Type::I64; }

/// FromI32, FromI64: no vector operand to start from.
bool ignores_first(const Inst& inst) {
  return inst.op == Op::VecInt && (kVecIntOps[inst.sub].properties & kVecUnary) != 0;
}

bool may_trap(const Inst& inst) {
  return (info(inst.op).properties & kMayTrap_) || (inst.op == Op::Call && (inst.helper->effects & kMayTrap));
}

/// What is wrong with one operation's types, or nullptr.
const char* type_fault(const Inst& inst, const std::array<Type, 3>& t) {
  switch (inst.op) {
    case Op::Const:
      return is_integer(inst.type) ? nullptr : "constant is not an integer";
    case Op::LoadReg:
      return inst.type != Type::none ? nullptr : "no type";
    case Op::StoreReg:
      return t[0] == inst.type ? nullptr : "value has another type";
    case Op::Add:
    case Op::Sub:
    case Op::Adc:
    case Op::Sbb:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Mul:
    case Op::BsfOr:
    case Op::BsrOr:
    case Op::BitTest:
    case Op::UMulH:
    case Op::SMulH:
    case Op::CmpEq:
    case Op::CmpLtU:
    case Op::CmpLtS:
      return is_integer(inst.type) && t[0] == inst.type && t[1] == inst.type ? nullptr
                                                                             : "operands differ in type";
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Rol:
    case Op::Ror:
      return is_integer(inst.type) && t[0] == inst.type && is_integer(t[1]) ? nullptr
                                                                            : "operands not integers";
    case Op::ShlD:
    case Op::ShrD:
      return t[0] == inst.type && t[1] == inst.type && is_integer(t[2]) ? nullptr : "operands differ in type";
    case Op::Neg:
    case Op::Not:
    case Op::Popcnt:
    case Op::Bswap:
      return is_integer(inst.type) && t[0] == inst.type ? nullptr : "operand has another type";
    case Op::Zext:
    case Op::Sext:
      return is_integer(t[0]) && is_integer(inst.type) && t[0] < inst.type ? nullptr : "not widening";
    case Op::Trunc:
      return is_integer(t[0]) && is_integer(inst.type) && t[0] > inst.type ? nullptr : "not narrowing";
    case Op::Select:
      return t[0] == Type::I8 && is_integer(inst.type) && t[1] == inst.type && t[2] == inst.type
                 ? nullptr
                 : "needs I8 and two of its type";
    case Op::SetFlags:
      return t[0] == Type::I32 ? nullptr : "needs I32";
    case Op::Load:
      return t[0] == Type::I64 && inst.type != Type::none ? nullptr : "address is not I64";
    case Op::Store:
      return t[0] == Type::I64 && t[1] == inst.type ? nullptr : "needs I64 address and its type";
    case Op::Vec:
    case Op::VecFlags:
      return t[0] == Type::V128 && t[1] == Type::V128 ? nullptr : "operands are not V128";
    case Op::VecInt:
      return (t[0] == Type::V128 || (t[0] == Type::none && ignores_first(inst))) && t[1] == Type::I64
                 ? nullptr
                 : "needs V128, I64";
    case Op::IntVec:
      return t[0] == Type::V128 ? nullptr : "operand is not V128";
    case Op::Call:
      for (Type type : t)
        if (type != Type::none && type != Type::I64) return "argument is not I64";
      return inst.helper != nullptr ? nullptr : "no helper";
    case Op::X87:
      return inst.helper == nullptr                    ? "no helper"
             : t[0] == Type::none || t[0] == Type::I64 ? nullptr
                                                       : "address is not I64";
    case Op::TrapIf:
    case Op::JumpIndirect:
    case Op::Leave:
      return t[0] == Type::I64 ? nullptr : "needs I64";
    case Op::Branch:
      return t[0] == Type::I8 ? nullptr : "condition is not I8";
    case Op::GetPc:
    case Op::GetIcount:
    case Op::Cond:
    case Op::GetFlags:
    case Op::InsnStart:
    case Op::Jump:
      return nullptr;
  }
  return "unknown operation";
}

/// Tracks what has been committed since the last InsnStart, to find a trap after a commit.
class CommitOrder {
 public:
  const char* step(const Block& block, const Inst& inst) {
    if (inst.op == Op::InsnStart) committed_ = false, write_address_ = kNoValue;
    if (inst.op == Op::Load && (inst.sub & kAccessWriteIntent))
      write_address_ = inst.a, write_type_ = inst.type;
    if (may_trap(inst) && committed_ && !checked_store(inst))
      return "may trap after its instruction has committed";
    if (inst.op == Op::StoreReg || inst.flags_out != 0) committed_ = true;
    (void)block;
    return nullptr;
  }

 private:
  [[nodiscard]] bool checked_store(const Inst& inst) const {
    return inst.op == Op::Store && inst.a == write_address_ && inst.type == write_type_;
  }
  bool committed_ = false;
  Value write_address_ = kNoValue;
  Type write_type_ = Type::none;
};

}  // namespace

std::string verify(const Block& block) {
  const auto fault = [&](std::size_t i, std::string_view what) {
    return fmt::format("operation {} ({}): {}", i, info(block.insts[i].op).name, what);
  };
  if (block.insts.empty()) return "empty block";
  if (block.insts.front().op != Op::InsnStart) return fault(0, "does not begin with InsnStart");
  CommitOrder order;
  unsigned insns = 0;
  for (std::size_t i = 0; i < block.insts.size(); ++i) {
    const Inst& inst = block.insts[i];
    const OpInfo& op = info(inst.op);
    const std::array<Value, 3> operands = {inst.a, inst.b, inst.c};
    std::array<Type, 3> types = {Type::none, Type::none, Type::none};
    for (unsigned k = 0; k < 3; ++k) {
      const bool optional = inst.op == Op::Call || inst.op == Op::X87 || (k == 0 && ignores_first(inst));
      if (operands[k] == kNoValue) {
        if (k < op.arity && !optional) return fault(i, "operand missing");
        continue;
      }
      if (k >= op.arity) return fault(i, "too many operands");
      if (operands[k] >= i) return fault(i, "operand used before its definition");
      types[k] = result_type(block.insts[operands[k]]);
      if (types[k] == Type::none) return fault(i, "operand is not a value");
    }
    if (const char* what = type_fault(inst, types)) return fault(i, what);
    if (inst.flags_out != 0 && !(op.properties & kSetsFlags)) return fault(i, "cannot define flags");
    const bool ends = (op.properties & kEnds) == kEnds;
    if (ends != (i + 1 == block.insts.size()))
      return fault(i, ends ? "ends the block early" : "block has no end");
    if (inst.op == Op::InsnStart && inst.sub != insns++) return fault(i, "instruction index out of order");
    if (const char* what = order.step(block, inst)) return fault(i, what);
  }
  if (insns != block.insn_count || insns == 0 || insns > Block::kMaxInsns)
    return fmt::format("instruction count {} but {} InsnStart", block.insn_count, insns);
  return {};
}

}  // namespace hindsight::engine::ir
