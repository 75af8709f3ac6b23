// Vector values in XMM registers. Guest vector registers are cached there within a block, written back where
// somebody else may look.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kFlagsAll;
using ir::kNoValue;

namespace {
constexpr unsigned kXmm = 16;  ///< of chain_ and ValueState::reg
}

void BlockCompiler::xfree_if_unowned(Reg r) {
  if (chain_[r] != kNoValue) return;
  const auto x = static_cast<Reg>(r - kXmm);
  for (const CachedVector& c : cached_)
    if (c.reg == x) return;
  xmm_used_ &= ~(1u << x);
}

/// A free XMM register, locked.
Reg BlockCompiler::xalloc() {
  const auto take_free = [&]() -> Reg {
    const std::uint32_t free = ~(xmm_used_ | xlocked_) & 0xFFFF;
    if (free == 0) return kNoReg;
    const auto x = static_cast<Reg>(__builtin_ctz(free));
    xmm_used_ |= 1u << x, xlocked_ |= 1u << x;
    return x;
  };
  // A move leaves two guest registers in one: all of them give it up.
  const auto uncache = [&](unsigned r) {
    std::erase_if(cached_, [&](const CachedVector& c) {
      if (c.reg != r) return false;
      if (c.dirty) e_->movups_mr(state(c.offset), c.reg);
      return true;
    });
    xmm_used_ &= ~(1u << r);
  };
  Reg x = take_free();
  for (std::size_t k = 0; x == kNoReg && k < cached_.size(); ++k) {
    const Reg r = cached_[k].reg;
    if ((xlocked_ >> r & 1) || chain_[r + kXmm] != kNoValue) continue;
    uncache(r);
    x = take_free();
  }
  for (unsigned r = 0; x == kNoReg && r < 16; ++r) {
    if (xlocked_ >> r & 1) continue;
    while (chain_[r + kXmm] != kNoValue) spill_value(chain_[r + kXmm]);
    uncache(r);
    x = take_free();
  }
  CHECK(x != kNoReg, "no vector register left at operation {}", at_);
  return x;
}

void BlockCompiler::place_in_xmm(Value v, Reg r) {
  ValueState& s = values_[v];
  s.place = Place::xmm, s.reg = static_cast<Reg>(r + kXmm);
  s.next = chain_[s.reg], chain_[s.reg] = v;
}

Reg BlockCompiler::xmm_of(Value v) {
  ValueState& s = values_[v];
  if (s.place == Place::spill) {
    const Reg r = xalloc();
    e_->movups_rm(r, spill_slot(static_cast<unsigned>(s.offset)));
    detach(v);
    place_in_xmm(v, r);
  }
  CHECK(s.place == Place::xmm, "vector value {} has no place", v);
  xlocked_ |= 1u << (s.reg - kXmm);
  return static_cast<Reg>(s.reg - kXmm);
}

/// Makes the state right for bytes that overlap cached vectors; with `drop`, forgets those.
void BlockCompiler::flush_vectors(std::int32_t offset, unsigned size, bool drop) {
  for (std::size_t k = 0; k < cached_.size();) {
    CachedVector& c = cached_[k];
    if (offset >= c.offset + 16 || c.offset >= offset + static_cast<std::int32_t>(size)) {
      ++k;
      continue;
    }
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg), c.dirty = false;
    if (drop) {
      const auto r = static_cast<Reg>(c.reg + kXmm);
      cached_.erase(cached_.begin() + static_cast<std::ptrdiff_t>(k));
      xfree_if_unowned(r);
    } else {
      ++k;
    }
  }
}

void BlockCompiler::write_back_vectors() {
  for (CachedVector& c : cached_)
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg), c.dirty = false;
}

/// After write_back_vectors, around a call: no XMM register survives.
void BlockCompiler::drop_vectors() {
  cached_.clear();
  for (unsigned r = kXmm; r < kXmm + 16; ++r)
    while (chain_[r] != kNoValue) spill_value(chain_[r]);
  xmm_used_ = 0;
}

