// The backward pass: use counts, live flags, and which values should be computed right in a guest register.
#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kNoValue;

namespace {

bool is_trap_point(const ir::Inst& inst) {
  if (inst.op == ir::Op::Call) return (inst.helper->effects & ir::kMayTrap) != 0;
  return (ir::info(inst.op).properties & ir::kMayTrap_) != 0;
}

bool is_shift(ir::Op op) { return op >= ir::Op::Shl && op <= ir::Op::ShrD; }

/// Operations whose narrow forms leave the rest of their destination register alone.
bool narrow_in_place(ir::Op op) {
  switch (op) {
    case ir::Op::Add:
    case ir::Op::Sub:
    case ir::Op::Adc:
    case ir::Op::Sbb:
    case ir::Op::And:
    case ir::Op::Or:
    case ir::Op::Xor:
    case ir::Op::Neg:
    case ir::Op::Not:
    case ir::Op::Load:
      return true;
    default:
      return false;
  }
}

/// Unused floating-point operations still raise MXCSR flags.
bool has_float_effect(const ir::Inst& inst) {
  switch (inst.op) {
    case ir::Op::Vec:
      return ir::kVecOps[inst.sub].properties & ir::kVecFloat;
    case ir::Op::VecInt:
      return ir::kVecIntOps[inst.sub].properties & ir::kVecFloat;
    case ir::Op::IntVec:
      return ir::kIntVecOps[inst.sub].properties & ir::kVecFloat;
    case ir::Op::VecFlags:
      return ir::kVecFlagsOps[inst.sub].properties & ir::kVecFloat;
    default:
      return false;
  }
}

}  // namespace

bool BlockCompiler::surely_defines_flags(const Inst& inst) const {
  if (!is_shift(inst.op)) return true;
  const Inst& count = insts_[inst.op == Op::ShlD || inst.op == Op::ShrD ? inst.c : inst.b];
  if (count.op != Op::Const) return false;
  const auto masked = static_cast<std::uint64_t>(count.imm) & (inst.type == Type::I64 ? 63u : 31u);
  return masked != 0 && masked <= ir::bits_of(inst.type);
}

void BlockCompiler::clear_pending() {
  for (std::uint32_t m = pending_mask_; m != 0; m &= m - 1) {
    const auto r = static_cast<unsigned>(__builtin_ctz(m));
    values_[pending_[r]].target = kNoReg;
  }
  pending_mask_ = 0;
  for (const auto& [offset, v] : pending_vectors_) values_[v].target = kNoReg;
  pending_vectors_.clear();
}

void BlockCompiler::clear_pending(std::int32_t offset, unsigned size) {
  const Reg p = layout_.pinned_at(offset, size);
  if (p != kNoReg) {
    if (pending_mask_ >> p & 1) values_[pending_[p]].target = kNoReg, pending_mask_ &= ~(1u << p);
    return;
  }
  std::erase_if(pending_vectors_, [&](const auto& entry) {
    const bool overlaps = offset < entry.first + 16 && entry.first < offset + static_cast<std::int32_t>(size);
    if (overlaps) values_[entry.second].target = kNoReg;
    return overlaps;
  });
}

/// Keeps, for every guest register, the value that will be stored there with nothing in between that could
/// see the register's old content.
void BlockCompiler::analyse_targets(std::size_t i) {
  const Inst& inst = insts_[i];
  ValueState& me = values_[i];
  if (me.target != kNoReg && inst.type != Type::V128) {  // it is defined here
    const Reg p = me.target;
    pending_mask_ &= ~(1u << p);
    const bool narrow = ir::bytes_of(me.type) < 4;
    if (inst.op == Op::Zext && values_[inst.a].type == Type::I32 && values_[inst.a].target == kNoReg) {
      values_[inst.a].target = p;
      pending_[p] = inst.a;
      pending_mask_ |= 1u << p;
    }
    if (narrow && !narrow_in_place(inst.op)) me.target = kNoReg;
  } else if (me.target != kNoReg) {
    std::erase_if(pending_vectors_, [&](const auto& entry) { return entry.second == i; });
  }
  const auto offset = static_cast<std::int32_t>(inst.imm);
  if (inst.op == Op::LoadReg || inst.op == Op::StoreReg)
    CHECK(!layout_.straddles_pinned(offset, ir::bytes_of(inst.type)), "access to two guest registers at {}",
          offset);
  switch (inst.op) {
    case Op::LoadReg:
      clear_pending(offset, ir::bytes_of(inst.type));
      break;
    case Op::StoreReg: {
      const unsigned size = ir::bytes_of(inst.type);
      clear_pending(offset, size);
      ValueState& v = values_[inst.a];
      if (v.target != kNoReg) break;
      const Reg p = layout_.pinned_at(offset, size);
      if (inst.type == Type::V128) {
        v.target = 1;
        v.offset = offset;
        pending_vectors_.emplace_back(offset, inst.a);
      } else if (p != kNoReg && (offset & 7) == 0 && inst.type != Type::I32) {
        v.target = p;
        pending_[p] = inst.a;
        pending_mask_ |= 1u << p;
      }
      break;
    }
    case Op::Call:
      clear_pending();
      break;
    default:
      if (is_trap_point(inst)) clear_pending();
      break;
  }
}

