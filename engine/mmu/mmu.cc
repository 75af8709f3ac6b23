#include "engine/mmu/mmu.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/mmu/tags.h"

namespace hindsight::engine::mmu {
namespace {

bool needs_alone(ir::CoreState& s, ir::AloneReason reason) {
  if (s.alone) return false;
  s.trap = {ir::TrapKind::redo_alone, 0, static_cast<std::uint32_t>(reason), 0, 0};
  return true;
}

}  // namespace

Mmu::Mmu(PhysicalMemory& memory, IoBus& bus, ir::Guest& guest, CodeOwner& code, const void* invalid_jump)
    : memory_(memory),
      bus_(bus),
      guest_(guest),
      code_(code),
      invalid_jump_(invalid_jump),
      tables_(memory.page_count()),
      write_places_(memory.page_count()) {
  for (auto& space : spaces_) clear(space);
  memory_.set_watcher(*this);
}

// ---- page tables
// ----------------------------------------------------------------------------------------------

std::uint64_t Mmu::read_entry(GuestPhys address, unsigned size, unsigned level, std::uint64_t span_base) {
  const auto page = memory_.ram_page(address);
  if (!page) return ~std::uint64_t{0};
  TableUse& use = tables_[*page];
  if (level == kTopLevel && size == 8) current_->top = *page;
  // what maps the upper half is any address space's, because they take it over from each other
  const std::uint32_t space = level < kTopLevel && is_upper(span_base) ? kShared : current_->id;
  bool known = (memory_.flags(*page) & PhysicalMemory::kTable) != 0;
  if (known && (use.level != level || use.span_base != span_base || use.entry_size != size)) {
    // a page that maps itself has several uses at once; else it is a new table where an old one was
    if (use.walk == walks_) {
      use.ambiguous = true;
    } else if (!use.ambiguous) {
      forget_table(*page);
      known = false;
    }
  }
  if (!known) {
    memory_.mark(*page, PhysicalMemory::kTable);
    use = {span_base, space, static_cast<std::uint8_t>(level), static_cast<std::uint8_t>(size), false, 0, 0};
  } else if (use.space != space) {
    use.space = kShared;
  }
  use.walk = walks_;
  use.writes = 0;
  std::uint64_t entry = 0;
  std::memcpy(&entry, memory_.page(*page) + (address.value & kPageMask), size);
  return entry;
}

void Mmu::write_entry(GuestPhys address, unsigned size, std::uint64_t value) {
  const auto page = memory_.ram_page(address);
  if (!page) return;
  memory_.dirty(*page);
  std::byte* const entry = memory_.host(*page) + (address.value & kPageMask);
  std::uint64_t before = 0;
  std::memcpy(&before, entry, size);
  std::memcpy(entry, &value, size);
  if ((memory_.flags(*page) & PhysicalMemory::kWatchWrite) &&
      watches_.overlaps(true, address.value, size, true))
    note(0, address, size, true, port::AccessOrigin::page_walk, before);
}

Mmu::Span Mmu::span_of(const TableUse& use, std::uint64_t first, std::uint64_t last) const {
  if (use.ambiguous) return {0, 0, true, kShared};
  const unsigned index_bits = use.entry_size == 8 ? 9 : 10;
  const std::uint64_t entry_span = kPageSize << (index_bits * (use.level - 1u));
  return {canonical(use.span_base + first / use.entry_size * entry_span),
          canonical(use.span_base + last / use.entry_size * entry_span) + (entry_span - 1), false, use.space};
}

void Mmu::table_written(GuestPhys address, std::uint64_t before, std::uint64_t after) {
  const std::uint64_t page = *memory_.ram_page(address);
  TableUse& use = tables_[page];
  if (++use.writes >= kWritesUntilForgotten) return forget_table(page);
  constexpr std::uint64_t kPresentLow = 1, kPresentHigh = std::uint64_t{1} << 32;
  const bool was_present = (before & kPresentLow) || (use.entry_size == 4 && (before & kPresentHigh));
  const std::uint64_t offset = address.value & kPageMask;
  if (was_present && before != after) invalidate(span_of(use, offset, offset + 7));
}

void Mmu::forget_table(std::uint64_t ram_page) {
  invalidate(span_of(tables_[ram_page], 0, kPageMask));
  memory_.unmark(ram_page, PhysicalMemory::kTable);
}

void Mmu::invalidate(const Span& span) {
  for (auto& space : spaces_) {
    if (space.id == 0 || space.stale) continue;
    if (span.space != kShared && span.space != space.id) continue;
    const bool everything = span.all || (span.first == 0 && span.last == ~std::uint64_t{0});
    if (everything && &space != current_)
      space.stale = true;
    else
      invalidate_in(space, span);
  }
}

// ---- watched memory
// -------------------------------------------------------------------------------------------

void Mmu::watch(const std::vector<port::WatchRange>& ranges) {
  if (!watches_.any() && ranges.empty()) return;
  const auto each_page = [&](auto visit) {
    for (const port::WatchRange& range : watches_.ranges()) {
      if (!range.physical) continue;
      const std::uint64_t last = range.first + range.size - 1;
      for (std::uint64_t at = page_of(range.first); at <= last; at += kPageSize)
        if (const auto page = memory_.ram_page(GuestPhys{at})) visit(*page, range);
    }
  };
  each_page([&](std::uint64_t page, const port::WatchRange&) {
    memory_.unmark(page, PhysicalMemory::kWatchRead);
    memory_.unmark(page, PhysicalMemory::kWatchWrite);
  });
  watches_.set(ranges);
  each_page([&](std::uint64_t page, const port::WatchRange& range) {
    if (range.read) memory_.mark(page, PhysicalMemory::kWatchRead);
    if (range.write) memory_.mark(page, PhysicalMemory::kWatchWrite);
  });
  for (auto& space : spaces_)
    for (auto& view : space.views)
      if (view != nullptr) invalidate_array(view->fast.read);
  drop_all_write_access();
  noted_.clear();
}

bool Mmu::is_watched(std::uint64_t address, std::uint64_t ram_page, std::uint64_t size, bool write) const {
  if (!watches_.any()) return false;
  const GuestPhys physical = memory_.address_of(ram_page) + (address & kPageMask);
  return watches_.overlaps(false, address, size, write) ||
         watches_.overlaps(true, physical.value, size, write);
}

void Mmu::note(std::uint64_t address, GuestPhys physical, unsigned size, bool write,
               port::AccessOrigin origin, std::uint64_t before) {
  port::Access access{.at = {},
                      .pc = {},
                      .linear = GuestVirt{address},
                      .physical = physical,
                      .size = size,
                      .write = write,
                      .origin = origin,
                      .before = before,
                      .after = 0};
  const std::uint64_t page = *memory_.ram_page(physical);
  std::memcpy(&access.after, memory_.page(page) + (physical.value & kPageMask), std::min(size, 8u));
  noted_.push_back(access);
}

void Mmu::watched_page_written(GuestPhys address, std::uint64_t size, std::uint64_t before) {
  if (watches_.overlaps(true, address.value, size, true))
    note(0, address, static_cast<unsigned>(size), true, port::AccessOrigin::dma, before);
}

// ---- write access
// ---------------------------------------------------------------------------------------------

/// Whether a read may bring write access along: a page that is only read must not look as if it had changed.
bool Mmu::counts_as_written(const Translation& t) const {
  const auto page = memory_.ram_page(t.page);
  return page && memory_.is_dirty(*page) && touched_.written.may_hold(t.tag);
}

void Mmu::grant(View& view, std::uint64_t address, const Translation& t, bool write) {
  const auto page = memory_.ram_page(t.page);
  if (!page) return;
  const unsigned slot = slot_of(address);
  const auto addend = reinterpret_cast<std::uint64_t>(memory_.host(*page)) - page_of(address);
  const std::uint8_t flags = memory_.flags(*page);
  if (!(flags & PhysicalMemory::kWatchRead) && !watches_.linear_page(page_of(address), false))
    view.fast.read[slot] = {page_of(address), addend};
  constexpr std::uint8_t kLookedAt =
      PhysicalMemory::kCode | PhysicalMemory::kTable | PhysicalMemory::kWatchWrite;
  if (!write || (flags & kLookedAt) || watches_.linear_page(page_of(address), true)) return;
  view.fast.write[slot] = {page_of(address), addend};
  view.may_write = true;
  touched_.written.add(address);
  note_write_entry(*page, slot);
  memory_.grant_write(*page);
}

template <class F>
void Mmu::for_write_entries(std::uint64_t ram_page, unsigned slot, F f) {
  const auto host = reinterpret_cast<std::uint64_t>(memory_.host(ram_page));
  for (auto& space : spaces_) {
    for (auto& view : space.views) {
      if (view == nullptr) continue;
      ir::TlbEntry& entry = view->fast.write[slot];
      if (entry.tag != ir::kTlbInvalid && entry.tag + entry.addend == host) f(entry);
    }
  }
}

void Mmu::note_write_entry(std::uint64_t ram_page, unsigned slot) {
  WritePlaces& places = write_places_[ram_page];
  const auto place = static_cast<std::uint16_t>(slot + 1);
  if (places.first == kAnywhere || places.first == place || places.second == place) return;
  const auto left = [&](std::uint16_t known) {
    bool held = false;
    if (known != 0) for_write_entries(ram_page, known - 1u, [&](const ir::TlbEntry&) { held = true; });
    return !held;
  };
  if (left(places.first))
    places.first = place;
  else if (left(places.second))
    places.second = place;
  else
    places.first = kAnywhere;
}

void Mmu::drop_write_access(std::uint64_t ram_page) {
  const WritePlaces places = std::exchange(write_places_[ram_page], {});
  const auto drop = [&](unsigned slot) { for_write_entries(ram_page, slot, invalidate_fast); };
  if (places.first == kAnywhere) {
    for (unsigned slot = 0; slot < ir::kTlbSize; ++slot) drop(slot);
    return;
  }
  if (places.first != 0) drop(places.first - 1u);
  if (places.second != 0) drop(places.second - 1u);
}

void Mmu::drop_all_write_access() {
  for (auto& space : spaces_)
    for (auto& view : space.views)
      if (view != nullptr && std::exchange(view->may_write, false)) invalidate_array(view->fast.write);
  std::fill(write_places_.begin(), write_places_.end(), WritePlaces{});
}

void Mmu::collect_executed() {
  collecting_ = true;
  touched_.executed = {};
  forget_jumps();
}

// ---- translation
// ----------------------------------------------------------------------------------------------

const Mmu::Translation* Mmu::translate(ir::CoreState& state, std::uint64_t address, ir::AccessKind kind,
                                       std::uint32_t access) {
  const std::uint8_t wanted = kind == ir::AccessKind::read    ? kRead
                              : kind == ir::AccessKind::write ? kWrite
                                                              : kFetch;
  if (kind == ir::AccessKind::write) touched_.written.add(address);
  const unsigned privilege = guest_.view_key(state, access).privilege;
  View& view = view_of(*current_, privilege);
  const bool fetch = kind == ir::AccessKind::fetch;
  Translation& t = (fetch ? view.fetched : view.walked)[slot_of(address)];
  const bool same = t.tag == page_of(address);
  if (same && (t.permissions & wanted)) {
    if (!fetch)
      grant(view, address, t, (t.permissions & kWrite) && (wanted == kWrite || counts_as_written(t)));
    return &t;
  }
  ++walks_;
  const ir::Walk walk = guest_.walk(state, address, kind, access, *this);
  if (!current_->walked) {
    current_->walked = true;
    adopt_upper_half(*current_);
  }
  if (!walk.ok) return nullptr;
  // the walk wrote to a watched entry: once more, alone, so that it is known when
  if (!noted_.empty() && !fetch && needs_alone(state, ir::AloneReason::tracked_page)) return nullptr;
  std::uint8_t permissions = wanted;
  if (!fetch) permissions |= kRead;
  if (!fetch && walk.writable_now) permissions |= kWrite;
  if (same && t.page == walk.page) permissions |= t.permissions;
  t = {page_of(address), walk.page, permissions};
  if (!is_upper(address)) view.lower[slot_of(address) / 64] |= std::uint64_t{1} << (slot_of(address) % 64);
  if (!fetch) grant(view, address, t, (t.permissions & kWrite) && (wanted == kWrite || counts_as_written(t)));
  return &t;
}

std::optional<std::uint64_t> Mmu::fetch_page(ir::CoreState& state, std::uint64_t pc) {
  const Translation* t = translate(state, pc, ir::AccessKind::fetch, ir::kAccessPlain);
  return t == nullptr ? std::nullopt : memory_.ram_page(t->page);
}

// ---- accesses
// -------------------------------------------------------------------------------------------------

bool Mmu::read_in_page(ir::CoreState& s, std::uint64_t address, const Translation& t, void* out,
                       unsigned size) {
  const std::uint64_t offset = address & kPageMask;
  if (const auto page = memory_.ram_page(t.page)) {
    if (is_watched(address, *page, size, false)) {
      if (needs_alone(s, ir::AloneReason::tracked_page)) return false;
      std::uint64_t value = 0;
      std::memcpy(&value, memory_.page(*page) + offset, std::min(size, 8u));
      note(address, t.page + offset, size, false, port::AccessOrigin::instruction, value);
    }
    std::memcpy(out, memory_.page(*page) + offset, size);
    return true;
  }
  if (needs_alone(s, ir::AloneReason::device)) return false;
  auto* bytes = static_cast<std::byte*>(out);
  for (unsigned at = 0; at < size;) {  // a device sees accesses of 1, 2, 4 or 8 bytes
    unsigned part = std::min(8u, size - at);
    while (part & (part - 1)) part &= part - 1;
    const std::uint64_t value = bus_.read_mmio(t.page + offset + at, part);
    std::memcpy(bytes + at, &value, part);
    at += part;
  }
  return true;
}

bool Mmu::store_needs_alone(const ir::CoreState& state, std::uint64_t address, std::uint64_t ram_page,
                            std::uint64_t offset, unsigned size) const {
  if (is_watched(address, ram_page, size, true)) return true;
  const std::uint8_t flags = memory_.flags(ram_page);
  const GuestPhys physical = memory_.address_of(ram_page) + offset;
  if ((flags & PhysicalMemory::kCode) && code_.holds_code(physical, size)) return true;
  if (!(flags & PhysicalMemory::kTable)) return false;
  const TableUse& use = tables_[ram_page];
  if (use.space != kShared && use.space != current_->id) return false;  // it does not map the code that runs
  const Span span = span_of(use, offset & ~std::uint64_t{7}, (offset + size - 1) | 7);
  return span.all || state.page_base - span.first <= span.last - span.first;
}

bool Mmu::write_in_page(ir::CoreState& s, std::uint64_t address, const Translation& t, const void* data,
                        unsigned size) {
  const std::uint64_t offset = address & kPageMask;
  if (const auto page = memory_.ram_page(t.page)) {
    if (!s.alone && store_needs_alone(s, address, *page, offset, size))
      return !needs_alone(s, ir::AloneReason::tracked_page);
    std::uint64_t before = 0;
    const bool watched = is_watched(address, *page, size, true);
    if (watched) std::memcpy(&before, memory_.page(*page) + offset, std::min(size, 8u));
    memory_.write_tracked(*page, offset, data, size);
    if (watched) note(address, t.page + offset, size, true, port::AccessOrigin::instruction, before);
    return true;
  }
  if (needs_alone(s, ir::AloneReason::device)) return false;
  const auto* bytes = static_cast<const std::byte*>(data);
  for (unsigned at = 0; at < size;) {
    unsigned part = std::min(8u, size - at);
    while (part & (part - 1)) part &= part - 1;
    std::uint64_t value = 0;
    std::memcpy(&value, bytes + at, part);
    bus_.write_mmio(t.page + offset + at, part, value);
    at += part;
  }
  return true;
}

bool Mmu::read_bytes(ir::CoreState& s, std::uint64_t address, void* out, unsigned size,
                     std::uint32_t access) {
  const auto kind = (access & ir::kAccessWriteIntent) ? ir::AccessKind::write : ir::AccessKind::read;
  const auto room = static_cast<unsigned>(kPageSize - (address & kPageMask));
  const Translation* t = translate(s, address, kind, access);
  if (t == nullptr) return false;
  if (kind == ir::AccessKind::write && !s.alone) {
    // the store that follows must not fail: ask for solitude now
    const auto page = memory_.ram_page(t->page);
    if (page && store_needs_alone(s, address, *page, address & kPageMask, std::min(size, room)))
      return !needs_alone(s, ir::AloneReason::tracked_page);
  }
  if (size <= room) return read_in_page(s, address, *t, out, size);
  const Translation first = *t;
  const Translation* second = translate(s, page_of(address) + kPageSize, kind, access);
  if (second == nullptr) return false;
  if (kind == ir::AccessKind::write && !s.alone) {
    const auto page = memory_.ram_page(second->page);
    if (page && store_needs_alone(s, address + room, *page, 0, size - room))
      return !needs_alone(s, ir::AloneReason::tracked_page);
  }
  return read_in_page(s, address, first, out, room) &&
         read_in_page(s, address + room, *second, static_cast<std::byte*>(out) + room, size - room);
}

bool Mmu::write_bytes(ir::CoreState& s, std::uint64_t address, const void* data, unsigned size,
                      std::uint32_t access) {
  const auto room = static_cast<unsigned>(kPageSize - (address & kPageMask));
  const Translation* t = translate(s, address, ir::AccessKind::write, access);
  if (t == nullptr) return false;
  if (size <= room) return write_in_page(s, address, *t, data, size);
  const Translation first = *t;
  const Translation* second = translate(s, page_of(address) + kPageSize, ir::AccessKind::write, access);
  if (second == nullptr) return false;
  const auto* bytes = static_cast<const std::byte*>(data);
  // both halves or neither: ask about the second before writing the first
  const auto second_page = memory_.ram_page(second->page);
  if (!s.alone && (!second_page || store_needs_alone(s, address + room, *second_page, 0, size - room)))
    return !needs_alone(s, ir::AloneReason::tracked_page);
  return write_in_page(s, address, first, data, room) &&
         write_in_page(s, address + room, *second, bytes + room, size - room);
}

std::byte* Mmu::span(ir::CoreState& s, std::uint64_t address, bool write, std::uint32_t access,
                     std::uint64_t* length) {
  const Translation* t = translate(s, address, write ? ir::AccessKind::write : ir::AccessKind::read, access);
  if (t == nullptr) return nullptr;
  const auto page = memory_.ram_page(t->page);
  if (!page) return nullptr;
  // element by element where a page is watched, so that only those that touch a watched byte run alone
  if (watches_.any() && is_watched(page_of(address), *page, kPageSize, write)) return nullptr;
  if (write) {
    // a page filled in bulk is not, or no longer, a page table, unless it maps the code that fills it
    if ((memory_.flags(*page) & PhysicalMemory::kTable) &&
        !store_needs_alone(s, page_of(address), *page, 0, kPageSize))
      forget_table(*page);
    if (memory_.flags(*page) & (PhysicalMemory::kCode | PhysicalMemory::kTable)) return nullptr;
    memory_.dirty(*page);
  }
  *length = kPageSize - (address & kPageMask);
  return memory_.host(*page) + (address & kPageMask);
}

// ---- the function table
// ---------------------------------------------------------------------------------------

struct Operations {
  static Mmu& mmu(ir::CoreState* s) { return *static_cast<Mmu*>(s->environment); }

