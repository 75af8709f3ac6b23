// Opening a trace to look into it: the timeline and the session of the commands that do. Used on the main
// thread.
#pragma once

#include <memory>

#include "debugger/cli/commands.h"
#include "debugger/session/replay_session.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::cli {

/// Builds machines of a trace on this engine.
[[nodiscard]] replay::timeline::MachineFactory machines(const std::string& engine);
/// The trace as a session that stands at options.at.
Result<std::unique_ptr<session::Session>> open_session(const LookOptions& options,
                                                       session::Brancher brancher = {});
/// Records branches that nobody steers: no input but fresh entropy, a billion instructions at the most.
[[nodiscard]] session::Brancher quiet_brancher(const std::string& engine);

}  // namespace hindsight::debugger::cli
