#include <fmt/format.h>
#include <signal.h>

#include <chrono>

#include "debugger/cli/commands.h"
#include "debugger/cli/console_echo.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/cli/trace_exec.h"
#include "replay/play/replay.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Instant;
namespace store = traces::store;

struct Outcome {
  int code;
  std::string line;
  bool interrupted = false;  ///< by the user, before its end
};

Outcome outcome_of(const store::TraceReader& trace, const replay::play::ReplayResult& result, double seconds,
                   const BuiltMachine& built) {
  if (result.divergence) {
    return {kFailed, fmt::format("{}\n{}", result.divergence->describe(), built.registers())};
  }
  std::string line = fmt::format(
      "{} instructions replayed in {}, {}", grouped(result.end.icount.value),
      pace(result.end.icount.value, seconds),
      result.digests_checked == 1 ? "1 digest agrees" : grouped(result.digests_checked) + " digests agree");
  if (result.stopped_early) {
    line += fmt::format("; stopped at icount {}", result.end.icount.value);
  } else if (result.recorder_interrupted) {
    line += fmt::format("; trace ends at icount {}: the recorder was interrupted", result.end.icount.value);
  } else if (trace.end()->reason == store::EndReason::interrupted) {
    line += "; ends where the recording was stopped";
  } else {
    line += fmt::format("; ends with {}", store::name_of(trace.end()->reason));
  }
  return {kOk, line};
}

Outcome play(const std::string& path, const ReplayCommandOptions& options, engine::port::OutputSink* echo) {
  auto trace = store::TraceReader::open(path);
  if (!trace) return {kBadInput, trace.failure().message};
  replay::play::Player player(**trace);
  player.echo_to(echo);
  auto built = build_replay_machine(**trace, options.engine, player);
  if (!built) return {kBadInput, built.failure().message};
  engine::port::Machine& machine = (*built)->machine();
  const StopSignals signals(machine);
  Progress progress(path, (*trace)->progress().at.icount, echo != nullptr);
  replay::play::ReplayOptions replaying;
  const auto traced = parse_range(options.trace_exec);
  replaying.stop_at = traced ? traced->from : Icount(options.stop_at);
  replaying.check_interval = options.verify_every;
  replaying.progress = [&](Instant now) { progress.update(now.icount); };
  const auto start = std::chrono::steady_clock::now();
  const auto result = replay::play::replay_machine(machine, player, **trace, replaying);
  if (!result) return {kBadInput, result.failure().message};
  if (traced && result->stopped_early && !result->divergence) {
    // Beyond the last digest compared; what the border asks and gets is still checked.
    player.on_stop([&machine] { machine.request_stop(); });
    trace_execution(**built, *traced, [&] { return !player.divergence() && !player.damage(); });
    if (player.damage()) return {kBadInput, player.damage()->message};
    if (player.divergence()) return {kFailed, player.divergence()->describe()};
    return {kOk, fmt::format("stopped at icount {}", grouped(machine.now().icount.value))};
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  Outcome outcome = outcome_of(**trace, *result, took.count(), **built);
  outcome.interrupted =
      !result->divergence && result->stopped_early && result->end.icount < replaying.stop_at;
  return outcome;
}

}  // namespace

int replay_command(const ReplayCommandOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  ConsoleEcho echo;
  const Outcome outcome = play(options.traces.front(), options, &echo);
  echo.finish();
  fmt::print(stderr, "hindsight: {}\n", outcome.line);
  return outcome.code;
}

int verify_command(const ReplayCommandOptions& options) {
  int code = kOk;
  for (const std::string& path : options.traces) {
    const Outcome outcome = play(path, options, nullptr);
    if (outcome.interrupted) {
      fmt::print("{}: INTERRUPTED: {}\n", path, outcome.line);
      return std::max<int>(code, kFailed);
    }
    const char* word = outcome.code == kOk ? "ok" : outcome.code == kFailed ? "DIVERGED" : "BAD";
    fmt::print("{}: {}: {}\n", path, word, outcome.line);
    std::fflush(stdout);
    code = std::max(code, outcome.code);
  }
  return code;
}

}  // namespace hindsight::debugger::cli
