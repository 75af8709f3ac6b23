// Each pass walks the block once and rebuilds it in place.
#include <array>
#include <bit>
#include <optional>

#include "engine/ir/ir.h"
#include "engine/ir/vector_ops.h"

namespace hindsight::engine::ir {
namespace {

bool is_shift(Op op) {
  return op == Op::Shl || op == Op::Shr || op == Op::Sar || op == Op::Rol || op == Op::Ror ||
         op == Op::ShlD || op == Op::ShrD;
}

/// Whether an operation certainly defines its flags: shifts by a count that may be zero do not.
bool surely_defines_flags(const Block& block, const Inst& inst) {
  if (!is_shift(inst.op)) return true;
  const Inst& count = block.insts[inst.op == Op::ShlD || inst.op == Op::ShrD ? inst.c : inst.b];
  if (count.op != Op::Const) return false;
  const auto masked = static_cast<std::uint64_t>(count.imm) & (inst.type == Type::I64 ? 63u : 31u);
  return masked != 0 && masked <= bits_of(inst.type);
}

/// Flags that must be right when the operation is reached, beyond those needed after it.
std::uint8_t flags_needed_by(const Inst& inst) {
  const auto properties = info(inst.op).properties;
  if (properties & kMayTrap_) return kFlagsAll;
  if (inst.op == Op::Call) {
    const bool observes = inst.helper->effects & (kMayTrap | kReadsFlags | kWritesFlags);
    return observes ? kFlagsAll : 0;
  }
  if (inst.op == Op::Cond) return flags_read_by(static_cast<Condition>(inst.sub));
  if (inst.op == Op::GetFlags || (properties & kEnds) == kEnds) return kFlagsAll;
  return properties & kReadsCarry ? kFlagC : 0;
}

/// Guest floating point leaves exception flags behind even where its result is unused.
bool raises_float_flags(const Inst& inst) {
  switch (inst.op) {
    case Op::Vec:
      return (kVecOps[inst.sub].properties & kVecFloat) != 0;
    case Op::VecInt:
      return (kVecIntOps[inst.sub].properties & kVecFloat) != 0;
    case Op::IntVec:
      return (kIntVecOps[inst.sub].properties & kVecFloat) != 0;
    case Op::VecFlags:
      return (kVecFlagsOps[inst.sub].properties & kVecFloat) != 0;
    default:
      return false;
  }
}

void remap(Inst& inst, const std::vector<Value>& to) {
  for (Value* v : {&inst.a, &inst.b, &inst.c})
    if (*v != kNoValue) *v = to[*v];
}

std::uint64_t truncate(Type type, std::uint64_t v) {
  return type == Type::I64 ? v : v & ((std::uint64_t{1} << bits_of(type)) - 1);
}

std::optional<std::uint64_t> evaluate_constant(const Inst& inst, Type from, std::uint64_t a,
                                               std::uint64_t b) {
  switch (inst.op) {
    case Op::Add:
      return a + b;
    case Op::Sub:
      return a - b;
    case Op::And:
      return a & b;
    case Op::Or:
      return a | b;
    case Op::Xor:
      return a ^ b;
    case Op::Not:
      return ~a;
    case Op::Neg:
      return 0 - a;
    case Op::Shl:
      return inst.type == Type::I64 ? a << (b & 63) : a << (b & 31);
    case Op::Zext:
    case Op::Trunc:
      return a;
    case Op::Sext: {
      const unsigned shift = 64 - bits_of(from);
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(a << shift) >> shift);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

void remove_dead_flags(Block& block) {
  std::uint8_t live = kFlagsAll;
  for (std::size_t i = block.insts.size(); i-- > 0;) {
    Inst& inst = block.insts[i];
    if (inst.flags_out != 0) {
      const std::uint8_t defines = inst.flags_out;
      if ((defines & live) == 0)
        inst.flags_out = 0;
      else if (surely_defines_flags(block, inst))
        live &= static_cast<std::uint8_t>(~defines);
    }
    live |= flags_needed_by(inst);
  }
}

void remove_dead_values(Block& block) {
  std::vector<bool> used(block.insts.size(), false);
  for (std::size_t i = block.insts.size(); i-- > 0;) {
    const Inst& inst = block.insts[i];
    const bool keep = used[i] || inst.flags_out != 0 || raises_float_flags(inst) ||
                      (info(inst.op).properties & (kEffect | kMayTrap_)) != 0;
    if (!keep) continue;
    used[i] = true;
    for (Value v : {inst.a, inst.b, inst.c})
      if (v != kNoValue) used[v] = true;
  }
  std::vector<Value> to(block.insts.size(), kNoValue);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < block.insts.size(); ++i) {
    if (!used[i]) continue;
    Inst inst = block.insts[i];
    remap(inst, to);
    to[i] = static_cast<Value>(kept);
    block.insts[kept++] = inst;
  }
  block.insts.resize(kept);
}

void fold_constants(Block& block) {
  std::vector<Value> to(block.insts.size());
  for (std::size_t i = 0; i < block.insts.size(); ++i) {
    Inst& inst = block.insts[i];
    remap(inst, to);
    to[i] = static_cast<Value>(i);
    const Inst* a = inst.a == kNoValue ? nullptr : &block.insts[inst.a];
    const Inst* b = inst.b == kNoValue ? nullptr : &block.insts[inst.b];
    const bool a_constant = a != nullptr && a->op == Op::Const;
    const bool b_constant = b != nullptr && b->op == Op::Const;
    if (inst.flags_out != 0 || (info(inst.op).properties & kEffect)) continue;
    if (a_constant && (b == nullptr || b_constant)) {
      // A constant may be kept sign-extended; its value has the bits of its type.
      const auto bits = [](const Inst& c) { return truncate(c.type, static_cast<std::uint64_t>(c.imm)); };
      const auto folded = evaluate_constant(inst, a->type, bits(*a), b_constant ? bits(*b) : 0);
      if (folded)
        inst = {.op = Op::Const,
                .type = inst.type,
                .imm = static_cast<std::int64_t>(truncate(inst.type, *folded))};
      continue;
    }
    // x + 0, x - 0, x | 0, x ^ 0, x << 0
    const bool neutral_zero = inst.op == Op::Add || inst.op == Op::Sub || inst.op == Op::Or ||
                              inst.op == Op::Xor || inst.op == Op::Shl || inst.op == Op::Shr;
    if (neutral_zero && b_constant && b->imm == 0) to[i] = inst.a;
    // Trunc(Zext x) and Trunc(Sext x) back to x's type
    if (inst.op == Op::Trunc && (a->op == Op::Zext || a->op == Op::Sext) &&
        result_type(block.insts[a->a]) == inst.type)
      to[i] = a->a;
  }
  remove_dead_values(block);
}

std::span<const Pass> passes() {
  static constexpr Pass kPasses[] = {{"remove_dead_flags", remove_dead_flags, false},
                                     {"fold_constants", fold_constants, true}};
  return kPasses;
}

}  // namespace hindsight::engine::ir
