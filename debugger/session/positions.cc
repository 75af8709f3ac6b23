#include "debugger/session/positions.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace hindsight::debugger::session {
namespace {

using engine::port::Position;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != '_' || digits.empty()) digits += c;
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<double> percent_of(std::string_view text) {
  double share = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (failure != std::errc{} || end != text.data() + text.size() || !(share >= 0 && share <= 100))
    return std::nullopt;
  return share;
}

}  // namespace

std::string text_of(Position position) {
  return position.delivery == 0 ? fmt::format("{}", position.icount.value)
                                : fmt::format("{}+{}", position.icount.value, position.delivery);
}

Result<Position> parse_position(std::string_view text, const PositionNames& names) {
  const auto wrong = [&] {
    return error(
        "a position expected (an icount, ICOUNT+DELIVERY, N%, begin, end, mark:NAME or event:N), found "
        "\"{}\"",
        text);
  };
  if (text == "begin") return names.first;
  if (text == "end") return names.last;
  if (text.starts_with("mark:")) {
    const auto at = names.mark ? names.mark(text.substr(5)) : std::nullopt;
    if (!at) return error("there is no mark \"{}\"", text.substr(5));
    return *at;
  }
  if (text.starts_with("event:")) {
    const auto number = number_of(text.substr(6));
    if (!number) return wrong();
    const auto at = names.event ? names.event(*number) : std::nullopt;
    if (!at) return error("there is no event {}", *number);
    return *at;
  }
  if (text.ends_with('%')) {
    const auto share = percent_of(text.substr(0, text.size() - 1));
    if (!share) return wrong();
    const double length = static_cast<double>(names.last.icount - names.first.icount);
    return Position{names.first.icount + static_cast<std::uint64_t>(std::floor(length * *share / 100)), 0};
  }
  const std::size_t plus = text.find('+');
  const auto icount = number_of(text.substr(0, plus));
  const auto delivery = plus == std::string_view::npos ? 0 : number_of(text.substr(plus + 1));
  if (!icount || !delivery || *delivery > ~std::uint32_t{0}) return wrong();
  return Position{Icount{*icount}, static_cast<std::uint32_t>(*delivery)};
}

}  // namespace hindsight::debugger::session
