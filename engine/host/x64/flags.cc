// Condition flags between EFLAGS and the state.
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::Condition;
using ir::kFlagA;
using ir::kFlagC;
using ir::kFlagP;
using ir::kFlagS;
using ir::kFlagsAll;
using ir::kFlagV;
using ir::kFlagZ;
using ir::kNoValue;

namespace {
constexpr Mem kFlagsWord = state(HINDSIGHT_STATE(flags));
constexpr Mem kFlagsHigh = state(HINDSIGHT_STATE(flags) + 1);

/// FlagBits to the bits of AH as LAHF loads it.
constexpr unsigned ah_bits(std::uint8_t f) {
  return ((f & kFlagC) ? 1u : 0) | ((f & kFlagP) ? 4u : 0) | ((f & kFlagA) ? 0x10u : 0) |
         ((f & kFlagZ) ? 0x40u : 0) | ((f & kFlagS) ? 0x80u : 0);
}
constexpr unsigned packed_bits(std::uint8_t f) { return ah_bits(f) << 8 | ((f & kFlagV) ? 1u : 0); }
}  // namespace

/// After an operation that defines `mask`: of those, `valid` are in EFLAGS and `zero` are known to be clear.
/// Flags outside the mask stay where they were if EFLAGS still has them, which before_partial_flags saw to.
void BlockCompiler::define_flags(std::uint8_t mask, std::uint8_t valid, std::uint8_t zero) {
  const auto dead = static_cast<std::uint8_t>(~after_[at_] & kFlagsAll);
  host_ = static_cast<std::uint8_t>((host_ & ~mask) | (valid & mask) | (dead & ~zero));
  zero_ = static_cast<std::uint8_t>((zero_ & ~mask) | (zero & mask));
  host_ &= static_cast<std::uint8_t>(~zero_);
  saved_ = false;
  drop_recipe();
}

/// Before an operation defines `mask` by an instruction that destroys the other flags: those that matter go
/// to the state.
void BlockCompiler::before_partial_flags(std::size_t i, std::uint8_t mask) {
  const auto others = static_cast<std::uint8_t>(after_[i] & ~mask);
  if (others != 0 && (recipe_.active || ((host_ | zero_) & others) != 0)) sync_flags();
  if (recipe_.active) drop_recipe();
  host_ = 0, zero_ = 0;
}

/// Before an instruction that destroys EFLAGS. `live`: flags that something may still see.
void BlockCompiler::clobber_flags(std::uint8_t live) {
  if (recipe_.active) return;  // EFLAGS holds nothing of worth
  if (!saved_ && (live & (host_ | zero_)) != 0) {
    if (recipe_.result != kNoValue && read_[at_] == 0) {
      recipe_.active = true;
      host_ = 0, zero_ = 0;
      return;
    }
    sync_flags();
  } else {
    saved_ = true;  // nobody will look, or what is live is in the state
  }
  drop_recipe();
  host_ = 0, zero_ = 0;
}

/// Makes the state's flags complete. Uses the scratch register.
void BlockCompiler::sync_flags() {
  if (saved_) return;
  if (recipe_.active) emit_recipe();
  save_host_flags();
  saved_ = true;
  drop_recipe();
}

void BlockCompiler::save_host_flags() {
  const auto known = static_cast<std::uint8_t>(host_ | zero_);
  e_->lahf();
  if (host_ & kFlagV)
    e_->setcc(kO, RAX);
  else
    e_->u8(0xB0), e_->u8(0);  // mov al, 0
  if (known == kFlagsAll) {
    if (const unsigned clear = ah_bits(zero_)) {
      e_->u8(0x80), e_->u8(0xE4), e_->u8(~clear & 0xFF);  // and ah, imm8
      host_ = 0, zero_ = 0;
    }
    e_->mov_mr(2, kFlagsWord, RAX);
    return;
  }
  e_->alu_ri(kAnd, 4, RAX, packed_bits(host_));
  e_->alu_mi(kAnd, 2, kFlagsWord, static_cast<std::int16_t>(~packed_bits(known)));
  e_->alu_mr(kOr, 2, kFlagsWord, RAX);
  host_ = 0, zero_ = 0;
}

/// Decides, before the operands of operation i are released, whether its flags can be computed again from its
/// result and one operand, and if so keeps that operand alive.
BlockCompiler::Recipe BlockCompiler::plan_recipe(std::size_t i) {
  const Inst& inst = insts_[i];
  const std::uint8_t needed = needed_flags(i);
  if (needed == 0 || read_[i] != 0 || needed != after_[i] || values_[i].uses == 0) return {};
  Recipe plan{false, inst.op, inst.type, static_cast<Value>(i), kNoValue};
  if (inst.op == Op::And || inst.op == Op::Or || inst.op == Op::Xor) return plan;
  if ((inst.op != Op::Add && inst.op != Op::Sub) || inst.a == inst.b) return {};
  const auto usable = [&](Value v) {
    const ValueState& s = values_[v];
    if (s.place == Place::constant) return fits_i32(s.constant) || s.type != Type::I64;
    return !(s.place == Place::reg && s.reg == values_[i].target);
  };
  if (usable(inst.b))
    plan.operand = inst.b;
  else if (inst.op == Op::Add && usable(inst.a))
    plan.operand = inst.a;
  else
    return {};
  ++values_[plan.operand].uses;
  return plan;
}

