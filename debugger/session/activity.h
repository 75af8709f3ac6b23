// What happens in a stretch of a timeline, gathered by machines side by side. A free function; the timeline's
// thread.
#pragma once

#include <optional>

#include "debugger/session/session.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

/// Where the guest's kernel begins to serve SYSCALL, and to switch to the task in RSI; none: not known.
struct Landmarks {
  std::optional<GuestVirt> system_call, context_switch;
};

/// See Session::activity; but after a failure the cursor may stand elsewhere.
Result<Activity> gather_activity(replay::timeline::Timeline& timeline, const Landmarks& landmarks,
                                 Position from, Position to);

}  // namespace hindsight::debugger::session
