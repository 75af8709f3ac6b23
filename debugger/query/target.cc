#include "debugger/query/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "debugger/session/positions.h"

namespace hindsight::debugger::query {
namespace {

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> hexadecimal_or_decimal(std::string_view text) {
  return text.starts_with("0x") ? number(text.substr(2), 16) : number(text, 10);
}

Result<std::vector<Address>> symbol_addresses(std::string_view text, const symbols::GuestKernel& kernel,
                                              const symbols::MemoryView& memory) {
  std::string_view name = text;
  std::uint64_t offset = 0;
  if (const auto plus = text.rfind('+'); plus != std::string_view::npos) {
    const auto given = hexadecimal_or_decimal(text.substr(plus + 1));
    if (!given) return error("{}: an offset such as +0x10 expected after the symbol", text);
    name = text.substr(0, plus);
    offset = *given;
  }
  std::vector<Address> found;
  for (const symbols::Symbol& symbol : kernel.find_symbol(name)) {
    GuestVirt address = symbol.address;
    if (symbol.absolute) {
      const auto offsets = kernel.symbols().address_of("__per_cpu_offset");
      const auto first = offsets ? symbols::load<std::uint64_t>(memory, *offsets) : std::nullopt;
      if (!first) return error("{}: where the CPU's own variables lie cannot be read there", text);
      address += *first;
    }
    const std::uint64_t left = symbol.size > offset ? symbol.size - offset : 0;
    found.push_back({address + offset, left});
  }
  if (found.empty()) return error("no symbol \"{}\" in the guest's kernel", name);
  return found;
}

}  // namespace

Result<Position> parse_position(std::string_view text, replay::timeline::Timeline& timeline) {
  session::PositionNames names{timeline.first(), timeline.last(), {}, {}};
  std::optional<Error> damage;
  names.mark = [&](std::string_view name) -> std::optional<Position> {
    const auto marks = timeline.trace().marks();
    if (!marks) damage = marks.failure();
    if (marks)
      for (const traces::store::Mark& mark : *marks)
        if (mark.name == name) return Position{mark.at.icount, mark.at.delivery};
    return std::nullopt;
  };
  names.event = [&](std::uint64_t number) -> std::optional<Position> {
    for (std::uint64_t i = 0; i < timeline.trace().chunk_count(); ++i) {
      const auto chunk = timeline.trace().chunk(i);
      if (!chunk) damage = chunk.failure();
      if (!chunk) return std::nullopt;
      if (number - chunk->first_event < chunk->events.size())
        return Position{chunk->events[number - chunk->first_event].at.icount, 0};
    }
    return std::nullopt;
  };
  const Result<Position> at = session::parse_position(text, names);
  if (damage) return *damage;
  if (!at) return at;
  return std::clamp(*at, timeline.first(), timeline.last());
}

Result<AddressText> split_size(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return AddressText{text, std::nullopt};
  const auto size = hexadecimal_or_decimal(text.substr(slash + 1));
  if (!size || *size == 0 || *size > kMostBytes)
    return error("{}: a length from 1 to {} bytes expected after the slash", text, kMostBytes);
  return AddressText{text.substr(0, slash), *size};
}

Result<std::vector<Address>> parse_addresses(std::string_view text, const symbols::GuestKernel* kernel,
                                             const symbols::MemoryView& memory, const std::string& why) {
  // A number, whole or with an offset to add.
  if (text.starts_with("0x")) {
    const auto plus = text.find('+');
    const auto base = number(text.substr(2, plus == std::string_view::npos ? plus : plus - 2), 16);
    const auto offset = plus == std::string_view::npos ? std::optional<std::uint64_t>(0)
                                                       : hexadecimal_or_decimal(text.substr(plus + 1));
    if (!base || !offset) return error("{}: an address such as 0xffffffff81000000 expected", text);
    return std::vector<Address>{{GuestVirt{*base + *offset}}};
  }
  if (text.size() == 16)
    if (const auto bare = number(text, 16)) return std::vector<Address>{{GuestVirt{*bare}}};
  if (text.empty()) return error("an address or a symbol expected, found nothing");
  if (kernel == nullptr) return error("{}: no symbols are known: {}", text, why);
  return symbol_addresses(text, *kernel, memory);
}

}  // namespace hindsight::debugger::query
