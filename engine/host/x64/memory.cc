// Guest memory: the inline look-up in the software TLB (CoreState::view) and its out-of-line slow path.
#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kNoValue;

namespace {
constexpr std::int32_t kWriteHalf = static_cast<std::int32_t>(offsetof(ir::TlbView, write));
constexpr std::int32_t kAddend = static_cast<std::int32_t>(offsetof(ir::TlbEntry, addend));
static_assert(sizeof(ir::TlbEntry) == 16, "the look-up scales by 16");

constexpr unsigned log2_of(unsigned size) { return static_cast<unsigned>(__builtin_ctz(size)); }

/// Never emits anything but a place.
bool emits_nothing(const ir::Inst& inst) {
  return inst.op == ir::Op::Const ||
         (inst.op == ir::Op::LoadReg && inst.type != ir::Type::V128 && (inst.imm & 7) == 0);
}
}  // namespace

SiteInfo BlockCompiler::site() const {
  return {.page_offset = page_offset_, .refund = insn_count_ - insn_index_};
}

void BlockCompiler::add_to_address(Reg r, std::uint8_t scale, AddressParts& parts) {
  if (scale == 0 && parts.base == kNoReg) {
    parts.base = r;
  } else if (parts.index == kNoReg) {
    parts.index = r, parts.scale = scale;
  } else {
    e_->lea(8, kScratch, {.base = parts.base, .index = parts.index, .scale = parts.scale});
    for (Reg done : {parts.base, parts.index})
      if (done != kNoReg && done != r) locked_ &= ~(1u << done);
    parts.base = kScratch, parts.index = r, parts.scale = scale;
  }
}

/// Collects the terms of an address whose sums were not computed.
void BlockCompiler::flatten(Value v, AddressParts& parts) {
  const Inst& inst = insts_[v];
  if (values_[v].place != Place::folded) return add_to_address(reg_of(v), 0, parts);
  if (inst.op == Op::Shl)
    return add_to_address(reg_of(inst.a), static_cast<std::uint8_t>(insts_[inst.b].imm), parts);
  if (inst.op == Op::GetPc) {
    const Reg r = alloc();
    e_->mov_rm(8, r, state(HINDSIGHT_STATE(page_base)));
    parts.disp += inst.imm;
    return add_to_address(r, 0, parts);
  }
  const auto constant_term = [&](Value t) {
    if (values_[t].place != Place::constant || !fits_i32(values_[t].constant)) return false;
    parts.disp += values_[t].constant;
    return true;
  };
  const bool a_done = !is_const(inst.b) && constant_term(inst.a);
  if (!a_done) flatten(inst.a, parts);
  if (!constant_term(inst.b)) flatten(inst.b, parts);
}

void BlockCompiler::release_address(Value v) {
  if (values_[v].place == Place::folded) {
    const Inst& inst = insts_[v];
    if (inst.op == Op::Shl)
      use(inst.a), use(inst.b);
    else if (inst.op == Op::Add)
      release_address(inst.a), release_address(inst.b);
  }
  use(v);
}

/// Leaves base + displacement, the base in a register other than the scratch register, locked.
void BlockCompiler::prepare_address(Value address, AddressParts& parts) {
  flatten(address, parts);
  constexpr std::int64_t kRoom = 4096;  // for the rest of the access and of its group
  const bool far = !fits_i32(parts.disp - kRoom) || !fits_i32(parts.disp + kRoom);
  if (parts.index == kNoReg && parts.base != kScratch && !far) return;
  locked_ = 0;
  for (Reg r : {parts.base, parts.index})
    if (r != kNoReg && r != kScratch) lock(r);
  const Reg t = alloc();
  if (!far) {
    e_->lea(8, t, parts.mem());
  } else {
    e_->lea(8, t, {.base = parts.base, .index = parts.index, .scale = parts.scale});
    e_->mov_ri(kScratch, static_cast<std::uint64_t>(parts.disp));
    e_->lea(8, t, {.base = t, .index = kScratch});
  }
  parts = {.base = t, .index = kNoReg, .scale = 0, .disp = 0};
  locked_ = 1u << t;
}

