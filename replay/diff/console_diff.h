// The first lines at which what two machines printed differs. Pure functions; any thread. The text comes from
// the guest: bytes that are not printable ASCII are shown as \xNN.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hindsight::replay::diff {

struct ConsoleDifference {
  std::uint16_t channel = 0;
  std::uint64_t line = 0;                  ///< of the first one that differs, counting from 1
  std::uint64_t lines_a = 0, lines_b = 0;  ///< how many each printed
  bool a_is_prefix = false, b_is_prefix = false;
  /// Each line behind ' ' (in both), '-' (only a) or '+' (only b), as in a unified diff.
  std::vector<std::string> text;
};

/// None: equal. Up to `context` lines in common stand before and after.
[[nodiscard]] std::optional<ConsoleDifference> console_difference(std::string_view a, std::string_view b,
                                                                  std::size_t context = 3);

/// Without the time in front of each line of Linux's log, "[    1.234567] ": it differs between any two
/// machines.
[[nodiscard]] std::string without_times(std::string_view text);

}  // namespace hindsight::replay::diff
