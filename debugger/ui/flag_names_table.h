// The bits of x86 registers that have names (SDM vol. 1, 3.4.3 and 10.2.3, vol. 3, 2.3, 2.5 and 17.2). A
// table; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace hindsight::debugger::ui {

struct FlagName {
  std::uint8_t bit, width;
  std::string_view name, meaning;
};

/// From the highest bit down; empty: that register has no named bits.
[[nodiscard]] std::span<const FlagName> flags_of(std::string_view register_name);

}  // namespace hindsight::debugger::ui
