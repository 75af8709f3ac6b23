// Numbers as people read them. Pure functions; any thread.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace hindsight::debugger::cli {

/// 1502411597 as "1,502,411,597".
inline std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

/// "1 event", "2 events".
inline std::string counted(std::uint64_t number, const char* what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

inline std::string bytes_text(std::uint64_t bytes) {
  constexpr double kKib = 1024, kMib = 1024 * kKib;
  const auto value = static_cast<double>(bytes);
  return value < kMib ? fmt::format("{:.1f} KiB", value / kKib) : fmt::format("{:.1f} MiB", value / kMib);
}

/// "2.5 s (600 million instructions/s)".
inline std::string pace(std::uint64_t instructions, double seconds) {
  const double rate = static_cast<double>(instructions) / 1e6 / (seconds > 0 ? seconds : 1e-9);
  return seconds < 0.01 ? fmt::format("{:.3f} s", seconds)
                        : fmt::format("{:.1f} s ({:.0f} million/s)", seconds, rate);
}

}  // namespace hindsight::debugger::cli