void BlockCompiler::analyse(const ir::Block& block) {
  insts_ = block.insts.data();
  count_ = block.insts.size();
  insn_count_ = block.insn_count;
  has_call_ = false;
  values_.assign(count_, ValueState{});
  before_.resize(count_), after_.resize(count_), read_.resize(count_);
  pending_mask_ = 0;
  pending_vectors_.clear();
  std::uint8_t live = ir::kFlagsAll, read = ir::kFlagsAll;
  for (std::size_t i = 0; i < count_; ++i) values_[i].type = ir::result_type(insts_[i]);
  for (std::size_t i = count_; i-- > 0;) {
    const Inst& inst = insts_[i];
    ValueState& me = values_[i];
    const auto properties = ir::info(inst.op).properties;
    after_[i] = live, read_[i] = read;
    const bool trap_point = is_trap_point(inst);
    if (me.uses == 0 && !(properties & (ir::kEffect | ir::kMayTrap_)) && (inst.flags_out & live) == 0 &&
        !has_float_effect(inst)) {
      me.dead = true;
      before_[i] = live;
      continue;
    }
    if (inst.flags_out != 0 && surely_defines_flags(inst)) {
      live &= static_cast<std::uint8_t>(~inst.flags_out);
      read &= static_cast<std::uint8_t>(~inst.flags_out);
    } else if (inst.flags_out & live) {
      read |= inst.flags_out & live;  // may keep the old ones: needs them in the state
    }
    std::uint8_t reads = 0;
    if (inst.op == Op::Cond) reads = ir::flags_read_by(static_cast<ir::Condition>(inst.sub));
    if (inst.op == Op::GetFlags) reads = ir::kFlagsAll;
    if (properties & ir::kReadsCarry) reads |= ir::kFlagC;
    if (inst.op == Op::Call) {
      has_call_ |= inst.helper->effects != ir::kPure;  // only those may ask to leave
      if (inst.helper->effects & (ir::kMayTrap | ir::kReadsFlags | ir::kWritesFlags)) reads = ir::kFlagsAll;
    }
    live |= reads, read |= reads;
    if (trap_point) live = ir::kFlagsAll;
    before_[i] = live;

    analyse_targets(i);
    // A sum or a scaled value that only serves as one address is folded into the access.
    const bool sum = inst.op == Op::Add && inst.type == Type::I64 && (inst.flags_out & after_[i]) == 0;
    const bool scaled = inst.op == Op::Shl && inst.type == Type::I64 && (inst.flags_out & after_[i]) == 0 &&
                        insts_[inst.b].op == Op::Const && insts_[inst.b].imm >= 1 && insts_[inst.b].imm <= 3;
    const bool folded = (sum || scaled || inst.op == Op::GetPc) && me.uses == 1 && me.address_uses == 1;
    if (folded) me.place = Place::folded;
    for (Value v : {inst.a, inst.b, inst.c})
      if (v != kNoValue) ++values_[v].uses;
    if (folded && sum) ++values_[inst.a].address_uses, ++values_[inst.b].address_uses;
    if (inst.op == Op::Load || inst.op == Op::Store || (inst.op == Op::X87 && inst.a != kNoValue))
      ++values_[inst.a].address_uses;
  }
}

/// A condition is not computed where it stands if nothing between it and its only user can change the flags.
bool BlockCompiler::can_defer_condition(std::size_t i) const {
  if (values_[i].uses != 1) return false;
  for (std::size_t j = i + 1; j < count_ && j < i + 10; ++j) {
    const Inst& inst = insts_[j];
    if (values_[j].dead) continue;
    if (inst.a == i) return inst.op == Op::Branch || inst.op == Op::Select;
    switch (inst.op) {
      case Op::Const:
      case Op::GetPc:
        break;
      case Op::LoadReg:
        if (inst.type == Type::V128 || (inst.imm & 7) != 0) return false;
        break;
      default:
        return false;
    }
  }
  return false;
}

}  // namespace hindsight::engine::host::x64
