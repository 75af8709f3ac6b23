// What happens in a stretch of a timeline, gathered by machines side by side. A free function; the timeline's
// thread.
#pragma once

#include "debugger/session/session.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

/// See Session::activity; but after a failure the cursor may stand elsewhere.
Result<Activity> gather_activity(replay::timeline::Timeline& timeline, Position from, Position to);

}  // namespace hindsight::debugger::session
