#include "debugger/cli/record_gdb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "debugger/cli/recorded_machine.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/gdb/server.h"

namespace hindsight::debugger::cli {

Outcome record_under_gdb(LiveRecording& recording, LiveHost& host, const RunOptions& options, Quitter& quit) {
  engine::port::Machine& machine = recording.built().machine();
  const Icount first = machine.now().icount;
  RecordedMachine recorded(recording, options.trace, options.engine);
  const auto session = session::make_live_session(recorded);
  const auto give_up = [&](const Error& failure) -> Outcome {
    host.restore_terminal();
    return {complain(kBadInput, failure.message)};
  };

  gdb::ServeOptions serve;
  serve.listen = options.gdb;
  serve.live = true;
  serve.program_file = [&] { return session->symbol_file(); };
  const auto server = gdb::Server::open(*session, serve);
  if (!server) {
    // Of a machine that has not begun nothing is kept.
    if (recorded.finish()) ::unlink(options.trace.c_str());
    return give_up(server.failure());
  }
  quit = [&] { (*server)->stop(); };
  std::optional<StopSignals> signals(std::in_place, **server);
  greet(host, "recording to " + options.trace);
  fmt::print(stderr, "hindsight: the machine waits for gdb: target remote {}\n", (*server)->address());
  const auto start = std::chrono::steady_clock::now();
  const Status served = (*server)->run();
  signals.reset();
  quit = {};
  const auto result = recorded.finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!result) return give_up(result.failure());
  if (!served) return give_up(served.failure());
  host.restore_terminal();
  log_registers(recording.built());
  const int code = report_end({result->reason, result->end, machine.describe()}, host);
  // The time is the debugger's user's, as it is with somebody at the terminal.
  return {code, result->reason, result->end, first, took.count(), true};
}

}  // namespace hindsight::debugger::cli
