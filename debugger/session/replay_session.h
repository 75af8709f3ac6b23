// A session over a recorded machine (replay/timeline). Owned by the command that opened it; one thread, but
// for interrupt().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "debugger/session/session.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

/// A place at which a recorded machine may go its own way.
struct BranchPoint {
  std::string parent;  ///< the trace's path
  std::shared_ptr<const replay::snapshot::Snapshot> snapshot;
};
/// Lets the machine run on from there, recorded at `path`; see Session::branch. Wired by who knows devices.
using Brancher = std::function<Result<std::string>(const BranchPoint& from, const std::string& path)>;

/// Opens the trace at its beginning. Without a brancher, Session::branch refuses.
Result<std::unique_ptr<Session>> open_replay(const std::string& path,
                                             replay::timeline::MachineFactory factory,
                                             replay::timeline::TimelineOptions options = {},
                                             Brancher brancher = {});

}  // namespace hindsight::debugger::session
