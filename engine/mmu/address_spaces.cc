// What the software MMU keeps for each address space: choosing, filling, taking over and forgetting it.
#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/mmu/mmu.h"
#include "engine/mmu/tags.h"

namespace hindsight::engine::mmu {

void Mmu::clear_jumps(AddressSpace& space) const {
  for (unsigned number = 0; number < kJumpGroups; ++number) {
    JumpGroup& group = space.jump_groups[number];
    for (const bool upper : {false, true})
      for_jumps(group, upper, [&](unsigned index) {
        space.jumps->entries[number * ir::kJumpGroup + index] = {ir::kTlbInvalid, invalid_jump_};
      });
    group = {};
  }
}

void Mmu::clear(AddressSpace& space) const {
  for (auto& view : space.views) {
    if (view == nullptr) continue;
    invalidate_array(view->fast.read);
    invalidate_array(view->fast.write);
    view->walked.fill({});
    view->fetched.fill({});
    view->lower.fill(0);
  }
  clear_jumps(space);
  space.stale = false;
  space.walked = false;
  space.top.reset();
}

Mmu::AddressSpace& Mmu::select_space(std::uint64_t root) {
  ++uses_;
  if (current_ != nullptr && current_->root == root) return *current_;
  AddressSpace* found = nullptr;
  AddressSpace* oldest = &spaces_[0];
  for (auto& space : spaces_) {
    if (space.id != 0 && space.root == root) found = &space;
    if (space.last_use < oldest->last_use) oldest = &space;
  }
  if (found == nullptr) {
    found = oldest;
    if (found->jumps == nullptr) {
      found->jumps = std::make_unique<ir::JumpTable>();
      std::fill(std::begin(found->jumps->entries), std::end(found->jumps->entries),
                ir::JumpEntry{ir::kTlbInvalid, invalid_jump_});
    }
    found->root = root;
    found->id = next_space_id_++;
    found->stale = true;
  }
  if (found->stale) clear(*found);
  found->last_use = uses_;
  previous_ = current_ == found ? nullptr : current_;
  return *(current_ = found);
}

Mmu::View& Mmu::view_of(AddressSpace& space, unsigned privilege) {
  auto& view = space.views[privilege];
  if (view == nullptr) {
    view = std::make_unique<View>();
    invalidate_array(view->fast.read);
    invalidate_array(view->fast.write);
  }
  return *view;
}

void Mmu::context_changed(ir::CoreState& state) {
  const ir::ViewKey key = guest_.view_key(state, ir::kAccessPlain);
  AddressSpace& space = select_space(key.root);
  state.view = &view_of(space, key.privilege).fast;
  state.jumps = space.jumps.get();
  state.mode = guest_.mode(state);
}

void Mmu::set_jump(AddressSpace& space, const ir::JumpEntry& entry) const {
  const std::uint64_t slot = ir::jump_slot(entry.tag), index = slot % ir::kJumpGroup;
  JumpGroup& group = space.jump_groups[slot / ir::kJumpGroup];
  group.pages[is_upper(entry.tag)] |= page_bit(canonical(entry.tag));
  group.slots[is_upper(entry.tag)][index / 64] |= std::uint64_t{1} << (index % 64);
  space.jumps->entries[slot] = entry;
}

void Mmu::enter_jump(ir::CoreState& state, std::uint64_t pc, const void* code) {
  AddressSpace& space = *current_;
  CHECK(state.jumps == space.jumps.get(), "jump table of another address space");
  if (!may_have_jumps(space, page_of(pc))) inherit_jumps(state, page_of(pc));
  set_jump(space, {pc ^ state.mode, code});
}

void Mmu::inherit_jumps(const ir::CoreState& state, std::uint64_t page) {
  AddressSpace& space = *current_;
  if (previous_ == nullptr || previous_->stale || !may_have_jumps(*previous_, page)) return;
  const bool user = guest_.view_key(state, ir::kAccessPlain).privilege == kUserPrivilege;
  const auto fetched = [&](const AddressSpace& from) -> std::optional<GuestPhys> {
    for (unsigned privilege = 0; privilege < kPrivileges; ++privilege) {
      if (from.views[privilege] == nullptr || (privilege == kUserPrivilege) != user) continue;
      const Translation& t = from.views[privilege]->fetched[slot_of(page)];
      if (t.tag == page) return t.page;
    }
    return std::nullopt;
  };
  const auto here = fetched(space), there = fetched(*previous_);
  if (!here || here != there) return;
  for_jumps(previous_->jump_groups[group_of(page)], is_upper(page), [&](unsigned index) {
    const ir::JumpEntry& known = previous_->jumps->entries[group_of(page) * ir::kJumpGroup + index];
    const std::uint64_t pc = canonical(known.tag);
    if (known.tag == (pc ^ state.mode) && page_of(pc) == page && (pc & kPageMask) < kMayCross)
      set_jump(space, known);
  });
}

void Mmu::adopt_upper_half(AddressSpace& space) {
  if (previous_ == nullptr || previous_->stale || !space.top || !previous_->top) return;
  const AddressSpace& from = *previous_;
  const std::uint64_t top = *space.top, other = *from.top;
  const auto sound = [&](std::uint64_t page) {
    return (memory_.flags(page) & PhysicalMemory::kTable) && tables_[page].level == kTopLevel &&
           !tables_[page].ambiguous;
  };
  if (!sound(top) || !sound(other)) return;
  // nothing but the root table may differ, no control bit
  const std::uint64_t difference = memory_.address_of(top).value ^ memory_.address_of(other).value;
  if ((space.root ^ from.root) != difference) return;
  constexpr std::uint64_t kHalf = kPageSize / 2;
  if (std::memcmp(memory_.page(top) + kHalf, memory_.page(other) + kHalf, kHalf) != 0) return;

  for (unsigned privilege = 0; privilege < kUserPrivilege; ++privilege) {
    if (from.views[privilege] == nullptr) continue;
    const View& theirs = *from.views[privilege];
    View& ours = view_of(space, privilege);
    for (unsigned slot = 0; slot < ir::kTlbSize; ++slot) {
      if (is_cached_upper(theirs.walked[slot].tag)) ours.walked[slot] = theirs.walked[slot];
      if (is_cached_upper(theirs.fetched[slot].tag)) ours.fetched[slot] = theirs.fetched[slot];
      if (is_cached_upper(theirs.fast.read[slot].tag)) ours.fast.read[slot] = theirs.fast.read[slot];
    }
  }
  for (unsigned number = 0; number < kJumpGroups; ++number)
    for_jumps(from.jump_groups[number], true, [&](unsigned index) {
      const ir::JumpEntry& known = from.jumps->entries[number * ir::kJumpGroup + index];
      if (is_cached_upper(known.tag)) set_jump(space, known);
    });
}

void Mmu::forget_jumps() {
  for (auto& space : spaces_) clear_jumps(space);
}

void Mmu::forget_all() {
  for (auto& space : spaces_) clear(space);
  for (std::uint64_t page = 0; page < tables_.size(); ++page) {
    tables_[page] = {};
    write_places_[page] = {};
    memory_.unmark(page, PhysicalMemory::kTable);
    memory_.unmark(page, PhysicalMemory::kWriteCached);
  }
}

void Mmu::invalidate_in(AddressSpace& space, const Span& span) {
  if (span.all) return clear(space);
  const auto covered = [&](std::uint64_t tag) {
    return tag != ir::kTlbInvalid && tag - span.first <= span.last - span.first;
  };
  const auto drop = [&](View& view, unsigned slot) {
    if (covered(view.fast.read[slot].tag)) invalidate_fast(view.fast.read[slot]);
    if (covered(view.fast.write[slot].tag)) invalidate_fast(view.fast.write[slot]);
    if (covered(view.walked[slot].tag)) view.walked[slot] = {};
    if (covered(view.fetched[slot].tag)) view.fetched[slot] = {};
  };
  const auto holds_lower = [](const View& view, unsigned slot) {
    return !is_upper(view.fast.read[slot].tag) || !is_upper(view.fast.write[slot].tag) ||
           !is_upper(view.walked[slot].tag) || !is_upper(view.fetched[slot].tag);
  };
  const std::uint64_t pages = ((span.last - span.first) >> kPageBits) + 1;
  const unsigned start = slot_of(span.first);
  constexpr std::uint64_t kFew = 64;
  for (auto& view : space.views) {
    if (view == nullptr) continue;
    if (pages <= kFew || is_upper(span.last)) {
      const auto count = static_cast<unsigned>(std::min<std::uint64_t>(pages, ir::kTlbSize));
      for (unsigned i = 0; i < count; ++i) drop(*view, (start + i) & (ir::kTlbSize - 1));
      continue;
    }
    for (unsigned word = 0; word < view->lower.size(); ++word) {
      for_bits(view->lower[word], [&](unsigned bit) {
        const unsigned slot = word * 64 + bit;
        drop(*view, slot);
        if (!holds_lower(*view, slot)) view->lower[word] &= ~(std::uint64_t{1} << bit);
      });
    }
  }
  drop_jumps(space, span);
}

bool Mmu::may_have_jumps(const AddressSpace& space, std::uint64_t page) {
  return (space.jump_groups[group_of(page)].pages[is_upper(page)] & page_bit(page)) != 0;
}

void Mmu::drop_crossing_jumps(AddressSpace& space, std::uint64_t page) const {
  if (!may_have_jumps(space, page)) return;
  for (std::uint64_t pc = page + kMayCross; pc < page + kPageSize; ++pc) {
    ir::JumpEntry& entry = space.jumps->entries[ir::jump_slot(pc)];
    if (entry.tag != ir::kTlbInvalid && canonical(entry.tag) == pc) entry = {ir::kTlbInvalid, invalid_jump_};
  }
}

void Mmu::drop_jumps(AddressSpace& space, const Span& span) const {
  const std::uint64_t pages = ((span.last - span.first) >> kPageBits) + 1;
  drop_crossing_jumps(space, page_of(span.first) - kPageSize);
  const std::uint64_t rounds = (pages - 1) / kJumpGroups + 2;  // one more: the first may begin anywhere
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(pages, kJumpGroups); ++i) {
    const std::uint64_t page = page_of(span.first) + (i << kPageBits);
    std::uint64_t wanted = page_bit(page);
    for (std::uint64_t round = 1; pages > kJumpGroups && round < std::min<std::uint64_t>(rounds, 64); ++round)
      wanted |= std::rotl(page_bit(page), static_cast<int>(round));
    drop_group_jumps(space, static_cast<unsigned>(group_of(page)), wanted, span);
  }
}

void Mmu::drop_group_jumps(AddressSpace& space, unsigned number, std::uint64_t pages,
                           const Span& span) const {
  JumpGroup& group = space.jump_groups[number];
  for (const bool upper : {is_upper(span.first), is_upper(span.last)}) {
    if ((group.pages[upper] & pages) == 0) continue;
    std::uint64_t left = 0;
    for_jumps(group, upper, [&](unsigned index) {
      ir::JumpEntry& entry = space.jumps->entries[number * ir::kJumpGroup + index];
      // the mode tag sits in bits 48..63: sign-extending bit 47 gives the pc back
      const std::uint64_t page = page_of(canonical(entry.tag));
      if (entry.tag != ir::kTlbInvalid && page - span.first <= span.last - span.first)
        entry = {ir::kTlbInvalid, invalid_jump_};
      if (entry.tag == ir::kTlbInvalid || is_upper(entry.tag) != upper)
        group.slots[upper][index / 64] &= ~(std::uint64_t{1} << (index % 64));
      else
        left |= page_bit(page);
    });
    group.pages[upper] = left;
  }
}

}  // namespace hindsight::engine::mmu
