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
/// An open session, or none: then what is wrong was said, and the command ends with `code`.
struct Look {
  std::unique_ptr<session::Session> session;
  ExitCode code = kOk;
  explicit operator bool() const { return session != nullptr; }
};
/// Opens the trace at options.at.
Look look_into(const LookOptions& options, session::Brancher brancher = {});
/// Records branches that nobody steers: no input but fresh entropy, a billion instructions at the most.
[[nodiscard]] session::Brancher quiet_brancher(const std::string& engine);

}  // namespace hindsight::debugger::cli
