#include "debugger/symbols/symbol_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace hindsight::debugger::symbols {
namespace {

// FNV-1a: short names, and the same on every host.
std::uint32_t hash_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace

bool Symbol::is_text() const { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }

std::string Symbol::full_name() const {
  return module.empty() ? std::string(name) : fmt::format("{} [{}]", name, module);
}

std::string Location::text() const {
  const std::string place =
      offset == 0 ? std::string(symbol.name) : fmt::format("{}+{:#x}", symbol.name, offset);
  return symbol.module.empty() ? place : fmt::format("{} [{}]", place, symbol.module);
}

void SymbolTable::reserve(std::size_t symbols, std::size_t name_bytes) {
  entries_.reserve(symbols);
  names_.reserve(name_bytes);
}

void SymbolTable::add(std::string_view name, char type, GuestVirt address, std::uint64_t size,
                      bool absolute) {
  entries_.push_back({address, size, static_cast<std::uint32_t>(names_.size()),
                      static_cast<std::uint32_t>(name.size()), type, absolute});
  names_.append(name);
}

void SymbolTable::seal(GuestVirt end) {
  const auto before = [](const Entry& a, const Entry& b) {
    return a.absolute != b.absolute ? a.absolute : a.address < b.address;
  };
  // Tables mostly come in order already.
  if (!std::ranges::is_sorted(entries_, before)) std::ranges::stable_sort(entries_, before);
  GuestVirt next = end;
  for (std::size_t i = entries_.size(); i-- > 0;) {
    Entry& entry = entries_[i];
    const bool last_of_address = i + 1 == entries_.size() || entries_[i + 1].address != entry.address;
    if (last_of_address && i + 1 < entries_.size() && entries_[i + 1].absolute == entry.absolute)
      next = entries_[i + 1].address;
    if (entry.size == 0 && !entry.absolute && next > entry.address) entry.size = next - entry.address;
  }
  buckets_.assign(std::bit_ceil(entries_.size() + 1), 0);
  next_.assign(entries_.size(), 0);
  for (std::size_t i = entries_.size(); i-- > 0;) {
    std::uint32_t& bucket = buckets_[hash_of(name_of(entries_[i])) & (buckets_.size() - 1)];
    next_[i] = bucket;
    bucket = static_cast<std::uint32_t>(i + 1);
  }
}

Symbol SymbolTable::operator[](std::size_t index) const {
  const Entry& entry = entries_[index];
  return {name_of(entry), entry.address, entry.size, entry.type, entry.absolute, module_};
}

std::vector<Symbol> SymbolTable::find(std::string_view name) const {
  std::vector<Symbol> found;
  if (buckets_.empty()) return found;
  for (std::uint32_t i = buckets_[hash_of(name) & (buckets_.size() - 1)]; i != 0; i = next_[i - 1]) {
    if (name_of(entries_[i - 1]) == name) found.push_back((*this)[i - 1]);
  }
  return found;
}

std::optional<Symbol> SymbolTable::first(std::string_view name) const {
  const std::vector<Symbol> found = find(name);
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::optional<Location> SymbolTable::at(GuestVirt address) const {
  auto after = std::ranges::partition_point(
      entries_, [&](const Entry& entry) { return entry.absolute || entry.address <= address; });
  if (after == entries_.begin()) return std::nullopt;
  const GuestVirt start = (after - 1)->address;
  // Those that begin together are few, but a hostile table may hold any number of them.
  const auto same = std::ranges::partition_point(
      entries_.begin(), after, [&](const Entry& entry) { return entry.absolute || entry.address < start; });
  const auto best = std::find_if(same, std::min(after, same + std::min<std::ptrdiff_t>(after - same, 64)),
                                 [&](const Entry& entry) { return address - start < entry.size; });
  if (same == after || same->absolute || best == after || address - start >= best->size) return std::nullopt;
  return Location{(*this)[static_cast<std::size_t>(best - entries_.begin())], address - start};
}

}  // namespace hindsight::debugger::symbols