/// Looks up bytes first..last from the address. Leaves the addend in t; returns the displacement of the jump
/// for a miss. Wants the tag to be the page of the last byte: the entry is chosen by the first, so what
/// reaches over a page's end never matches.
std::uint8_t* BlockCompiler::tlb_lookup(const AddressParts& parts, Reg t, std::int32_t first,
                                        std::int32_t last, bool write) {
  const std::int32_t half = write ? kWriteHalf : 0;
  const auto sum = [&](Reg r, std::int32_t more) {
    if (parts.disp + more == 0)
      e_->mov_rr(8, r, parts.base);
    else
      e_->lea(8, r, parts.mem(more));
  };
  sum(kScratch, first);
  sum(t, last);
  e_->shift_ri(kShr, 4, kScratch, 8);
  e_->alu_ri(kAnd, 4, kScratch, static_cast<std::int32_t>((ir::kTlbSize - 1) * sizeof(ir::TlbEntry)));
  e_->alu_rm(kAdd, 8, kScratch, state(HINDSIGHT_STATE(view)));
  e_->alu_ri(kAnd, 8, t, -4096);
  e_->alu_rm(kCmp, 8, t, {.base = kScratch, .disp = half});
  std::uint8_t* slow = e_->jcc(kNe);
  e_->mov_rm(8, t, {.base = kScratch, .disp = half + kAddend});
  return slow;
}

/// The register that has the addend for access i already, locked; or kNoReg.
Reg BlockCompiler::held_addend(std::size_t i) {
  const AccessGroup* g = group_of(i);
  if (g == nullptr || !g->started || g->reg == kNoReg) return kNoReg;
  lock(g->reg);
  return g->reg;
}

/// Makes `addend` right for access i: it is held_addend or a free register.
BlockCompiler::HostAccess BlockCompiler::find_host(const AddressParts& parts, std::size_t i, Reg addend,
                                                   unsigned size, bool write) {
  AccessGroup* g = group_of(i);
  const auto last = static_cast<std::int32_t>(size - 1);
  if (g == nullptr || !g->started) {
    HostAccess host{
        .group = g, .leads = g != nullptr, .addend = addend, .first = 0, .last = last, .write = write};
    if (g != nullptr) {
      const std::int64_t here = terms_[insts_[i].a].disp;
      host.first = static_cast<std::int32_t>(g->low - here);
      host.last = static_cast<std::int32_t>(g->high - 1 - here);
      host.write = g->write;
      g->started = true;
    }
    if (loop_slots_taken_ < loop_slots_) {
      host.loop_slot = loop_slots_taken_++;
      if (parts.disp + host.first == 0)
        e_->mov_rr(8, kScratch, parts.base);
      else
        e_->lea(8, kScratch, parts.mem(host.first));
      e_->alu_rm(kSub, 8, kScratch, loop_word(host.loop_slot, kLoopPage));
      e_->alu_rm(kCmp, 8, kScratch, loop_word(host.loop_slot, kLoopLimit));
      host.slow = e_->jcc(kAe);
      e_->mov_rm(8, addend, loop_word(host.loop_slot, kLoopAddend));
      host.found = e_->cursor();
    } else {
      host.slow = tlb_lookup(parts, addend, host.first, host.last, host.write);
    }
    if (g != nullptr) e_->mov_mr(8, spill_slot(kGroupSlot + g->slot), addend);
    return host;
  }
  const Mem kept = spill_slot(kGroupSlot + g->slot);
  if (g->reg != addend) e_->mov_rm(8, addend, kept);
  e_->alu_ri(kCmp, 8, addend, kPoison);
  return {.group = g, .addend = addend, .slow = e_->jcc(kE)};
}

/// Out of line: the page is another one than in the last round.
std::uint8_t* BlockCompiler::fill_loop_slot(const HostAccess& host, const AddressParts& parts) {
  std::uint8_t* miss = tlb_lookup(parts, host.addend, host.first, host.last, host.write);
  e_->mov_rm(8, kScratch, {.base = kScratch, .disp = host.write ? kWriteHalf : 0});
  e_->mov_mr(8, loop_word(host.loop_slot, kLoopPage), kScratch);
  e_->mov_mr(8, loop_word(host.loop_slot, kLoopAddend), host.addend);
  e_->mov_mi(8, loop_word(host.loop_slot, kLoopLimit), 4096 - (host.last - host.first));
  e_->jmp_to(host.found);
  return miss;
}

