#include "debugger/symbols/orc.h"

#include <algorithm>

#include "engine/base/little_endian.h"

namespace hindsight::debugger::symbols {
namespace {

using Base = OrcEntry::Base;
using Kind = OrcEntry::Kind;

constexpr std::size_t kEntrySize = 6, kAddressSize = 4;
constexpr std::uint32_t kMostEntries = 4'000'000;
constexpr std::uint64_t kThunks = 16, kThunkSize = 32;  // one for each register

Kind kind_of(unsigned bits, Base sp_base, OrcFormat format) {
  if (format == OrcFormat::wide_type) {
    constexpr Kind kKinds[8] = {Kind::unknown, Kind::bottom, Kind::call, Kind::registers, Kind::frame};
    return kKinds[bits & 7];
  }
  const unsigned end = format == OrcFormat::type_end ? 4 : 8;
  if ((bits & end) != 0) return Kind::bottom;
  if (sp_base == Base::undefined) return Kind::unknown;
  constexpr Kind kKinds[4] = {Kind::call, Kind::registers, Kind::frame, Kind::unknown};
  return kKinds[bits & 3];
}

/// Which encoding these entries have. Nearly all places are reached by calls and count from the stack
/// pointer.
OrcFormat format_of(std::span<const std::byte> entries) {
  std::size_t zero = 0, two = 0, with_signal = 0;
  for (; entries.size() >= kEntrySize; entries = entries.subspan(kEntrySize)) {
    const auto base = static_cast<Base>(std::to_integer<unsigned>(entries[4]) & 15);
    const unsigned bits = std::to_integer<unsigned>(entries[5]) & 15;
    if (base != Base::sp) continue;
    zero += bits == 0;
    two += (bits & 7) == 2;
    with_signal += bits == 5 || bits == 6;  // interrupted places, which carry the mark
  }
  if (two > zero) return OrcFormat::wide_type;
  return with_signal > 0 ? OrcFormat::type_signal_end : OrcFormat::type_end;
}

GuestVirt place_of(GuestVirt at, std::int32_t offset) {
  return at + static_cast<std::uint64_t>(std::int64_t{offset});
}

}  // namespace

OrcEntry decode_orc(std::span<const std::byte, kEntrySize> entry, OrcFormat format) {
  OrcEntry out;
  out.sp_offset = static_cast<std::int16_t>(load_little_endian(entry.subspan<0, 2>()));
  out.bp_offset = static_cast<std::int16_t>(load_little_endian(entry.subspan<2, 2>()));
  const auto registers = std::to_integer<unsigned>(entry[4]);
  out.sp_base = static_cast<Base>(registers & 15);
  out.bp_base = static_cast<Base>(registers >> 4);
  out.kind = kind_of(std::to_integer<unsigned>(entry[5]), out.sp_base, format);
  return out;
}

Result<Unwinder> Unwinder::create(const MemoryView& memory, const KernelSymbols& kernel) {
  const auto addresses = kernel.address_of("__start_orc_unwind_ip");
  const auto addresses_end = kernel.address_of("__stop_orc_unwind_ip");
  const auto entries = kernel.address_of("__start_orc_unwind");
  if (!addresses || !addresses_end || !entries || *addresses_end <= *addresses)
    return error("the kernel has no ORC tables to unwind with (CONFIG_UNWINDER_ORC)");
  const std::uint64_t count = (*addresses_end - *addresses) / kAddressSize;
  if (count > kMostEntries)
    return error("ORC tables of {} entries; at most {} expected", count, kMostEntries);
  const OrcTable orc{*addresses, *entries, static_cast<std::uint32_t>(count)};
  Unwinder unwinder;
  const auto all = load_array<std::byte>(memory, orc.entries, count * kEntrySize);
  if (all.empty()) return error("the ORC entries at {:x} cannot be read", entries->value);
  unwinder.format_ = format_of(all);
  // The whole image: code lies behind _etext as well, for initialisation and in alternatives.
  unwinder.tables_.push_back({kernel.image(), orc});
  if (const auto thunks = kernel.address_of("__x86_indirect_thunk_array"))
    unwinder.thunks_ = {*thunks, *thunks + kThunks * kThunkSize};
  unwinder.return_thunk_ = kernel.address_of("__x86_return_thunk").value_or(GuestVirt{});
  return unwinder;
}

void Unwinder::set_modules(std::span<const Module> modules) {
  tables_.resize(1);
  for (const Module& module : modules) {
    if (module.orc.count == 0) continue;
    tables_.push_back({module.text, module.orc});
    if (module.init_text.size() != 0) tables_.push_back({module.init_text, module.orc});
  }
}

std::optional<OrcPlace> Unwinder::place_at(const MemoryView& memory, GuestVirt pc) const {
  const auto table = std::ranges::find_if(tables_, [&](const Table& each) { return each.code.contains(pc); });
  if (table == tables_.end()) return std::nullopt;
  const auto address = [&](std::uint32_t index) -> std::optional<GuestVirt> {
    const GuestVirt at = table->orc.addresses + std::uint64_t{index} * kAddressSize;
    const auto offset = load<std::int32_t>(memory, at);
    if (!offset) return std::nullopt;
    return place_of(at, *offset);
  };
  // The last place at or before pc.
  std::uint32_t low = 0, high = table->orc.count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const auto from = address(middle);
    if (!from) return std::nullopt;
    (*from <= pc ? low : high) = *from <= pc ? middle + 1 : middle;
  }
  if (low == 0) return std::nullopt;
  std::array<std::byte, kEntrySize> bytes;
  if (!memory.read(table->orc.entries + std::uint64_t{low - 1} * kEntrySize, bytes)) return std::nullopt;
  const auto from = address(low - 1);
  if (!from) return std::nullopt;
  return OrcPlace{*from, decode_orc(bytes, format_)};
}

