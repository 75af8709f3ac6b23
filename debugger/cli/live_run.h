// What commands that run a live machine share: running it into a trace with somebody at the terminal, and
// saying how it ended. Called on the main thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "debugger/cli/commands.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/recording.h"

namespace hindsight::debugger::cli {

/// Prints one line and returns `code`.
int complain(ExitCode code, const std::string& message);

/// What became of one run, for whoever decides whether to run again.
struct Outcome {
  int code;                                          ///< the exit code
  std::optional<engine::port::StopReason> reason{};  ///< none: it could not run, or not be recorded
  engine::port::Instant end{};
  Icount first{};  ///< where it began
  double seconds = 0;
  bool interactive = false;
};

/// Where a run ended.
struct Ending {
  engine::port::StopReason reason;
  engine::port::Instant at;
  std::string where;  ///< Machine::describe()
};

/// What a guest's end means for the exit code, with one line for people where it is not the usual one.
int report_end(const Ending& ending, LiveHost& host);
/// Every register, for --log=cpu:debug.
void log_registers(const BuiltMachine& built);
/// Tells somebody at a terminal what it takes to get out.
void greet(const LiveHost& host, const std::string& what);
/// Ends a run in order; set while there is one. The run loop's thread.
using Quitter = std::function<void()>;
/// Runs the machine to its end.
Outcome record_to_end(LiveRecording& recording, LiveHost& host, const std::string& trace, Icount stop_at,
                      Quitter& quit);
/// What was recorded, and what can be done with it.
void report_recording(const std::string& trace, const Outcome& outcome);

}  // namespace hindsight::debugger::cli
