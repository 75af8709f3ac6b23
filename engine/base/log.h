// Diagnostics to standard error, by component: log::warn("mmu", "...", ...). Any thread. Never affects the
// guest. Levels are chosen on the command line with --log=mmu:debug,exec:info; the default is warn.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "engine/base/result.h"

namespace hindsight::log {

enum class Level { trace, debug, info, warn, error, off };

/// Applies "component:level,component:level"; a bare level sets the default. Errors name the bad word.
Status configure(std::string_view specification);
[[nodiscard]] bool enabled(std::string_view component, Level level);
void write(std::string_view component, Level level, std::string_view text);

template <class... Args>
void at(Level level, std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(component, level)) write(component, level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::debug, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::info, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::warn, component, format, std::forward<Args>(args)...);
}

}  // namespace hindsight::log