/// Starts the slow path of an access: from here on code goes out of line. `apply` emits the access to a
/// place.
template <typename Apply>
void BlockCompiler::begin_slow(const HostAccess& host, const AddressParts& parts, unsigned size, bool write,
                               const Apply& apply) {
  e_ = cold_;
  std::uint8_t* from = host.slow;
  if (host.loop_slot >= 0) {
    e_->patch_here(from);
    from = fill_loop_slot(host, parts);
  }
  if (host.group != nullptr) {
    e_->patch_here(from);
    if (host.leads) e_->mov_mi(8, spill_slot(kGroupSlot + host.group->slot), kPoison);
    from = tlb_lookup(parts, host.addend, 0, static_cast<std::int32_t>(size - 1), write);
    apply({.base = parts.base, .index = host.addend, .disp = static_cast<std::int32_t>(parts.disp)});
    if (host.group->reg == host.addend) e_->mov_ri(host.addend, kPoison);
    e_->jmp_to(hot_->cursor());
  }
  begin_slow(from, parts, host.addend);
}

/// The part that leads to a call. May change t.
void BlockCompiler::begin_slow(std::uint8_t* from, const AddressParts& parts, Reg t) {
  e_ = cold_;
  e_->patch_here(from);
  flags_for_trap();
  x87_suspend();
  for (const CachedVector& c : cached_)
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg);
  Reg address = parts.base;
  if (parts.disp != 0) e_->lea(8, t, parts.mem()), address = t;
  e_->mov_mr(8, spill_slot(kSlowAddress), address);
}

void BlockCompiler::call_slow(unsigned size, std::uint32_t access, bool store) {
  SiteInfo info = site();
  info.log2_size = log2_of(size), info.access = access, info.store = store;
  e_->call_to(layout_.routines.slow_access[any_xmm() ? 1 : 0]);
  e_->u8(0x0F), e_->u8(0x1F), e_->u8(0x80), e_->u32(info.pack());  // nop [rax + disp32]
}

void BlockCompiler::emit_load(std::size_t i) {
  const Inst& inst = insts_[i];
  if (try_read_modify_write(i)) return;
  const unsigned size = ir::bytes_of(inst.type);
  const bool vector = inst.type == Type::V128;
  clobber_flags(ir::kFlagsAll);
  AddressParts parts;
  prepare_address(inst.a, parts);
  const Reg target = values_[i].target;
  const bool pinned = !vector && target != kNoReg && values_[i].uses != 0;
  const Reg held = held_addend(i);
  const Reg t = held != kNoReg && (vector || pinned) ? held : alloc();
  const Reg addend = held != kNoReg ? held : t;
  release_address(inst.a);
  // Flags that only this access can still see need their recipe only in the slow path, before the register is
  // overwritten.
  bool last_look = pinned && recipe_.active && after_[i] == 0;
  for (Value v = pinned ? chain_[target] : kNoValue; v != kNoValue; v = values_[v].next)
    last_look = last_look && values_[v].uses == 1 && (v == recipe_.result || v == recipe_.operand);
  if (pinned && !last_look) evacuate_pinned(target);
  const Reg dst = vector ? xalloc() : pinned ? target : t;
  const Mem result = spill_slot(kSlowValue);
  const auto fetch = [&](const Mem& m) {
    if (vector)
      e_->movups_rm(dst, m);
    else if (pinned && size < 4)
      e_->mov_rm(size, dst, m);
    else
      e_->movzx_rm(size, dst, m);
  };
  if (inst.sub & ir::kAccessSupervisor) {
    begin_slow(hot_->jmp(), parts, t);
  } else {
    const bool write = (inst.sub & ir::kAccessWriteIntent) != 0;
    const HostAccess host = find_host(parts, i, addend, size, write);
    fetch({.base = parts.base, .index = addend, .disp = static_cast<std::int32_t>(parts.disp)});
    if (host.group != nullptr) keep_group_register(*host.group, dst == addend ? kNoReg : addend);
    begin_slow(host, parts, size, write, fetch);
  }
  call_slow(size, inst.sub, false);
  fetch(result);
  poison_groups();
  x87_resume();
  e_->jmp_to(hot_->cursor());
  e_ = hot_;
  if (last_look) drop_recipe(), saved_ = true;
  if (!vector) return finish(i, dst, !(pinned && size < 4));
  if (values_[i].uses != 0)
    place_in_xmm(static_cast<Value>(i), dst);
  else
    xfree_if_unowned(static_cast<Reg>(dst + 16));
  unlock_all();
}

