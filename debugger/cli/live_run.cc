#include "debugger/cli/live_run.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/stop_signals.h"
#include "engine/base/log.h"

namespace hindsight::debugger::cli {

using engine::port::StopReason;
namespace store = traces::store;

int complain(ExitCode code, const std::string& message) {
  fmt::print(stderr, "hindsight: {}\n", message);
  return code;
}

int report_end(const Ending& ending, LiveHost& host) {
  if (const auto failure = host.host_failure()) return complain(kBadInput, *failure);
  const std::string at = fmt::format("icount {}", ending.at.icount.value);
  if (const auto script = host.unfinished_script()) {
    return complain(kFailed, fmt::format("the guest ended at {} before the script did: {}", at, *script));
  }
  switch (ending.reason) {
    case StopReason::power_off:
    case StopReason::reached:
    case StopReason::observed:
      return kOk;
    case StopReason::reset:
      return complain(kOk, "the guest asked for a reset at " + at);
    case StopReason::interrupted:
      return complain(kOk, "stopped at " + at);
    case StopReason::idle_forever:
      return complain(kFailed,
                      "the guest waits for ever at " + at + ": halted, no timer armed, no input to come");
    case StopReason::triple_fault:
      return complain(kFailed, fmt::format("the guest's CPU shut down at {} ({})", at, ending.where));
  }
  return kFailed;
}

void log_registers(const BuiltMachine& built) {
  if (log::enabled("cpu", log::Level::debug)) log::debug("cpu", "\n{}", built.registers());
}

void greet(const LiveHost& host, const std::string& what) {
  if (host.interactive()) fmt::print(stderr, "hindsight: {}; Ctrl-A x quits, Ctrl-A h helps\n", what);
}

Outcome record_to_end(LiveRecording& recording, LiveHost& host, const std::string& trace, Icount stop_at,
                      Quitter& quit) {
  engine::port::Machine& machine = recording.built().machine();
  quit = [&machine] { machine.request_stop(); };
  greet(host, "recording to " + trace);
  const StopSignals signals(machine);
  const Icount first = machine.now().icount;
  Progress progress("recording", stop_at, true, first);
  const auto start = std::chrono::steady_clock::now();
  const auto result = recording.run([&](engine::port::Instant now) { progress.update(now.icount); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  progress.clear();
  host.restore_terminal();
  if (!result) return {complain(kBadInput, result.failure().message)};
  log_registers(recording.built());
  const int code = report_end({result->reason, result->end, machine.describe()}, host);
  return {code, result->reason, result->end, first, took.count(), host.interactive()};
}

void report_recording(const std::string& path, const Outcome& outcome) {
  const auto trace = store::TraceReader::open(path);
  if (!trace) return;  // what went wrong is said elsewhere
  std::error_code ignored;
  const std::uint64_t count = outcome.end.icount - outcome.first;
  // With somebody typing, the time is his, and tells nothing about the machine.
  const std::string time =
      outcome.interactive ? fmt::format("{:.0f} s", outcome.seconds) : pace(count, outcome.seconds);
  fmt::print(stderr,
             "hindsight: recorded {} instructions in {}, {}, {}\nhindsight: next: hindsight replay {}\n",
             grouped(count), time, counted((*trace)->progress().events, "event"),
             bytes_text(std::filesystem::file_size(path, ignored)), path);
}

}  // namespace hindsight::debugger::cli
