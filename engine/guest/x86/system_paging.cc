#include "engine/guest/x86/system_paging.h"

#include "engine/guest/x86/system_bits.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::AccessKind;

enum class Format : std::uint8_t { bits32, pae, level4 };

/// Bits of a paging-structure entry (SDM vol. 3, tables 4-5 to 4-20).
constexpr std::uint64_t kPresent = 1, kWrite = 2, kUser = 4, kAccessed = 1u << 5, kDirty = 1u << 6,
                        kPs = 1u << 7, kXd = std::uint64_t{1} << 63;
constexpr std::uint64_t kAddressMask = kPhysicalMask & ~kPageMask;
constexpr std::uint64_t kAbovePhysical = ((std::uint64_t{1} << 52) - 1) & ~kPhysicalMask;

constexpr std::uint64_t bit_range(unsigned high, unsigned low) {
  return ((std::uint64_t{2} << high) - 1) & ~((std::uint64_t{1} << low) - 1);
}

/// What the access wants, settled before the walk.
struct Demand {
  bool user;        // at user privilege
  bool user_pages;  // supervisor may touch user pages with data accesses
  bool write;
  bool fetch;
  bool nxe, smep, wp;
};

struct Entry {
  std::uint64_t value;
  std::uint64_t address;
};

struct Path {
  Entry entries[4];
  unsigned count = 0;
  std::uint64_t rights = kWrite | kUser;  // AND over all levels
  std::uint64_t xd = 0;                   // OR over all levels
};

ir::Walk page_fault(CpuState& state, const Demand& demand, std::uint64_t address, std::uint32_t reason) {
  std::uint32_t error = reason;
  if (demand.write) error |= pf::kW;
  if (demand.user) error |= pf::kU;
  if (demand.fetch && (demand.nxe || demand.smep)) error |= pf::kI;
  state.trap = {ir::TrapKind::guest, exception::kPf, error, 1, address};
  return {};
}

bool data_allowed(const Demand& demand, const Path& path, bool write) {
  const bool user_page = (path.rights & kUser) != 0;
  const bool writable = (path.rights & kWrite) != 0;
  if (demand.user) return user_page && (!write || writable);
  if (user_page && !demand.user_pages) return false;
  return !write || writable || !demand.wp;
}

bool fetch_allowed(const Demand& demand, const Path& path) {
  if (path.xd != 0) return false;
  const bool user_page = (path.rights & kUser) != 0;
  return demand.user ? user_page : !(user_page && demand.smep);
}

/// Reserved bits of an entry at `level` (1 = page table), given whether it maps a page.
std::uint64_t reserved_bits(Format format, unsigned level, bool leaf, bool nxe, bool pse) {
  if (format == Format::bits32) return level == 2 && leaf && pse ? bit_range(21, 21) : 0;
  std::uint64_t reserved = kAbovePhysical;
  if (!nxe) reserved |= kXd;
  if (format == Format::pae) {
    reserved |= bit_range(62, 52);
    if (level == 3) return reserved | kXd | bit_range(8, 5) | bit_range(2, 1);
  }
  if (level == 4) reserved |= kPs;
  if (leaf && level == 2) reserved |= bit_range(20, 13);
  if (leaf && level == 3) reserved |= bit_range(29, 13);
  return reserved;
}