void BlockCompiler::emit_load_vector_reg(std::size_t i) {
  const auto offset = static_cast<std::int32_t>(insts_[i].imm);
  x87_observe(offset, 16);
  for (const CachedVector& c : cached_)
    if (c.offset == offset) return place_in_xmm(static_cast<Value>(i), c.reg);
  flush_vectors(offset, 16, false);
  const Reg r = xalloc();
  e_->movups_rm(r, state(offset));
  cached_.push_back({offset, r, false});
  place_in_xmm(static_cast<Value>(i), r);
  unlock_all();
}

void BlockCompiler::emit_store_vector_reg(std::size_t i) {
  const Inst& inst = insts_[i];
  const auto offset = static_cast<std::int32_t>(inst.imm);
  x87_observe(offset, 16);
  evacuate_slots(offset, 16);
  const Reg r = xmm_of(inst.a);
  for (std::size_t k = 0; k < cached_.size(); ++k) {
    if (cached_[k].offset == offset) {  // replaced, not written back
      const Reg old = cached_[k].reg;
      cached_.erase(cached_.begin() + static_cast<std::ptrdiff_t>(k));
      if (old != r) xfree_if_unowned(static_cast<Reg>(old + kXmm));
      break;
    }
  }
  flush_vectors(offset, 16, true);
  cached_.push_back({offset, r, true});
  use(inst.a);
  unlock_all();
}

/// Before the first round of a loop: what a round reads before it writes it comes into registers, so that
/// later rounds need not fetch it from where the round before has just stored it.
void BlockCompiler::preload_vectors() {
  preloaded_.clear();
  if (!loops_) return;
  constexpr std::size_t kMost = 8;
  std::vector<std::int32_t> done;  // begins of 16 bytes
  for (std::size_t i = 0; i < count_ && preloaded_.size() < kMost; ++i) {
    const Inst& inst = insts_[i];
    if (inst.op != Op::LoadReg && inst.op != Op::StoreReg) continue;
    const auto offset = static_cast<std::int32_t>(inst.imm);
    const auto size = static_cast<std::int32_t>(ir::bytes_of(inst.type));
    const bool met = std::any_of(done.begin(), done.end(),
                                 [&](std::int32_t at) { return offset < at + 16 && at < offset + size; });
    if (inst.op == Op::StoreReg || inst.type == Type::V128) done.push_back(offset);
    if (met || inst.op == Op::StoreReg || inst.type != Type::V128 || values_[i].dead) continue;
    const Reg r = xalloc();
    e_->movups_rm(r, state(offset));
    cached_.push_back({offset, r, false});
    preloaded_.push_back({offset, r, false});
    unlock_all();
  }
}

/// After write_back_vectors: every preloaded vector is in its register again.
void BlockCompiler::restore_preloaded() {
  struct Move {
    CachedVector to;
    Reg from;
  };
  std::vector<Move> moves;
  for (const CachedVector& p : preloaded_) {
    const auto it = std::find_if(cached_.begin(), cached_.end(),
                                 [&](const CachedVector& c) { return c.offset == p.offset; });
    const Reg from = it == cached_.end() ? kNoReg : it->reg;
    if (from != p.reg) moves.push_back({p, from});
  }
  const auto still_wanted = [&](const Move& m) {
    return std::any_of(moves.begin(), moves.end(),
                       [&](const Move& other) { return &other != &m && other.from == m.to.reg; });
  };
  for (bool progress = true; progress;) {
    const auto it = std::find_if(moves.begin(), moves.end(),
                                 [&](const Move& m) { return m.from != kNoReg && !still_wanted(m); });
    progress = it != moves.end();
    if (!progress) break;
    e_->movaps(it->to.reg, it->from);
    moves.erase(it);
  }
  for (const Move& m : moves) e_->movups_rm(m.to.reg, state(m.to.offset));
}

