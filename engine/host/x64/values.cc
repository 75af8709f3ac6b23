// Where values are, and the local register allocator.
#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kNoValue;

void BlockCompiler::detach(Value v) {
  ValueState& s = values_[v];
  Value* link = nullptr;
  if (s.place == Place::reg || s.place == Place::xmm)
    link = &chain_[s.reg];
  else if (s.place == Place::slot)
    link = &slot_chain_;
  else if (s.place == Place::spill) {
    const std::uint64_t mask = s.type == Type::V128 ? 3 : 1;
    spill_freed_ |= mask << s.offset;
    return;
  } else {
    return;
  }
  while (*link != v) link = &values_[*link].next;
  *link = s.next;
  if (s.place == Place::xmm) xfree_if_unowned(s.reg);
}

void BlockCompiler::use(Value v) {
  if (v == kNoValue) return;
  ValueState& s = values_[v];
  if (--s.uses != 0) return;
  detach(v);
  s.place = Place::none;
}

void BlockCompiler::place_in_reg(Value v, Reg r, bool upper_zero) {
  ValueState& s = values_[v];
  s.place = Place::reg, s.reg = r, s.upper_zero = upper_zero;
  s.next = chain_[r], chain_[r] = v;
}

void BlockCompiler::place_in_slot(Value v, std::int32_t offset) {
  ValueState& s = values_[v];
  s.place = Place::slot, s.offset = offset;
  s.next = slot_chain_, slot_chain_ = v;
}

unsigned BlockCompiler::alloc_spill(unsigned cells) {
  const std::uint64_t pattern = cells == 2 ? 3 : 1;
  for (unsigned i = 0; i + cells <= kSpillSlots; i += cells)
    if ((spill_used_ >> i & pattern) == 0) {
      spill_used_ |= pattern << i;
      return i;
    }
  CHECK(false, "a block needs more than {} spilled values", kSpillSlots);
}

/// Moves a value from its host register to memory of its own.
void BlockCompiler::spill_value(Value v) {
  ValueState& s = values_[v];
  const bool wide = s.place == Place::xmm;
  const Reg r = s.reg;
  const unsigned cell = alloc_spill(wide ? 2 : 1);
  if (wide)
    e_->movups_mr(spill_slot(cell), static_cast<Reg>(r - 16));
  else
    e_->mov_mr(8, spill_slot(cell), r);
  detach(v);
  s.place = Place::spill;
  s.offset = static_cast<std::int32_t>(cell);
}

Reg BlockCompiler::alloc() {
  for (const bool groups_too : {false, true})
    for (Reg r : kTemps)
      if (chain_[r] == kNoValue && !(locked_ >> r & 1) && (groups_too || !(group_regs_ >> r & 1)))
        return forget_group_register(r), lock(r), r;
  // Spill the value defined longest ago: it has waited longest.
  Reg victim = kNoReg;
  Value oldest = kNoValue;
  for (Reg r : kTemps)
    if (!(locked_ >> r & 1) && chain_[r] < oldest) oldest = chain_[r], victim = r;
  CHECK(victim != kNoReg, "no host register left at operation {}", at_);
  while (chain_[victim] != kNoValue) spill_value(chain_[victim]);
  lock(victim);
  return victim;
}

/// Empties a register, moving its values to another one or to memory.
void BlockCompiler::evict(Reg r, bool to_memory) {
  forget_group_register(r);
  if (chain_[r] == kNoValue) return;
  if (!to_memory)
    for (Reg t : kTemps)
      if (t != r && chain_[t] == kNoValue && !(locked_ >> t & 1)) {
        forget_group_register(t);
        e_->mov_rr(8, t, r);
        while (chain_[r] != kNoValue) {
          const Value v = chain_[r];
          const bool upper_zero = values_[v].upper_zero;
          detach(v);
          place_in_reg(v, t, upper_zero);
        }
        return;
      }
  while (chain_[r] != kNoValue) spill_value(chain_[r]);
}

/// Reserves a particular temporary for the operation at hand.
void BlockCompiler::take(Reg r) {
  evict(r);
  lock(r);
}

void BlockCompiler::evacuate_pinned(Reg p) {
  if (recipe_.active && before_[at_] == 0) drop_recipe();
  evict(p);
}