/// Reads entries from the root to the leaf. On success the last entry of `path` maps the page and the result
/// is its level; 0: a fault, whose reason bits are in `reason`.
unsigned descend(const CpuState& state, const Demand& demand, Format format, std::uint64_t address,
                 ir::PageTableMemory& tables, Path& path, std::uint32_t& reason) {
  const bool wide = format != Format::bits32;
  const unsigned index_bits = wide ? 9 : 10;
  const unsigned entry_size = wide ? 8 : 4;
  const bool pse = (state.cr4 & cr4::kPse) != 0;
  std::uint64_t table = format == Format::pae ? state.cr3 & bit_range(31, 5) : state.cr3 & kAddressMask;
  if (format == Format::bits32) table &= 0xFFFFF000u;
  for (unsigned level = format == Format::level4 ? 4 : format == Format::pae ? 3 : 2;; --level) {
    const unsigned shift = 12 + index_bits * (level - 1);
    const std::uint64_t index = (address >> shift) & ((1u << index_bits) - 1);
    const unsigned span_shift = shift + index_bits;
    const bool whole = span_shift >= kLinearBits || (format != Format::level4 && span_shift >= 32);
    const std::uint64_t span_base = whole ? 0 : address & ~((std::uint64_t{1} << span_shift) - 1);
    Entry& entry = path.entries[path.count++];
    entry.address = table + (format == Format::pae && level == 3 ? index & 3 : index) * entry_size;
    entry.value = tables.read_entry(GuestPhys(entry.address), entry_size, level, span_base);
    const std::uint64_t value = entry.value;
    if ((value & kPresent) == 0) {
      reason = 0;
      return 0;
    }
    const bool pdpte = format == Format::pae && level == 3;
    bool leaf = level == 1;
    if (!leaf && level < 4 && !pdpte && (value & kPs) != 0) leaf = wide || pse;
    if ((value & reserved_bits(format, level, leaf, demand.nxe, pse)) != 0) {
      reason = pf::kP | pf::kRsvd;
      return 0;
    }
    if (!pdpte) {
      path.rights &= value;
      if (wide) path.xd |= value & kXd;
    }
    if (leaf) return level;
    table = value & (wide ? kAddressMask : 0xFFFFF000u);
  }
}

std::uint64_t leaf_page(Format format, unsigned level, std::uint64_t value, std::uint64_t address) {
  if (format == Format::bits32) {
    if (level == 1) return value & 0xFFFFF000u;
    // PSE-36: bits 13..20 are bits 32..39 of the address.
    return (value & 0xFFC00000u) | ((value & bit_range(20, 13)) << 19) | (address & 0x3FF000u);
  }
  const std::uint64_t inside = (std::uint64_t{1} << (12 + 9 * (level - 1))) - 1;
  return ((value & kAddressMask) & ~inside) | (address & inside & ~kPageMask);
}

Format format_of(const CpuState& state) {
  if ((state.efer & efer::kLma) != 0) return Format::level4;
  return (state.cr4 & cr4::kPae) != 0 ? Format::pae : Format::bits32;
}

Demand demand_of(const CpuState& state, AccessKind kind, std::uint32_t access) {
  const bool implicit = (access & ir::kAccessSupervisor) != 0;
  const bool smap = (state.cr4 & cr4::kSmap) != 0;
  Demand demand{};
  demand.user = state.cpl == 3 && !implicit;
  demand.user_pages = !smap || (!implicit && (state.rflags_system & flag::kAc) != 0);
  demand.write =
      kind == AccessKind::write || (kind == AccessKind::read && (access & ir::kAccessWriteIntent) != 0);
  demand.fetch = kind == AccessKind::fetch;
  demand.nxe = (state.efer & efer::kNxe) != 0 && (state.cr4 & cr4::kPae) != 0;
  demand.smep = (state.cr4 & cr4::kSmep) != 0;
  demand.wp = (state.cr0 & cr0::kWp) != 0;
  return demand;
}

}  // namespace

ir::PageView inspect_page(const CpuState& state, std::uint64_t address, ir::PageTableMemory& tables) {
  ir::PageView view;
  const bool long_mode = (state.efer & efer::kLma) != 0;
  if (long_mode && !is_canonical(address)) return view;
  if (!long_mode) address &= 0xFFFFFFFFu;
  if ((state.cr0 & cr0::kPg) == 0)
    return {.mapped = true,
            .page = GuestPhys(address & ~kPageMask),
            .writable = true,
            .user = true,
            .executable = true};
  const Format format = format_of(state);
  Path path;
  std::uint32_t reason = 0;
  const unsigned level = descend(state, demand_of(state, AccessKind::read, ir::kAccessPlain), format, address,
                                 tables, path, reason);
  const unsigned top = format == Format::level4 ? 4 : format == Format::pae ? 3 : 2;
  for (; view.level_count < path.count; ++view.level_count) {
    const Entry& entry = path.entries[view.level_count];
    view.levels[view.level_count] = {top - view.level_count, GuestPhys(entry.address), entry.value};
  }
  if (level == 0) return view;
  view.mapped = true;
  view.page = GuestPhys(leaf_page(format, level, path.entries[path.count - 1].value, address));
  view.writable = (path.rights & kWrite) != 0;
  view.user = (path.rights & kUser) != 0;
  view.executable = path.xd == 0;
  return view;
}

