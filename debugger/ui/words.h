// Taking commands apart. Pure; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

namespace hindsight::debugger::ui {

/// The first word, and what follows it.
[[nodiscard]] inline std::pair<std::string, std::string> split(const std::string& text) {
  const auto blank = text.find(' ');
  if (blank == std::string::npos) return {text, {}};
  const auto rest = text.find_first_not_of(' ', blank);
  return {text.substr(0, blank), rest == std::string::npos ? "" : text.substr(rest)};
}

/// How often; once where nothing is said.
[[nodiscard]] inline std::uint64_t count_of(const std::string& text) {
  return text.empty() ? 1 : std::max<std::uint64_t>(1, std::strtoull(text.c_str(), nullptr, 10));
}

}  // namespace hindsight::debugger::ui
