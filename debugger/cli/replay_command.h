// Playing one trace with all checks: what `replay` and `verify` share. Any thread; each call has its own
// machine.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "debugger/cli/commands.h"
#include "engine/port/machine.h"
#include "replay/play/replay.h"

namespace hindsight::debugger::cli {

/// What whoever plays a trace is told on the way, on the calling thread; each may be empty.
struct PlayHooks {
  engine::port::OutputSink* echo = nullptr;  ///< where the guest's outputs go as well
  /// The machine that is about to run, and nullptr before it is gone: for whoever may want to stop it.
  std::function<void(engine::port::Machine*)> running;
  std::function<void(Icount now, Icount total)> progress;
};

struct Played {
  int code = kBadInput;
  std::string line;          ///< what came of it; with a divergence what differs first
  bool interrupted = false;  ///< asked to stop before its end
  std::optional<replay::play::ReplayResult> result;  ///< none: the trace is bad, or was traced instead
  std::string registers;                             ///< where it diverged, several lines
};

Played play_trace(const std::string& path, const ReplayCommandOptions& options, const PlayHooks& hooks);

}  // namespace hindsight::debugger::cli
