// A session over a recorded machine (replay/timeline). Owned by the command that opened it; one thread, but
// for interrupt().
#pragma once

#include <memory>
#include <string>

#include "debugger/session/session.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

/// Opens the trace at its beginning.
Result<std::unique_ptr<Session>> open_replay(const std::string& path,
                                             replay::timeline::MachineFactory factory,
                                             replay::timeline::TimelineOptions options = {});

}  // namespace hindsight::debugger::session
