#include "debugger/symbols/page_table_view.h"

#include <algorithm>

#include "engine/mmu/physical_memory.h"

namespace hindsight::debugger::symbols {
namespace {

constexpr std::uint64_t kPresent = 1, kLarge = 0x80;
constexpr std::uint64_t kEntries = 512;
// What one call may look at: tables that lead to each other would never end.
constexpr std::uint64_t kMostEntries = std::uint64_t{8} << 20;
constexpr std::uint64_t kIsolationPage = 0x1000;

constexpr unsigned shift_of(unsigned level) { return 12 + 9 * (level - 1); }

/// Bits 63 to 47 (or 56) alike.
constexpr bool canonical(std::uint64_t address, unsigned levels) {
  const unsigned unused = 64 - shift_of(levels + 1);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << unused) >> unused) == address;
}

}  // namespace

const std::byte* PageTableView::page(std::uint64_t physical) const {
  using engine::mmu::kHighRam;
  using engine::mmu::kLowRamEnd;
  std::uint64_t linear = physical;
  if (physical >= kLowRamEnd.value) {
    if (physical < kHighRam.value) return nullptr;
    linear = physical - kHighRam.value + kLowRamEnd.value;
  }
  const std::uint64_t index = linear >> kPageBits;
  return index < ram_->page_count() ? ram_->page(index) : nullptr;
}

std::optional<std::uint64_t> PageTableView::entry(std::uint64_t table, std::uint64_t index) const {
  const std::byte* bytes = page(table);
  if (bytes == nullptr) return std::nullopt;
  std::uint64_t value = 0;
  std::memcpy(&value, bytes + index * sizeof value, sizeof value);
  if ((value & kPresent) == 0) return std::nullopt;
  return value;
}

std::optional<GuestPhys> PageTableView::translate(GuestVirt address) const {
  if (levels_ == 0 || !canonical(address.value, levels_)) return std::nullopt;
  std::uint64_t table = root_;
  for (unsigned level = levels_;; --level) {
    const auto value = entry(table, address.value >> shift_of(level) & (kEntries - 1));
    if (!value) return std::nullopt;
    if (level == 1 || (level <= 3 && (*value & kLarge) != 0)) {
      const std::uint64_t inside = (std::uint64_t{1} << shift_of(level)) - 1;
      return GuestPhys{(*value & kAddressBits & ~inside) | (address.value & inside)};
    }
    table = *value & kAddressBits;
  }
}

bool PageTableView::read(GuestVirt address, std::span<std::byte> out) const {
  while (!out.empty()) {
    const auto physical = translate(address);
    if (!physical) return false;
    const std::byte* bytes = page(physical->value & ~kPageMask);
    if (bytes == nullptr) return false;
    const std::uint64_t offset = address.value & kPageMask;
    const std::size_t size = std::min<std::uint64_t>(out.size(), kPageSize - offset);
    std::memcpy(out.data(), bytes + offset, size);
    out = out.subspan(size);
    address += size;
  }
  return true;
}

struct PageTableView::Collector {
  std::uint64_t from, last;  // inclusive, so that the top of the address space can be said
  std::vector<Range> found;
  std::uint64_t looked_at = 0;

  void add(std::uint64_t begin, std::uint64_t size) {
    const std::uint64_t clipped = std::max(begin, from);
    const std::uint64_t end = std::min(begin + (size - 1), last) + 1;
    if (!found.empty() && found.back().end.value == clipped) {
      found.back().end = GuestVirt{end};
    } else {
      found.push_back({GuestVirt{clipped}, GuestVirt{end}});
    }
  }
};

void PageTableView::collect(Collector& collector, std::uint64_t table, unsigned level,
                            std::uint64_t base) const {
  const std::uint64_t size = std::uint64_t{1} << shift_of(level);
  const std::uint64_t span_last = base + (size * kEntries - 1);
  const std::uint64_t first = collector.from > base ? (collector.from - base) / size : 0;
  const std::uint64_t last = collector.last < span_last ? (collector.last - base) / size : kEntries - 1;
  for (std::uint64_t i = first; i <= last; ++i) {
    if (++collector.looked_at > kMostEntries) return;
    const auto value = entry(table, i);
    if (!value) continue;
    const std::uint64_t at = base + i * size;
    if (level > 1 && (level > 3 || (*value & kLarge) == 0)) {
      collect(collector, *value & kAddressBits, level - 1, at);
    } else if (page(*value & kAddressBits & ~(size - 1)) != nullptr) {
      collector.add(at, size);
    }
  }
}

std::vector<Range> PageTableView::mapped(GuestVirt from, GuestVirt to) const {
  if (levels_ == 0 || from >= to) return {};
  Collector collector{from.value, to.value - 1, {}, 0};
  const std::uint64_t size = std::uint64_t{1} << shift_of(levels_);
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    // The topmost index bit is sign-extended.
    const std::uint64_t base = i * size | (i >= kEntries / 2 ? ~(size * kEntries - 1) : 0);
    if (collector.last < base || collector.from > base + (size - 1)) continue;
    if (const auto value = entry(root_, i)) collect(collector, *value & kAddressBits, levels_ - 1, base);
  }
  return collector.found;
}

PageTableView PageTableView::kernel_side() const {
  if (levels_ == 0 || (root_ & kIsolationPage) == 0) return *this;
  const PageTableView full(*ram_, GuestPhys{root_ & ~kIsolationPage}, levels_);
  // Both share the user half, but for the bit that keeps the kernel from executing it.
  bool any = false;
  for (std::uint64_t i = 0; i < kEntries / 2; ++i) {
    const auto ours = entry(root_, i), theirs = entry(full.root_, i);
    if (ours.has_value() != theirs.has_value()) return *this;
    if (ours && (*ours & kAddressBits) != (*theirs & kAddressBits)) return *this;
    any = any || ours.has_value();
  }
  return any && entry(full.root_, kEntries - 1) ? full : *this;
}

}  // namespace hindsight::debugger::symbols
