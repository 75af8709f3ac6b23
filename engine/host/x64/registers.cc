// Guest registers: loads stay symbolic, stores commit.
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

namespace {
/// ModRM.rm of the second byte of RAX and RBX in an instruction without REX.
constexpr unsigned kAh = 4, kBh = 7;
}  // namespace

void BlockCompiler::emit_load_reg(std::size_t i) {
  const Inst& inst = insts_[i];
  if (inst.type == Type::V128) return emit_load_vector_reg(i);
  const auto offset = static_cast<std::int32_t>(inst.imm);
  const unsigned size = ir::bytes_of(inst.type);
  const Reg p = layout_.pinned_at(offset, size);
  if (p == kNoReg) {
    x87_observe(offset, size);
    flush_vectors(offset, size, false);
    return place_in_slot(static_cast<Value>(i), offset);
  }
  const unsigned byte = static_cast<unsigned>(offset) & 7;
  if (byte == 0) return place_in_reg(static_cast<Value>(i), p, size == 8);
  const Reg dst = alloc();
  if (byte == 1 && size == 1) {
    if (p != RBX) e_->mov_rr(4, RAX, p);
    e_->u8(0x0F), e_->u8(0xB6);
    e_->u8(0xC0u | (dst & 7u) << 3 | (p == RBX ? kBh : kAh));
  } else {
    e_->mov_mr(8, state(layout_.offset_of(p)), p);
    e_->movzx_rm(size, dst, state(offset));
  }
  place_in_reg(static_cast<Value>(i), dst, true);
  unlock_all();
}

void BlockCompiler::emit_store_reg(std::size_t i) {
  const Inst& inst = insts_[i];
  if (inst.type == Type::V128) return emit_store_vector_reg(i);
  const auto offset = static_cast<std::int32_t>(inst.imm);
  const unsigned size = ir::bytes_of(inst.type);
  const Reg p = layout_.pinned_at(offset, size);
  if (p != kNoReg) return store_pinned(i, p);
  x87_observe(offset, size);
  const ValueState& s = values_[inst.a];
  if (s.place == Place::slot && s.offset == offset) {  // unchanged
    use(inst.a);
    return;
  }
  flush_vectors(offset, size, true);
  Operand v = operand(inst.a, size);
  if (v.kind == Operand::mem) v = {.kind = Operand::reg, .r = reg_of(inst.a)};
  use(inst.a);
  evacuate_slots(offset, size);
  if (v.kind == Operand::imm)
    e_->mov_mi(size, state(offset), v.value);
  else
    e_->mov_mr(size, state(offset), v.r);
  // What only a recipe still holds need not keep a register.
  if (recipe_.result == inst.a && s.uses == 1 && s.place == Place::reg && !is_pinned(s.reg) &&
      s.type == inst.type) {
    detach(inst.a);
    place_in_slot(inst.a, offset);
  }
  unlock_all();
}

/// Stores to a guest register that lives in host register p.
void BlockCompiler::store_pinned(std::size_t i, Reg p) {
  const Inst& inst = insts_[i];
  const auto offset = static_cast<std::int32_t>(inst.imm);
  const unsigned size = ir::bytes_of(inst.type), byte = static_cast<unsigned>(offset) & 7;
  ValueState& s = values_[inst.a];
  if (byte == 0 && size != 4 && s.place == Place::reg && s.reg == p) {  // already there
    use(inst.a);
    return;
  }
  if (byte == 0 && size == 8) {
    const bool in_memory = s.place == Place::slot || s.place == Place::spill;
    const Mem m = s.place == Place::slot ? state(s.offset)
                  : in_memory            ? spill_slot(static_cast<unsigned>(s.offset))
                                         : Mem{};
    const bool constant = s.place == Place::constant;
    const Reg r = in_memory || constant ? kNoReg : reg_of(inst.a);
    const auto value = static_cast<std::uint64_t>(s.constant);
    use(inst.a);
    evacuate_pinned(p);
    if (constant)
      e_->mov_ri(p, value);
    else if (in_memory)
      e_->mov_rm(8, p, m);
    else
      e_->mov_rr(8, p, r);
    if (!constant && !in_memory && s.uses != 0 && !is_pinned(s.reg)) {
      detach(inst.a);
      place_in_reg(inst.a, p, true);
    }
    return unlock_all();
  }
  const bool constant = s.place == Place::constant;
  const Reg r = constant ? kNoReg : reg_of(inst.a);
  const std::int64_t value = s.constant;
  use(inst.a);
  evacuate_pinned(p);
  if (byte == 0 && size < 4) {
    if (constant)
      e_->mov_ri_narrow(size, p, value);
    else
      e_->mov_rr(size, p, r);
  } else if (byte == 1 && size == 1 && (constant || r <= RBX || r == p)) {
    const unsigned high = p == RBX ? kBh : kAh;
    if (p != RBX) e_->mov_rr(4, RAX, p);
    if (constant) {
      e_->u8(0xB0u | high), e_->u8(static_cast<unsigned>(value));
    } else {
      const unsigned from = r == p && p != RBX ? 0u : r;  // its low byte is in AL by now
      e_->u8(0x88), e_->u8(0xC0u | from << 3 | high);
    }
    if (p != RBX) e_->mov_rr(2, p, RAX);
  } else {
    const Mem slot = state(layout_.offset_of(p));
    e_->mov_mr(8, slot, p);
    if (constant) e_->mov_ri(RAX, static_cast<std::uint64_t>(value));
    e_->mov_mr(size, state(offset), constant ? kScratch : r);
    e_->mov_rm(8, p, slot);
  }
  unlock_all();
}

}  // namespace hindsight::engine::host::x64
