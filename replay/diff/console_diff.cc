#include "replay/diff/console_diff.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindsight::replay::diff {
namespace {

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string shown(char mark, std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  std::string text(1, mark);
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    text +=
        byte == '\t' || (byte >= 0x20 && byte < 0x7f) ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

struct Skip {
  std::size_t a = 0, b = 0;
};

/// How many lines of each differ before `context` lines agree again, or so many as are shown at most.
Skip hunk(const Lines& a, const Lines& b, std::size_t from, std::size_t context) {
  constexpr std::size_t kFarthest = 24, kMostShown = 8;
  for (std::size_t both = 1; both <= kFarthest; ++both) {
    for (std::size_t in_a = 0; in_a <= both; ++in_a) {
      const std::size_t at_a = from + in_a, at_b = from + both - in_a;
      if (at_a > a.size() || at_b > b.size()) continue;
      const std::size_t left = std::min({context, a.size() - at_a, b.size() - at_b});
      if (left == 0 && !(at_a == a.size() && at_b == b.size())) continue;
      if (std::equal(a.begin() + at_a, a.begin() + at_a + left, b.begin() + at_b)) return {in_a, both - in_a};
    }
  }
  return {std::min(kMostShown, a.size() - from), std::min(kMostShown, b.size() - from)};
}

/// How long the time in front of a line is, if there is one.
std::size_t time_length(std::string_view line) {
  constexpr std::string_view kDigits = "0123456789";
  if (!line.starts_with('[')) return 0;
  const std::size_t seconds = line.find_first_not_of(' ', 1);
  const std::size_t point = std::min(line.find_first_not_of(kDigits, seconds), line.size());
  if (point <= seconds || !line.substr(point).starts_with('.')) return 0;
  const std::size_t end = std::min(line.find_first_not_of(kDigits, point + 1), line.size());
  return line.substr(end).starts_with("] ") ? end + 2 : 0;
}

}  // namespace

std::string without_times(std::string_view text) {
  std::string without;
  for (const std::string_view line : lines_of(text)) without += line.substr(time_length(line));
  return without;
}

std::optional<ConsoleDifference> console_difference(std::string_view a, std::string_view b,
                                                    std::size_t context) {
  if (a == b) return std::nullopt;
  const Lines lines_a = lines_of(a), lines_b = lines_of(b);
  const std::size_t common = std::min(lines_a.size(), lines_b.size());
  const auto parted = std::mismatch(lines_a.begin(), lines_a.begin() + common, lines_b.begin());
  const auto from = static_cast<std::size_t>(parted.first - lines_a.begin());
  ConsoleDifference difference;
  difference.line = from + 1;
  difference.lines_a = lines_a.size();
  difference.lines_b = lines_b.size();
  difference.a_is_prefix = b.starts_with(a);
  difference.b_is_prefix = a.starts_with(b);
  const auto put = [&](char mark, const Lines& lines, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < std::min(first + count, lines.size()); ++i)
      difference.text.push_back(shown(mark, lines[i]));
  };
  const std::size_t before = std::min(from, context);
  put(' ', lines_a, from - before, before);
  const Skip skip = hunk(lines_a, lines_b, from, std::max<std::size_t>(context, 1));
  put('-', lines_a, from, skip.a);
  put('+', lines_b, from, skip.b);
  for (std::size_t i = 0;
       i < context && from + skip.a + i < lines_a.size() && from + skip.b + i < lines_b.size(); ++i) {
    if (lines_a[from + skip.a + i] != lines_b[from + skip.b + i]) break;
    put(' ', lines_a, from + skip.a + i, 1);
  }
  return difference;
}

}  // namespace hindsight::replay::diff
