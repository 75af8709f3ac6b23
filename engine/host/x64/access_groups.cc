// Accesses of a block that lie close together: one look-up in the software TLB for all of them.
#include <algorithm>

#include "engine/host/x64/block_compiler.h"

namespace hindsight::engine::host::x64 {

using ir::kNoValue;

namespace {
/// Further apart, and a page's end falls too often between them. Less than a page, so that the entry of the
/// first byte never matches the page of the last one if that is another.
constexpr std::int64_t kGroupReach = 512;
/// Stands for the linear address of the block's page in AddressTerm::root.
constexpr ir::Value kPageRoot = kNoValue - 1;
}  // namespace

/// Finds for every value the sum `root + disp` that it is, through guest registers too.
void BlockCompiler::analyse_groups() {
  terms_.resize(count_);
  group_of_.assign(count_, kNoGroup);
  groups_.clear();
  known_.clear();
  open_.clear();
  for (std::size_t i = 0; i < count_; ++i) {
    const Inst& inst = insts_[i];
    AddressTerm& me = terms_[i];
    me = {static_cast<Value>(i), 0};
    const auto offset = static_cast<std::int32_t>(inst.imm);
    switch (inst.op) {
      case Op::LoadReg: {
        if (inst.type != Type::I64) break;
        const auto it =
            std::find_if(known_.begin(), known_.end(), [&](const auto& k) { return k.first == offset; });
        if (it != known_.end())
          me = it->second;
        else
          known_.emplace_back(offset, me);
        break;
      }
      case Op::StoreReg: {
        const auto size = static_cast<std::int32_t>(ir::bytes_of(inst.type));
        std::erase_if(known_, [&](const auto& k) { return offset < k.first + 8 && k.first < offset + size; });
        if (inst.type == Type::I64) known_.emplace_back(offset, terms_[inst.a]);
        break;
      }
      case Op::GetPc:
        me = {kPageRoot, inst.imm};
        break;
      case Op::Add:
      case Op::Sub: {
        if (inst.type != Type::I64 || insts_[inst.b].op != Op::Const || !fits_i32(insts_[inst.b].imm)) break;
        const AddressTerm& a = terms_[inst.a];
        const std::int64_t step = insts_[inst.b].imm;
        if (fits_i32(a.disp)) me = {a.root, inst.op == Op::Add ? a.disp + step : a.disp - step};
        break;
      }
      case Op::Call:
        if (inst.helper->effects & ir::kWritesRegisters) known_.clear();
        if (inst.helper->effects != ir::kPure) open_.clear();  // it may change translations
        break;
      case Op::X87:  // likewise
        open_.clear();
        break;
      case Op::Load:
      case Op::Store:
        join_group(i);
        break;
      default:
        break;
    }
  }
  // A look-up for one access alone is not kept.
  unsigned slots = 0;
  for (AccessGroup& g : groups_)
    g.slot = g.lookups > 1 && slots < kGroupSlots ? static_cast<std::uint8_t>(slots++) : kNoGroup;
}

void BlockCompiler::join_group(std::size_t i) {
  const Inst& inst = insts_[i];
  if (inst.sub & ir::kAccessSupervisor) return;
  const AddressTerm& term = terms_[inst.a];
  const std::int64_t low = term.disp, high = low + ir::bytes_of(inst.type);
  const bool write = inst.op == Op::Store || (inst.sub & ir::kAccessWriteIntent) != 0;
  const auto it =
      std::find_if(open_.begin(), open_.end(), [&](std::uint8_t g) { return groups_[g].root == term.root; });
  if (it != open_.end()) {
    AccessGroup& g = groups_[*it];
    const std::int64_t joint_low = std::min(g.low, low), joint_high = std::max(g.high, high);
    if (joint_high - joint_low <= kGroupReach) {
      // A store that completes a read-modify-write may become one operation with its load.
      const bool completes = inst.op == Op::Store && insts_[g.last].op == Op::Load &&
                             insts_[g.last].a == inst.a && (insts_[g.last].sub & ir::kAccessWriteIntent);
      g.low = joint_low, g.high = joint_high;
      g.write |= write;
      g.last = static_cast<std::uint32_t>(i);
      if (!completes) ++g.lookups;
      group_of_[i] = *it;
      return;
    }
    open_.erase(it);
  }
  if (groups_.size() >= kNoGroup) return;
  const auto index = static_cast<std::uint8_t>(groups_.size());
  groups_.push_back(
      {.root = term.root, .low = low, .high = high, .last = static_cast<std::uint32_t>(i), .write = write});
  open_.push_back(index);
  group_of_[i] = index;
}

/// The group that access i shares its look-up with; nullptr if none.
BlockCompiler::AccessGroup* BlockCompiler::group_of(std::size_t i) {
  if (group_of_[i] == kNoGroup) return nullptr;
  AccessGroup& g = groups_[group_of_[i]];
  return g.slot == kNoGroup ? nullptr : &g;
}

/// No group may count on a register's content any more.
void BlockCompiler::forget_group_register(Reg r) {
  if (!(group_regs_ >> r & 1)) return;
  group_regs_ &= ~(1u << r);
  for (AccessGroup& g : groups_)
    if (g.reg == r) g.reg = kNoReg;
}

void BlockCompiler::keep_group_register(AccessGroup& g, Reg r) {
  if (g.reg != kNoReg && g.reg != r) group_regs_ &= ~(1u << g.reg);
  if (r != kNoReg) forget_group_register(r), group_regs_ |= 1u << r;
  g.reg = r;
}

/// In an out-of-line path that may have changed translations: later accesses look up their own again.
void BlockCompiler::poison_groups() {
  for (const AccessGroup& g : groups_) {
    if (g.slot == kNoGroup || !g.started || g.last <= at_) continue;
    e_->mov_mi(8, spill_slot(kGroupSlot + g.slot), kPoison);
    if (g.reg != kNoReg) e_->mov_ri(g.reg, kPoison);
  }
  for (int slot = 0; slot < loop_slots_; ++slot) e_->mov_mi(8, loop_word(slot, kLoopLimit), 0);
}

/// A block that jumps to itself: its accesses remember the page that they met in the last round, so that the
/// address need not wait for the look-up. Nothing else runs between two rounds.
void BlockCompiler::analyse_loop(const ir::Block& block) {
  const Inst& end = insts_[count_ - 1];
  const std::int64_t start = block.start_offset;
  const bool in_page = block.start_offset + block.byte_length <= 4096;  // else its tail may be remapped
  loops_ = !has_call_ && in_page &&
           ((end.op == Op::Jump && end.imm == start) ||
            (end.op == Op::Branch && (end.imm == start) != (end.imm2 == start)));
  loop_slots_ = loop_slots_taken_ = 0;
  for (std::size_t i = 0; i < count_; ++i) loops_ &= insts_[i].op != Op::X87;  // may call a helper
  if (!loops_) return;
  std::uint32_t lookups = 0;
  std::uint64_t met = 0;  // groups
  for (std::size_t i = 0; i < count_; ++i) {
    if ((insts_[i].op != Op::Load && insts_[i].op != Op::Store) || (insts_[i].sub & ir::kAccessSupervisor))
      continue;
    const AccessGroup* g = group_of(i);
    if (g != nullptr && (met >> g->slot & 1)) continue;
    if (g != nullptr) met |= std::uint64_t{1} << g->slot;
    ++lookups;
  }
  loop_slots_ = static_cast<int>(std::min(lookups, kLoopSlots));
}

}  // namespace hindsight::engine::host::x64
