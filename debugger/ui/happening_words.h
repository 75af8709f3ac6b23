// One happening of the activity index in a line of words, the same wherever it is shown. Pure; any thread.
#pragma once

#include <string>

#include "debugger/ui/activity_index.h"

namespace hindsight::debugger::ui {

/// "#PF, error 2, at ring_show+0x58", "vector ec at native_safe_halt+0xb", "execve (59)", "hpet f0 -> 12".
/// Addresses and values are hexadecimal, as in every panel.
[[nodiscard]] std::string words(const ActivityIndex::Item& item);

}  // namespace hindsight::debugger::ui
