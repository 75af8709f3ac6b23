#include "debugger/symbols/kallsyms.h"

#include <algorithm>

#include "engine/base/little_endian.h"

namespace hindsight::debugger::symbols {
namespace {

constexpr std::uint64_t kAlignment = 8;  // of every table
constexpr std::uint64_t kFewest = 64, kMost = 4'000'000;
constexpr std::uint64_t kMostNames = std::uint64_t{32} << 20;
constexpr std::uint64_t kMostScanned = std::uint64_t{512} << 20;
constexpr std::size_t kTokens = 256, kIndexBytes = kTokens * 2;
constexpr std::size_t kMostTokenTable = 16 << 10;
constexpr std::size_t kLongestToken = 256;
constexpr std::size_t kLongestName = 512;  // KSYM_NAME_LEN since 6.1; 128 before

bool is_type(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '?'; }

/// Reads the length at `at` and steps over it; 0 when there is none.
std::size_t take_length(std::span<const std::byte> names, std::size_t& at) {
  if (at >= names.size()) return 0;
  std::size_t length = std::to_integer<std::size_t>(names[at++]);
  if ((length & 0x80) != 0) {
    if (at >= names.size()) return 0;
    length = (length & 0x7F) | std::to_integer<std::size_t>(names[at++]) << 7;
  }
  return length;
}

std::uint16_t entry_of(const std::byte* at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) | std::to_integer<unsigned>(at[1]) << 8);
}

/// Whether 256 offsets of consecutive strings may begin here.
bool looks_like_index(const std::byte* at) {
  std::uint16_t last = entry_of(at);
  if (last != 0) return false;
  for (std::size_t i = 1; i < kTokens; ++i) {
    const std::uint16_t next = entry_of(at + 2 * i);
    if (next <= last || next - last > static_cast<int>(kLongestToken)) return false;
    last = next;
  }
  return last < kMostTokenTable;
}

}  // namespace

Result<Kallsyms> Kallsyms::find(const MemoryView& memory, const Range& region) {
  Kallsyms tables(memory);
  if (memory.mapped(region.begin, region.end).empty()) {
    return error("no kernel is mapped at {:x}..{:x}: it may not run yet, or page-table isolation hides it",
                 region.begin.value, region.end.value);
  }
  if (!tables.find_tokens(region)) return error("the mapped kernel carries no kallsyms token table");
  if (!tables.find_names()) {
    return error("no kallsyms names fit the token table at {:x}", tables.tokens_.table.value);
  }
  if (!tables.find_addresses()) {
    return error("no kallsyms offsets fit the {} names counted at {:x}", tables.addresses_.size(),
                 tables.count_at_.value);
  }
  return tables;
}

bool Kallsyms::find_tokens(const Range& region) {
  constexpr std::size_t kChunk = 256 << 10;
  std::vector<std::byte> bytes(kChunk + kIndexBytes);
  std::uint64_t scanned = 0;
  for (const Range& range : memory_.mapped(region.begin, region.end)) {
    for (GuestVirt at = align_up(range.begin, kAlignment); at < range.end; at += kChunk) {
      const std::size_t size = std::min<std::uint64_t>(bytes.size(), range.end - at);
      if ((scanned += size) > kMostScanned) return false;
      if (!memory_.read(at, std::span(bytes).first(size))) continue;
      for (std::size_t i = 0; i + kIndexBytes <= size && i < kChunk; i += kAlignment) {
        if (!looks_like_index(bytes.data() + i)) continue;
        std::array<std::uint16_t, kTokens> entries;
        for (std::size_t k = 0; k < kTokens; ++k) entries[k] = entry_of(bytes.data() + i + 2 * k);
        if (table_before(at + i, entries)) return true;
      }
    }
  }
  return false;
}

bool Kallsyms::table_before(GuestVirt index, const std::array<std::uint16_t, kTokens>& entries) {
  // The table ends less than an alignment before the index; only the last token's length is not known.
  const std::uint64_t least = entries.back() + 1u;
  for (std::uint64_t size = (least + kAlignment - 1) & ~(kAlignment - 1); size <= least + kLongestToken;
       size += kAlignment) {
    std::vector<char> text = load_array<char>(memory_, index - size, size);
    if (text.empty()) return false;
    const auto ends_before = [&](std::uint16_t next) { return text[next - 1u] == '\0'; };
    if (text.back() != '\0' || !std::all_of(entries.begin() + 1, entries.end(), ends_before)) continue;
    const std::uint64_t last_end =
        std::find(text.begin() + entries.back(), text.end(), '\0') - text.begin() + 1u;
    const auto zeros = static_cast<std::size_t>(std::ranges::count(text, '\0'));
    const bool printable =
        std::ranges::all_of(text, [](char c) { return c == '\0' || (c > 32 && c != 127); });
    // One zero for each token, and the padding.
    if (size - last_end >= kAlignment || zeros != kTokens + (size - last_end) || !printable) continue;
    tokens_ = {index - size, index, std::move(text), entries};
    return true;
  }
  return false;
}