void BlockCompiler::evacuate_slots(std::int32_t offset, unsigned size) {
  if (slot_chain_ == kNoValue) return;
  if (recipe_.active && before_[at_] == 0) drop_recipe();
  for (Value v = slot_chain_; v != kNoValue;) {
    ValueState& s = values_[v];
    const Value next = s.next;
    const auto end = s.offset + static_cast<std::int32_t>(ir::bytes_of(s.type));
    if (s.offset < offset + static_cast<std::int32_t>(size) && offset < end) {
      const unsigned cell = alloc_spill(1);
      e_->movzx_rm(ir::bytes_of(s.type), kScratch, state(s.offset));
      e_->mov_mr(8, spill_slot(cell), kScratch);
      detach(v);
      s.place = Place::spill, s.offset = static_cast<std::int32_t>(cell), s.upper_zero = true;
    }
    v = next;
  }
}

/// Copies a value to a given register without touching the flags or its place.
void BlockCompiler::load_into(Reg r, Value v) {
  const ValueState& s = values_[v];
  switch (s.place) {
    case Place::constant:
      return e_->mov_ri(r, static_cast<std::uint64_t>(s.constant));
    case Place::slot:
      return e_->movzx_rm(ir::bytes_of(s.type), r, state(s.offset));
    case Place::spill:
      return e_->mov_rm(8, r, spill_slot(static_cast<unsigned>(s.offset)));
    default: {
      const Reg from = reg_of(v);
      if (from != r) e_->mov_rr(s.type == Type::I64 ? 8 : 4, r, from);
    }
  }
}

/// The value in a host register, locked for the operation at hand. Emits nothing that touches the flags but
/// for a deferred comparison.
Reg BlockCompiler::reg_of(Value v) {
  ValueState& s = values_[v];
  switch (s.place) {
    case Place::reg:
      lock(s.reg);
      return s.reg;
    case Place::constant: {
      const Reg r = alloc();
      e_->mov_ri(r, static_cast<std::uint64_t>(s.constant));
      place_in_reg(v, r, true);
      return r;
    }
    case Place::slot: {
      const Reg r = alloc();
      e_->movzx_rm(ir::bytes_of(s.type), r, state(s.offset));
      detach(v);
      place_in_reg(v, r, true);
      return r;
    }
    case Place::spill: {
      const Reg r = alloc();
      e_->mov_rm(8, r, spill_slot(static_cast<unsigned>(s.offset)));
      const bool upper_zero = s.upper_zero;
      detach(v);
      place_in_reg(v, r, upper_zero);
      return r;
    }
    default:
      CHECK(false, "value {} has no place at operation {}", v, at_);
  }
}

BlockCompiler::Operand BlockCompiler::operand(Value v, unsigned size) {
  const ValueState& s = values_[v];
  if (s.place == Place::constant) {
    const std::int64_t c = narrow_constant(s.constant, size);
    if (fits_i32(c)) return {.kind = Operand::imm, .value = c};
  }
  if (s.place == Place::slot) return {.kind = Operand::mem, .m = state(s.offset)};
  if (s.place == Place::spill)
    return {.kind = Operand::mem, .m = spill_slot(static_cast<unsigned>(s.offset))};
  return {.kind = Operand::reg, .r = reg_of(v)};
}

/// Where to compute operation i: the guest register it is going to, or the register of `reuse` (whose use has
/// been released) if that is free now, or a new one.
Reg BlockCompiler::destination(std::size_t i, Value reuse) {
  const ValueState& me = values_[i];
  if (me.uses == 0) return kScratch;
  if (me.target != kNoReg) {
    evacuate_pinned(me.target);
    lock(me.target);
    return me.target;
  }
  if (reuse != kNoValue) {
    const ValueState& s = values_[reuse];
    if (s.uses == 0 && s.reg != kNoReg && s.reg < 16 && !is_pinned(s.reg) && s.reg != kScratch &&
        chain_[s.reg] == kNoValue && (locked_ >> s.reg & 1))
      return s.reg;
  }
  return alloc();
}

void BlockCompiler::finish(std::size_t i, Reg dst, bool upper_zero) {
  if (values_[i].uses != 0) place_in_reg(static_cast<Value>(i), dst, upper_zero);
  unlock_all();
}

}  // namespace hindsight::engine::host::x64
