// Positions, addresses and hits in words, as the monitor's answers and the stub's remarks have them. Used on
// the session's thread.
#pragma once

#include <string>

#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

/// "123456", or "123456+1" after the first delivery there; Session::parse_position reads it.
[[nodiscard]] std::string in_words(session::Position at);
/// "0xffffffff81000123 <name+0x23>", or the bare address where no symbol is known.
[[nodiscard]] std::string in_words(session::Session& session, GuestVirt address);
/// What was met, in one line without its end.
[[nodiscard]] std::string in_words(session::Session& session, const session::Hit& hit);

}  // namespace hindsight::debugger::gdb