bool Kallsyms::find_names() {
  // The count precedes the names, which precede the markers, which precede the token table: search backwards,
  // near it first.
  const GuestVirt from{tokens_.table.value - std::min(tokens_.table.value, kMostNames)};
  const std::vector<Range> ranges = memory_.mapped(from, tokens_.table);
  if (ranges.empty() || ranges.back().end != tokens_.table) return false;
  const std::uint64_t there = ranges.back().size() & ~(kAlignment - 1);
  std::uint64_t searched = 0;
  for (std::uint64_t size = 1 << 20; searched < there; size *= 2) {
    const std::uint64_t now = std::min(size, there);
    const std::vector<std::byte> window = load_array<std::byte>(memory_, tokens_.table - now, now);
    if (window.empty()) return false;
    for (std::size_t i = now - searched; i >= kAlignment;) {
      i -= kAlignment;
      const std::uint64_t count = load_little_endian(std::span(window).subspan(i).first<8>());
      if (count >= kFewest && count <= kMost &&
          names_at(tokens_.table - now + i, count, std::span(window).subspan(i + 8)))
        return true;
      if (budget_ == 0) return false;
    }
    searched = now;
  }
  return false;
}

bool Kallsyms::names_at(GuestVirt count_at, std::uint64_t count, std::span<const std::byte> names) {
  std::vector<std::uint32_t> markers;
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i % 256 == 0) markers.push_back(static_cast<std::uint32_t>(at));
    const std::size_t start = at;
    const std::size_t length = take_length(names, at);
    if (length == 0 || length > kLongestName || names.size() - at < length) return false;
    const std::string_view first = tokens_.token(std::to_integer<std::uint8_t>(names[at]));
    if (first.empty() || !is_type(first[0])) return false;
    at += length;
    budget_ -= std::min<std::uint64_t>(budget_, at - start);
    if (budget_ == 0) return false;
  }
  // The tables start at multiples of 8; so does `names`.
  const std::size_t markers_at = (at + kAlignment - 1) & ~(kAlignment - 1);
  const std::size_t size = markers.size() * sizeof(std::uint32_t);
  if (markers_at > names.size() || names.size() - markers_at < size) return false;
  if (std::memcmp(names.data() + markers_at, markers.data(), size) != 0) return false;
  count_at_ = count_at;
  names_.resize(at);
  std::memcpy(names_.data(), names.data(), at);
  addresses_.resize(count);
  absolute_.assign(count, false);
  return true;
}

bool Kallsyms::find_addresses() {
  const std::uint64_t size = (addresses_.size() * 4 + kAlignment - 1) & ~(kAlignment - 1);
  // Before 6.4: the offsets, their base, the count. From then on: the token index, the offsets, the base.
  const std::array<GuestVirt, 2> places{count_at_ - 8 - size, tokens_.index + kIndexBytes};
  for (const GuestVirt at : places) {
    const auto offsets = load_array<std::int32_t>(memory_, at, addresses_.size());
    if (offsets.empty()) continue;
    if (const auto base = load<std::uint64_t>(memory_, at + size)) {
      if (absolute_per_cpu(offsets, GuestVirt{*base}) || base_relative(offsets, GuestVirt{*base}))
        return true;
    }
    if (place_relative(offsets, at)) return true;
  }
  return false;
}

/// CONFIG_KALLSYMS_ABSOLUTE_PERCPU: negative offsets count down from the base less one, others are values.
bool Kallsyms::absolute_per_cpu(const std::vector<std::int32_t>& offsets, GuestVirt base) {
  if (!kKernelRegion.contains(base)) return false;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const std::int64_t offset = offsets[i];
    absolute_[i] = offset >= 0;
    addresses_[i] = offset >= 0 ? GuestVirt{static_cast<std::uint64_t>(offset)}
                                : base + static_cast<std::uint64_t>(-1 - offset);
  }
  return plausible();
}

bool Kallsyms::base_relative(const std::vector<std::int32_t>& offsets, GuestVirt base) {
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    addresses_[i] = base + static_cast<std::uint32_t>(offsets[i]);
    absolute_[i] = !kKernelRegion.contains(addresses_[i]);
  }
  return plausible();
}

/// Each offset counts from its own place. Code lies before read-only data, so the first lead back: zeros do
/// not pass for offsets.
bool Kallsyms::place_relative(const std::vector<std::int32_t>& offsets, GuestVirt at) {
  if (offsets[0] >= 0) return false;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    addresses_[i] = at + 4 * i + static_cast<std::uint64_t>(std::int64_t{offsets[i]});
    absolute_[i] = !kKernelRegion.contains(addresses_[i]);
  }
  return plausible();
}

/// The tables are in the order of addresses, and most of them lie in the kernel.
bool Kallsyms::plausible() {
  std::size_t inside = 0;
  GuestVirt last{};
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    if (absolute_[i]) continue;
    if (addresses_[i] < last || !kKernelRegion.contains(addresses_[i])) return false;
    last = addresses_[i];
    ++inside;
  }
  return inside > addresses_.size() / 2;
}

Result<SymbolTable> Kallsyms::decode(GuestVirt end) const {
  SymbolTable table;
  table.reserve(addresses_.size(), names_.size() * 3);
  const std::span<const std::byte> names = std::as_bytes(std::span(names_));
  std::size_t at = 0;
  std::string name;
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    const std::size_t length = take_length(names, at);
    name.clear();
    for (std::size_t k = 0; k < length && name.size() <= kLongestName; ++k)
      name += tokens_.token(std::to_integer<std::uint8_t>(names[at + k]));
    at += length;
    if (name.size() > kLongestName) name.resize(kLongestName);
    if (table.name_bytes() + name.size() > SymbolTable::kMostNameBytes)
      return error("kallsyms names of more than {} MiB", SymbolTable::kMostNameBytes >> 20);
    table.add(std::string_view(name).substr(1), name[0], addresses_[i], 0, absolute_[i]);
  }
  table.seal(end);
  return table;
}

}  // namespace hindsight::debugger::symbols
