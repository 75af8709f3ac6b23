#include "engine/interp/interpreter.h"

#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "engine/base/check.h"
#include "engine/interp/flags.h"
#include "engine/interp/vector_semantics.h"

namespace hindsight::engine::interp {
namespace {

using ir::CoreState;
using ir::Inst;
using ir::Op;
using ir::Type;

std::byte* slot(CoreState& s, std::int64_t offset) { return reinterpret_cast<std::byte*>(&s) + offset; }

std::int64_t sign_extend(std::uint64_t v, Type from) {
  const unsigned shift = 64 - ir::bits_of(from);
  return static_cast<std::int64_t>(v << shift) >> shift;
}

/// One run of one block.
class Run {
 public:
  Run(const ir::Block& block, CoreState& state, std::vector<Cell>& values)
      : block_(block), s_(state), values_(values), start_pc_(state.pc) {}

  Outcome go() {
    s_.page_base = start_pc_ & ~kPageMask;
    s_.budget -= block_.insn_count;
    for (std::size_t i = 0; i < block_.insts.size(); ++i) {
      if (step(block_.insts[i], values_[i])) return trap_exit();
    }
    return Outcome::completed;
  }

 private:
  Outcome trap_exit() {
    s_.pc = s_.page_base + static_cast<std::uint64_t>(insn_offset_);
    s_.budget += block_.insn_count - insn_index_;
    return Outcome::trapped;
  }

  [[nodiscard]] std::uint64_t value(ir::Value v) const { return v == ir::kNoValue ? 0 : values_[v].low; }
  [[nodiscard]] Type type(ir::Value v) const { return ir::result_type(block_.insts[v]); }
  [[nodiscard]] bool trapped() const { return s_.trap.kind != ir::TrapKind::none; }

  void define_flags(const Inst& inst, std::uint16_t flags) {
    const std::uint16_t mask = ir::packed_mask(inst.flags_out);
    s_.flags = static_cast<std::uint16_t>((s_.flags & ~mask) | (flags & mask));
  }

  /// Executes one operation; true if it trapped.
  bool step(const Inst& inst, Cell& out);
  void integer(const Inst& inst, Cell& out);
  bool load(const Inst& inst, Cell& out);
  bool store(const Inst& inst);
  bool call(const Inst& inst, Cell& out);
  bool x87(const Inst& inst);
  bool trap_if(const Inst& inst);
  void vector(const Inst& inst, Cell& out);