/// Where to compute a vector from a, whose use has been released: in its own register if nobody else needs
/// it.
Reg BlockCompiler::vector_destination(std::size_t i, Value a, bool a_read) {
  const ValueState& s = values_[a];
  const auto ra = static_cast<Reg>(s.reg - kXmm);
  if (chain_[s.reg] == kNoValue && values_[i].uses != 0) {
    const CachedVector* owner = nullptr;
    unsigned owners = 0;
    for (const CachedVector& c : cached_)
      if (c.reg == ra) owner = &c, ++owners;
    // A guest register that is about to get the result gives up its old content.
    const bool replaced = owners == 1 && values_[i].target != kNoReg && values_[i].offset == owner->offset;
    if (replaced) cached_.erase(cached_.begin() + (owner - cached_.data()));
    if (owners == 0 || replaced) {
      xmm_used_ |= 1u << ra, xlocked_ |= 1u << ra;
      return ra;
    }
  }
  const Reg r = xalloc();
  if (a_read) e_->movaps(r, ra);
  return r;
}

void BlockCompiler::emit_sse(const VectorEncoding& e, Reg reg, Reg rm, std::int64_t imm) {
  e_->sse_rr(e.prefix, e.map, e.opcode, reg, rm, e.wide);
  if (e.imm) e_->u8(static_cast<unsigned>(imm));
}

void BlockCompiler::emit_vector(std::size_t i) {
  const Inst& inst = insts_[i];
  const auto done = [&](Reg r) {
    if (values_[i].uses != 0)
      place_in_xmm(static_cast<Value>(i), r);
    else
      xfree_if_unowned(static_cast<Reg>(r + kXmm));
    unlock_all();
  };
  switch (inst.op) {
    case Op::Vec: {
      const VectorEncoding& e = encoding(static_cast<ir::VecOp>(inst.sub));
      const bool unary = ir::kVecOps[inst.sub].properties & ir::kVecUnary;
      const Reg b = xmm_of(inst.b);
      xmm_of(inst.a);
      use(inst.a), use(inst.b);
      const Reg dst = vector_destination(i, unary ? inst.b : inst.a, !unary);
      if (e.form == VectorForm::dst_digit)
        emit_sse(e, e.digit, dst, inst.imm);
      else
        emit_sse(e, dst, b, inst.imm);
      return done(dst);
    }
    case Op::VecInt: {
      const VectorEncoding& e = encoding(static_cast<ir::VecIntOp>(inst.sub));
      const bool unary = ir::kVecIntOps[inst.sub].properties & ir::kVecUnary;
      const Reg b = reg_of(inst.b);
      if (!unary) xmm_of(inst.a), use(inst.a);
      use(inst.b);
      const Reg dst = unary ? xalloc() : vector_destination(i, inst.a, true);
      emit_sse(e, dst, b, inst.imm);
      return done(dst);
    }
    case Op::IntVec: {
      const VectorEncoding& e = encoding(static_cast<ir::IntVecOp>(inst.sub));
      const Reg a = xmm_of(inst.a);
      use(inst.a);
      const Reg dst = destination(i, kNoValue);
      if (e.form == VectorForm::gpr_src)
        emit_sse(e, dst, a, inst.imm);
      else
        emit_sse(e, a, dst, inst.imm);
      return finish(i, dst, true);
    }
    default: {  // VecFlags
      const VectorEncoding& e = encoding(static_cast<ir::VecFlagsOp>(inst.sub));
      const std::uint8_t needed = needed_flags(i);
      if (needed != 0)
        before_partial_flags(i, inst.flags_out);
      else
        clobber_flags(after_[i]);
      const Reg a = xmm_of(inst.a), b = xmm_of(inst.b);
      emit_sse(e, a, b, inst.imm);
      use(inst.a), use(inst.b);
      if (needed != 0) define_flags(inst.flags_out, kFlagsAll, 0);
      return unlock_all();
    }
  }
}

}  // namespace hindsight::engine::host::x64