ir::Walk walk_page_tables(CpuState& state, std::uint64_t address, AccessKind kind, std::uint32_t access,
                          ir::PageTableMemory& tables) {
  const bool long_mode = (state.efer & efer::kLma) != 0;
  if (long_mode && !is_canonical(address)) {
    ir::raise(&state, (access & ir::kAccessStack) != 0 ? exception::kSs : exception::kGp, 0);
    return {};
  }
  if (!long_mode) address &= 0xFFFFFFFFu;
  if ((state.cr0 & cr0::kPg) == 0) return {true, GuestPhys(address & ~kPageMask), true, true};

  const Format format = format_of(state);
  const Demand demand = demand_of(state, kind, access);
  Path path;
  std::uint32_t reason = 0;
  const unsigned level = descend(state, demand, format, address, tables, path, reason);
  if (level == 0) return page_fault(state, demand, address, reason);
  const bool allowed = demand.fetch ? fetch_allowed(demand, path) : data_allowed(demand, path, demand.write);
  if (!allowed) return page_fault(state, demand, address, pf::kP);

  const unsigned size = format == Format::bits32 ? 4 : 8;
  for (unsigned i = 0; i < path.count; ++i) {
    if (format == Format::pae && i == 0) continue;  // a PDPTE has no accessed bit
    Entry& entry = path.entries[i];
    std::uint64_t wanted = kAccessed;
    if (i + 1 == path.count && demand.write) wanted |= kDirty;
    if ((entry.value & wanted) == wanted) continue;
    entry.value |= wanted;
    tables.write_entry(GuestPhys(entry.address), size, entry.value);
  }
  const std::uint64_t leaf = path.entries[path.count - 1].value;
  ir::Walk walk{};
  walk.ok = true;
  walk.page = GuestPhys(leaf_page(format, level, leaf, address));
  walk.writable_now = (leaf & kDirty) != 0 && data_allowed(demand, path, true);
  walk.executable = fetch_allowed(demand, path);
  return walk;
}

ir::ViewKey view_key(const CpuState& state, std::uint32_t access) {
  const bool implicit = (access & ir::kAccessSupervisor) != 0;
  ir::ViewKey key{};
  if (state.cpl == 3 && !implicit) {
    key.privilege = 2;
  } else if ((state.cr4 & cr4::kSmap) != 0 && !implicit && (state.rflags_system & flag::kAc) != 0) {
    key.privilege = 1;
  }
  const bool long_mode = (state.efer & efer::kLma) != 0;
  if ((state.cr0 & cr0::kPg) == 0) return key;
  std::uint64_t root = state.cr3 & (long_mode ? kAddressMask : 0xFFFFFFE0u);
  const auto put = [&root](bool bit, unsigned position) { root |= std::uint64_t{bit} << position; };
  put(true, 52);  // paging is on
  put((state.cr0 & cr0::kWp) != 0, 53);
  put((state.cr4 & cr4::kPae) != 0, 54);
  put((state.cr4 & cr4::kPse) != 0, 55);
  put((state.cr4 & cr4::kSmep) != 0, 56);
  put((state.cr4 & cr4::kSmap) != 0, 57);
  put((state.efer & efer::kNxe) != 0, 58);
  put(long_mode, 59);
  key.root = root;
  return key;
}

}  // namespace hindsight::engine::guest::x86