  const ir::Block& block_;
  CoreState& s_;
  std::vector<Cell>& values_;
  std::uint64_t start_pc_;
  std::int64_t insn_offset_ = 0;
  unsigned insn_index_ = 0;
};

bool Run::load(const Inst& inst, Cell& out) {
  if (inst.type == Type::V128) {
    s_.memory->load16(&s_, value(inst.a), inst.sub);
    if (trapped()) return true;
    std::memcpy(&out, s_.wide, 16);
    return false;
  }
  const std::uint64_t v = s_.memory->load(&s_, value(inst.a), ir::bytes_of(inst.type), inst.sub);
  if (trapped()) return true;
  out.low = v;
  return false;
}

bool Run::store(const Inst& inst) {
  if (inst.type == Type::V128) {
    std::memcpy(s_.wide, &values_[inst.b], 16);
    s_.memory->store16(&s_, value(inst.a), inst.sub);
  } else {
    s_.memory->store(&s_, value(inst.a), value(inst.b), ir::bytes_of(inst.type), inst.sub);
  }
  return trapped();
}

bool Run::call(const Inst& inst, Cell& out) {
  std::optional<GuestRounding> rounding;
  if ((inst.helper->effects & ir::kTouchesVectors) != 0) rounding.emplace(s_);
  out.low = inst.helper->fn(&s_, value(inst.a), value(inst.b), value(inst.c));
  return trapped();
}

bool Run::x87(const Inst& inst) {
  const GuestRounding rounding(s_);
  const std::uint64_t flags = inst.helper->fn(&s_, static_cast<std::uint64_t>(inst.imm), value(inst.a), 0);
  if (trapped()) return true;
  if (inst.flags_out != 0) define_flags(inst, ir::pack_flags(static_cast<std::uint32_t>(flags)));
  return false;
}

bool Run::trap_if(const Inst& inst) {
  if ((value(inst.a) & static_cast<std::uint64_t>(inst.imm)) == 0) return false;
  ir::raise(&s_, static_cast<std::uint32_t>(inst.imm2), 0);
  return true;
}

void Run::vector(const Inst& inst, Cell& out) {
  const GuestRounding rounding(s_);
  switch (inst.op) {
    case Op::Vec:
      out = vec(inst.sub, values_[inst.a], values_[inst.b], inst.imm);
      break;
    case Op::VecInt:
      out = vec_int(inst.sub, inst.a == ir::kNoValue ? Cell{} : values_[inst.a], value(inst.b), inst.imm);
      break;
    case Op::IntVec:
      out.low = int_vec(inst.sub, values_[inst.a], inst.imm);
      break;
    default:
      define_flags(inst, ir::pack_flags(vec_flags(inst.sub, values_[inst.a], values_[inst.b])));
      break;
  }
}

void Run::integer(const Inst& inst, Cell& out) {
  const bool carry = s_.flags & ir::packed::kC;
  const AluResult r =
      alu(inst.op, ir::bits_of(inst.type), value(inst.a), value(inst.b), value(inst.c), carry);
  out.low = r.value;
  if (inst.flags_out != 0 && r.defined) define_flags(inst, r.flags);
}

bool Run::step(const Inst& inst, Cell& out) {
  switch (inst.op) {
    case Op::InsnStart:
      insn_offset_ = inst.imm;
      insn_index_ = inst.sub;
      break;
    case Op::Const:
      out = {static_cast<std::uint64_t>(inst.imm) & width_mask(ir::bits_of(inst.type)), 0};
      break;
    case Op::LoadReg:
      out = {};
      std::memcpy(&out, slot(s_, inst.imm), ir::bytes_of(inst.type));
      break;
    case Op::StoreReg:
      std::memcpy(slot(s_, inst.imm), &values_[inst.a], ir::bytes_of(inst.type));
      break;
    case Op::GetPc:
      out.low = s_.page_base + static_cast<std::uint64_t>(inst.imm);
      break;
    case Op::GetIcount:
      out.low = s_.budget_end - static_cast<std::uint64_t>(s_.budget) - block_.insn_count + insn_index_;
      break;
    case Op::Not:
      out.low = ~value(inst.a) & width_mask(ir::bits_of(inst.type));
      break;
    case Op::Bswap:
      out.low = __builtin_bswap64(value(inst.a)) >> (64 - ir::bits_of(inst.type));
      break;
    case Op::BitTest: {
      const auto bit = value(inst.b) & (ir::bits_of(inst.type) - 1);
      define_flags(inst, with(0, ir::packed::kC, (value(inst.a) >> bit) & 1));
      break;
    }
    case Op::Zext:
    case Op::Trunc:
      out.low = value(inst.a) & width_mask(ir::bits_of(inst.type));
      break;
    case Op::Sext:
      out.low = static_cast<std::uint64_t>(sign_extend(value(inst.a), type(inst.a))) &
                width_mask(ir::bits_of(inst.type));
      break;
    case Op::CmpEq:
      out.low = value(inst.a) == value(inst.b);
      break;
    case Op::CmpLtU:
      out.low = value(inst.a) < value(inst.b);
      break;
    case Op::CmpLtS:
      out.low = sign_extend(value(inst.a), inst.type) < sign_extend(value(inst.b), inst.type);
      break;
    case Op::Select:
      out = value(inst.a) != 0 ? values_[inst.b] : values_[inst.c];
      break;
    case Op::Cond:
      out.low = ir::evaluate(static_cast<ir::Condition>(inst.sub), s_.flags);
      break;
    case Op::GetFlags:
      out.low = ir::unpack_flags(s_.flags);
      break;
    case Op::SetFlags:
      define_flags(inst, ir::pack_flags(static_cast<std::uint32_t>(value(inst.a))));
      break;
    case Op::Load:
      return load(inst, out);
    case Op::Store:
      return store(inst);
    case Op::Vec:
    case Op::VecInt:
    case Op::IntVec:
    case Op::VecFlags:
      vector(inst, out);
      break;
    case Op::Call:
      return call(inst, out);
    case Op::X87:
      return x87(inst);
    case Op::TrapIf:
      return trap_if(inst);
    case Op::Jump:
      s_.pc = s_.page_base + static_cast<std::uint64_t>(inst.imm);
      break;
    case Op::Branch:
      s_.pc = s_.page_base + static_cast<std::uint64_t>(value(inst.a) != 0 ? inst.imm : inst.imm2);
      break;
    case Op::JumpIndirect:
    case Op::Leave:
      s_.pc = value(inst.a);
      break;
    default:
      integer(inst, out);
      break;
  }
  return false;
}

}  // namespace

Outcome Interpreter::run(const ir::Block& block, ir::CoreState& state) {
  if (values_.size() < block.insts.size()) values_.resize(block.insts.size());
  return Run(block, state, values_).go();
}

}  // namespace hindsight::engine::interp