/// After operation i has its place and its flags are defined.
void BlockCompiler::start_recipe(const Recipe& plan) {
  if (plan.result == kNoValue) return;
  recipe_ = plan;
  ++values_[plan.result].uses;
}

void BlockCompiler::drop_recipe() {
  const Recipe r = recipe_;
  recipe_ = Recipe{};
  if (r.result != kNoValue) use(r.result);
  if (r.operand != kNoValue) use(r.operand);
}

/// Computes the flags of the recipe into EFLAGS, in the scratch register.
void BlockCompiler::emit_recipe() {
  const unsigned size = ir::bytes_of(recipe_.type);
  const auto apply = [&](Alu op) {
    const ValueState& s = values_[recipe_.operand];
    switch (s.place) {
      case Place::constant:
        return e_->alu_ri(op, size, RAX, narrow_constant(s.constant, size));
      case Place::reg:
        return e_->alu_rr(op, size, RAX, s.reg);
      case Place::slot:
        return e_->alu_rm(op, size, RAX, state(s.offset));
      default:
        return e_->alu_rm(op, size, RAX, spill_slot(static_cast<unsigned>(s.offset)));
    }
  };
  const ValueState& result = values_[recipe_.result];
  if (result.place == Place::reg)
    e_->mov_rr(8, RAX, result.reg);
  else if (result.place == Place::slot)
    e_->movzx_rm(size, RAX, state(result.offset));
  else
    e_->mov_rm(8, RAX, spill_slot(static_cast<unsigned>(result.offset)));
  if (recipe_.op == Op::Add)
    apply(kSub), apply(kAdd);
  else if (recipe_.op == Op::Sub)
    apply(kAdd), apply(kSub);
  else
    e_->test_rr(size, RAX, RAX);
  host_ = kFlagsAll, zero_ = 0;
}

/// In the out-of-line path of a possible trap: the state's flags become complete; nothing changes for the
/// main line.
void BlockCompiler::flags_for_trap() {
  if (saved_ || !recipe_.active) return;
  const std::uint8_t host = host_, zero = zero_;
  emit_recipe();
  save_host_flags();
  host_ = host, zero_ = zero;
}

/// EFLAGS from the state, whole.
void BlockCompiler::load_host_flags() {
  sync_flags();
  e_->movzx_rm(2, RAX, kFlagsWord);
  e_->alu_ri(kAdd, 1, RAX, 0x7F);  // overflows exactly if bit 0 was set
  e_->sahf();
  host_ = kFlagsAll, zero_ = 0;
}

/// Makes C right in EFLAGS for an operation that reads it.
void BlockCompiler::carry_ready() {
  if (!recipe_.active && (host_ & kFlagC)) return;
  sync_flags();
  const Mem m = kFlagsWord;
  e_->op2_rm(2, 0xBA, 4, m);  // bt word [flags], 8
  e_->u8(8);
}

/// Makes a condition testable by the returned code, flags permitting without a change.
Cc BlockCompiler::condition_ready(Condition condition) {
  const std::uint8_t need = ir::flags_read_by(condition);
  const auto cc = static_cast<Cc>(condition);
  if (!recipe_.active && (need & ~host_) == 0) return cc;
  sync_flags();
  unsigned bits = 0;
  Mem at = kFlagsHigh;
  switch (condition) {
    case Condition::V:
    case Condition::NV:
      at = kFlagsWord, bits = 1;
      break;
    case Condition::C:
    case Condition::NC:
    case Condition::Z:
    case Condition::NZ:
    case Condition::CZ:
    case Condition::NCZ:
    case Condition::S:
    case Condition::NS:
    case Condition::P:
    case Condition::NP:
      bits = ah_bits(need);
      break;
    default:
      load_host_flags();
      return cc;
  }
  e_->test_mi(1, at, bits);
  host_ = 0, zero_ = 0;
  return (static_cast<unsigned>(condition) & 1) ? kE : kNe;
}

/// Makes an I8 condition value testable; releases its use.
Cc BlockCompiler::boolean_ready(Value v) {
  ValueState& s = values_[v];
  const Inst& inst = insts_[v];
  if (s.place == Place::cond) {
    const Cc cc = condition_ready(static_cast<Condition>(inst.sub));
    use(v);
    return cc;
  }
  if (s.place == Place::compare) {
    clobber_flags(before_[at_]);
    const unsigned size = ir::bytes_of(inst.type);
    const Reg a = reg_of(inst.a);
    emit_alu_op(kCmp, size, a, operand(inst.b, size));
    use(inst.a), use(inst.b), use(v);
    unlock_all();
    return inst.op == Op::CmpEq ? kE : inst.op == Op::CmpLtU ? kB : kL;
  }
  clobber_flags(before_[at_]);
  if (s.place == Place::slot) {
    e_->alu_mi(kCmp, 1, state(s.offset), 0);
  } else {
    const Reg r = reg_of(v);
    e_->test_rr(1, r, r);
  }
  use(v);
  unlock_all();
  return kNe;
}

}  // namespace hindsight::engine::host::x64
