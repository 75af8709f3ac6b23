// CHECK: a broken invariant of the emulator itself. Stays on in release builds, prints one line with what
// was expected and the values at hand, and aborts. Never used for bad input or guest behaviour. Any thread.
#pragma once

#include <fmt/format.h>

#include <string>

namespace hindsight {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& detail);

}  // namespace hindsight

/// CHECK(condition) or CHECK(condition, "format {}", values...).
#define CHECK(condition, ...)                                                                 \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::hindsight::check_failed(__FILE__, __LINE__, #condition, fmt::format("" __VA_ARGS__)); \
  } while (false)
