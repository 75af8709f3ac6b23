#include "debugger/cli/record_window.h"

#include <chrono>

#include "debugger/cli/debug_command.h"
#include "debugger/cli/recorded_machine.h"

namespace hindsight::debugger::cli {

Outcome record_in_window(LiveRecording& recording, LiveHost& host, const RunOptions& options, Quitter& quit) {
  engine::port::Machine& machine = recording.built().machine();
  const Icount first = machine.now().icount;
  RecordedMachine recorded(recording, options.trace, options.engine);
  const auto start = std::chrono::steady_clock::now();
  Status shown = Done{};
  {
    const auto session = session::make_live_session(recorded);
    // The terminal's way out stops the machine; its recording ends with the window.
    quit = [&] { session->interrupt(); };
    greet(host, "recording to " + options.trace);
    shown = show_window(*session, *options.window, options.trace, recorded.analyst(), true);
    quit = {};
  }
  const auto result = recorded.finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  host.restore_terminal();
  if (!result) return {complain(kBadInput, result.failure().message)};
  if (!shown) return {complain(kBadInput, shown.failure().message)};
  log_registers(recording.built());
  const int code = report_end({result->reason, result->end, machine.describe()}, host);
  return {code, result->reason, result->end, first, took.count(), true};
}

}  // namespace hindsight::debugger::cli
