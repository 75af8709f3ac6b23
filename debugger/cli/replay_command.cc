#include "debugger/cli/replay_command.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "debugger/cli/console_echo.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/host_file.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/cli/trace_exec.h"
#include "replay/snapshot/beginning.h"
#include "traces/store/trace_writer.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Instant;
namespace store = traces::store;

Played failed(const std::string& path, const Error& failure) {
  std::string why = failure.message;
  // Places in the file are used again while it grows.
  if (store::is_being_written(path)) why += "; another program is writing it: wait until it has finished";
  return {kBadInput, why, false, {}, {}};
}

Played outcome_of(const store::TraceReader& trace, const replay::play::ReplayResult& result, double seconds,
                  const BuiltMachine& built) {
  if (result.divergence) return {kFailed, result.divergence->describe(), false, result, built.registers()};
  const std::uint64_t count = result.end.icount - trace.first().icount;
  std::string line = fmt::format(
      "{} instructions replayed in {}, {}", grouped(count), pace(count, seconds),
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
  return {kOk, line, false, result, {}};
}

/// Lets others reach a machine while it is in scope.
class Shown final {
 public:
  Shown(const PlayHooks& hooks, engine::port::Machine& machine) : hooks_(hooks) {
    if (hooks_.running) hooks_.running(&machine);
  }
  ~Shown() {
    if (hooks_.running) hooks_.running(nullptr);
  }
  Shown(const Shown&) = delete;
  Shown& operator=(const Shown&) = delete;

 private:
  const PlayHooks& hooks_;
};

}  // namespace

Played play_trace(const std::string& path, const ReplayCommandOptions& options, const PlayHooks& hooks) {
  auto trace = store::TraceReader::open(path);
  if (!trace) return failed(path, trace.failure());
  replay::play::Player player(**trace);
  player.echo_to(hooks.echo);
  auto built = build_replay_machine(**trace, options.engine, player);
  if (!built) return failed(path, built.failure());
  engine::port::Machine& machine = (*built)->machine();
  const Shown shown(hooks, machine);
  replay::play::ReplayOptions replaying;
  const auto traced = parse_range(options.trace_exec);
  const Icount first = (*trace)->first().icount;
  if (traced && traced->from < first) {
    return failed(
        path, error("{}: a range within the trace expected, which begins at icount {}", path, first.value));
  }
  if (const Status stands = replay::snapshot::go_to_beginning(machine, player, **trace); !stands)
    return failed(path, stands.failure());
  replaying.stop_at = traced ? traced->from : Icount(options.stop_at);
  replaying.check_interval = options.verify_every;
  replaying.progress = [&](Instant now) {
    if (hooks.progress)
      hooks.progress(now.icount, std::min(replaying.stop_at, (*trace)->progress().at.icount));
  };
  const auto start = std::chrono::steady_clock::now();
  const auto result = replay::play::replay_machine(machine, player, **trace, replaying);
  if (!result) return failed(path, result.failure());
  if (traced && result->stopped_early && !result->divergence) {
    // Beyond the last digest compared; what the border asks and gets is still checked.
    player.on_stop([&machine] { machine.request_stop(); });
    trace_execution(**built, *traced, [&] { return !player.divergence() && !player.damage(); });
    if (player.damage()) return failed(path, *player.damage());
    if (player.divergence()) return {kFailed, player.divergence()->describe(), false, {}, {}};
    return {kOk, fmt::format("stopped at icount {}", grouped(machine.now().icount.value)), false, {}, {}};
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  Played outcome = outcome_of(**trace, *result, took.count(), **built);
  outcome.interrupted =
      !result->divergence && result->stopped_early && result->end.icount < replaying.stop_at;
  return outcome;
}

int replay_command(const ReplayCommandOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  ConsoleEcho echo;
  std::optional<StopSignals> signals;
  std::optional<Progress> progress;
  PlayHooks hooks;
  hooks.echo = &echo;
  hooks.running = [&](engine::port::Machine* machine) {
    signals.reset();
    progress.reset();
    if (machine != nullptr) signals.emplace(*machine);
  };
  hooks.progress = [&](Icount now, Icount total) {
    if (!progress) progress.emplace(base_name(options.traces.front()), total, true, now);
    progress->update(now);
  };
  const Played played = play_trace(options.traces.front(), options, hooks);
  echo.finish();
  fmt::print(stderr, "hindsight: {}\n", played.line);
  if (!played.registers.empty()) fmt::print(stderr, "{}\n", played.registers);
  if (const auto failure = echo.failure(); failure && played.code == kOk) {
    fmt::print(stderr, "hindsight: {}\n", *failure);
    return kBadInput;
  }
  return played.code;
}

}  // namespace hindsight::debugger::cli