void BlockCompiler::emit_store(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned size = ir::bytes_of(inst.type);
  const bool vector = inst.type == Type::V128;
  clobber_flags(ir::kFlagsAll);
  AddressParts parts;
  prepare_address(inst.a, parts);
  Operand v{.kind = Operand::reg};
  if (vector) {
    v.r = xmm_of(inst.b);
  } else {
    v = operand(inst.b, size);
    if (v.kind == Operand::mem) v = {.kind = Operand::reg, .r = reg_of(inst.b)};
  }
  const Reg held = held_addend(i);
  const Reg t = held != kNoReg ? held : alloc();
  const auto put = [&](const Mem& m, unsigned bytes) {
    if (vector)
      e_->movups_mr(m, v.r);
    else if (v.kind == Operand::imm)
      e_->mov_mi(bytes, m, v.value);
    else
      e_->mov_mr(bytes, m, v.r);
  };
  if (inst.sub & ir::kAccessSupervisor) {
    begin_slow(hot_->jmp(), parts, t);
  } else {
    const HostAccess host = find_host(parts, i, t, size, true);
    const auto apply = [&](const Mem& m) { put(m, size); };
    apply({.base = parts.base, .index = t, .disp = static_cast<std::int32_t>(parts.disp)});
    if (host.group != nullptr) keep_group_register(*host.group, t);
    begin_slow(host, parts, size, true, apply);
  }
  put(spill_slot(kSlowValue), 8);
  call_slow(size, inst.sub, true);
  poison_groups();
  x87_resume();
  e_->jmp_to(hot_->cursor());
  e_ = hot_;
  release_address(inst.a);
  use(inst.b);
  unlock_all();
}

/// A write-checked load, one operation on it and a store to the same place become one host instruction on
/// memory. True if this was one; then its other operations are marked dead.
bool BlockCompiler::try_read_modify_write(std::size_t i) {
  const Inst& load = insts_[i];
  if (!(load.sub & ir::kAccessWriteIntent) || (load.sub & ir::kAccessSupervisor)) return false;
  if (load.type == Type::V128 || values_[i].uses != 1) return false;
  std::size_t k = i + 1;
  while (k < count_ && k < i + 6 && emits_nothing(insts_[k])) ++k;
  if (k + 1 >= count_) return false;
  const Inst& op = insts_[k];
  const Inst& store = insts_[k + 1];
  if (store.op != Op::Store || store.a != load.a || store.b != k || store.type != load.type) return false;
  if (store.sub & ir::kAccessSupervisor) return false;
  if (values_[k].uses != 1 || op.type != load.type) return false;
  Alu alu;
  switch (op.op) {
    case Op::Add:
      alu = kAdd;
      break;
    case Op::Sub:
      alu = kSub;
      break;
    case Op::And:
      alu = kAnd;
      break;
    case Op::Or:
      alu = kOr;
      break;
    case Op::Xor:
      alu = kXor;
      break;
    default:
      return false;
  }
  Value other = op.b;
  if (op.a != i) {
    if (alu == kSub || op.b != i) return false;
    other = op.a;
  }
  if (other == i) return false;
  // Flags that it leaves alone would have to be merged.
  const auto after = static_cast<std::uint8_t>(after_[k + 1]);
  const auto needed = static_cast<std::uint8_t>(op.flags_out & after);
  if (needed != 0 && (after & ~op.flags_out) != 0) return false;

  for (std::size_t j = i + 1; j < k; ++j) emit(j), values_[j].dead = true;
  values_[k].dead = values_[k + 1].dead = true;
  at_ = i;
  const unsigned size = ir::bytes_of(load.type);
  clobber_flags(ir::kFlagsAll);
  AddressParts parts;
  prepare_address(load.a, parts);
  Operand x = operand(other, size);
  if (x.kind == Operand::mem) x = {.kind = Operand::reg, .r = reg_of(other)};
  const Reg held = held_addend(i);
  const Reg t = held != kNoReg ? held : alloc();
  const HostAccess found = find_host(parts, i, t, size, true);
  const Mem host{.base = parts.base, .index = t, .disp = static_cast<std::int32_t>(parts.disp)};
  const auto apply = [&](const Mem& m) {
    if (x.kind == Operand::imm)
      e_->alu_mi(alu, size, m, x.value);
    else
      e_->alu_mr(alu, size, m, x.r);
  };
  apply(host);
  if (found.group != nullptr) keep_group_register(*found.group, t);
  begin_slow(found, parts, size, true, apply);
  call_slow(size, load.sub, false);
  apply(spill_slot(kSlowValue));
  call_slow(size, store.sub, true);  // keeps EFLAGS
  poison_groups();
  x87_resume();
  e_->jmp_to(hot_->cursor());
  e_ = hot_;
  release_address(load.a);
  use(load.a);
  use(other);
  at_ = k + 1;
  if (needed != 0) {
    drop_recipe();
    define_flags(op.flags_out, ir::kFlagsAll, 0);
  }
  unlock_all();
  return true;
}

}  // namespace hindsight::engine::host::x64