  /// After an access that succeeded.
  static void tell(ir::CoreState* s, std::uint64_t address, std::uint32_t size, bool write) {
    if (s->watch_data && s->trap.kind == ir::TrapKind::none)
      mmu(s).guest_.data_accessed(*s, address, size, write);
  }
  static std::uint64_t load(ir::CoreState* s, std::uint64_t address, std::uint32_t size,
                            std::uint32_t access) {
    std::uint64_t value = 0;
    const ir::TlbEntry& entry = s->view->read[slot_of(address)];
    if (access == ir::kAccessPlain && entry.tag == page_of(address + size - 1))
      std::memcpy(&value, reinterpret_cast<const void*>(address + entry.addend), size);
    else
      mmu(s).read_bytes(*s, address, &value, size, access);
    tell(s, address, size, false);
    return value;
  }
  static void store(ir::CoreState* s, std::uint64_t address, std::uint64_t value, std::uint32_t size,
                    std::uint32_t access) {
    const ir::TlbEntry& entry = s->view->write[slot_of(address)];
    if (access == ir::kAccessPlain && entry.tag == page_of(address + size - 1))
      std::memcpy(reinterpret_cast<void*>(address + entry.addend), &value, size);
    else
      mmu(s).write_bytes(*s, address, &value, size, access);
    tell(s, address, size, true);
  }
  static void load16(ir::CoreState* s, std::uint64_t address, std::uint32_t access) {
    mmu(s).read_bytes(*s, address, s->wide, 16, access);
    tell(s, address, 16, false);
  }
  static void store16(ir::CoreState* s, std::uint64_t address, std::uint32_t access) {
    mmu(s).write_bytes(*s, address, s->wide, 16, access);
    tell(s, address, 16, true);
  }
  static std::byte* span(ir::CoreState* s, std::uint64_t address, bool write, std::uint32_t access,
                         std::uint64_t* length) {
    if (s->watch_data) return nullptr;
    const ir::TlbEntry& entry = (write ? s->view->write : s->view->read)[slot_of(address)];
    if (access != ir::kAccessPlain || entry.tag != page_of(address))
      return mmu(s).span(*s, address, write, access, length);
    *length = kPageSize - (address & kPageMask);
    return reinterpret_cast<std::byte*>(address + entry.addend);
  }
  static void probe_write(ir::CoreState* s, std::uint64_t address, std::uint32_t size, std::uint32_t access) {
    for (std::uint32_t at = 0; at < size; at += 16) {
      Mmu& m = mmu(s);
      const auto part = std::min<std::uint32_t>(16, size - at);
      if (m.translate(*s, address + at, ir::AccessKind::write, access) == nullptr) return;
      if (m.translate(*s, address + at + part - 1, ir::AccessKind::write, access) == nullptr) return;
    }
  }
  static std::uint32_t port_in(ir::CoreState* s, std::uint16_t port, std::uint32_t size) {
    return needs_alone(*s, ir::AloneReason::device) ? 0 : mmu(s).bus_.read_port(port, size);
  }
  static void port_out(ir::CoreState* s, std::uint16_t port, std::uint32_t size, std::uint32_t value) {
    if (!needs_alone(*s, ir::AloneReason::device)) mmu(s).bus_.write_port(port, size, value);
  }
  static void context_changed(ir::CoreState* s) { mmu(s).context_changed(*s); }
};

const ir::MemoryOps& Mmu::operations() {
  static constexpr ir::MemoryOps kOperations = {
      Operations::load,    Operations::store,    Operations::load16,
      Operations::store16, Operations::span,     Operations::probe_write,
      Operations::port_in, Operations::port_out, Operations::context_changed};
  return kOperations;
}

}  // namespace hindsight::engine::mmu
