// What the numbers of system calls mean: those of Linux for 64-bit programs on x86, up to Linux 6.1. Other
// kernels and other ways into the kernel number them otherwise. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace hindsight::debugger::ui {

/// Empty where none has that number.
[[nodiscard]] std::string_view system_call_name(std::uint64_t number);

}  // namespace hindsight::debugger::ui
