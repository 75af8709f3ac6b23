// Positions and hits in words, as the monitor's answers and the stub's remarks have them. Pure functions; any
// thread.
#pragma once

#include <string>

#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

/// "123456", or "123456+1" after the first delivery there; Session::parse_position reads it.
[[nodiscard]] std::string in_words(session::Position at);
/// What was met, in one line without its end.
[[nodiscard]] std::string in_words(const session::Hit& hit);

}  // namespace hindsight::debugger::gdb