/// Retpolines are marked as having no caller. They have: each is a call, which pushes once more, and a jump
/// (arch/x86/lib/retpoline.S).
void Unwinder::amend(OrcEntry& entry, GuestVirt pc) const {
  if (entry.kind != Kind::bottom || !thunks_.contains(pc)) return;
  const bool called = (pc - thunks_.begin) % kThunkSize != 0;
  entry = {static_cast<std::int16_t>(called ? 16 : 8), 0, Base::sp, Base::undefined, Kind::call};
}

std::optional<OrcEntry> Unwinder::entry_at(const MemoryView& memory, GuestVirt pc) const {
  auto place = place_at(memory, pc);
  if (!place) return std::nullopt;
  amend(place->entry, pc);
  return place->entry;
}

bool Unwinder::begins_at(const MemoryView& memory, GuestVirt pc) const {
  const auto place = place_at(memory, pc);
  return place && place->from == pc && place->entry.kind == Kind::call && place->entry.sp_base == Base::sp &&
         place->entry.sp_offset == 8;
}

std::vector<OrcPlace> Unwinder::read(const MemoryView& memory, const Table& table) const {
  const std::size_t count = std::min(table.orc.count, kMostEntries);
  const auto offsets = load_array<std::int32_t>(memory, table.orc.addresses, count);
  const auto entries = load_array<std::byte>(memory, table.orc.entries, count * kEntrySize);
  std::vector<OrcPlace> places;
  if (entries.empty()) return places;
  places.reserve(offsets.size());
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const GuestVirt from = place_of(table.orc.addresses + i * kAddressSize, offsets[i]);
    if (!table.code.contains(from) || (!places.empty() && from < places.back().from)) continue;
    places.push_back(
        {from, decode_orc(std::span(entries).subspan(i * kEntrySize).first<kEntrySize>(), format_)});
  }
  return places;
}

}  // namespace hindsight::debugger::symbols
