#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "debugger/cli/commands.h"
#include "debugger/cli/console_watch.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/host_file.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/record_gdb.h"
#include "debugger/cli/record_window.h"
#include "debugger/cli/recording.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/cli/trace_exec.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::StopReason;
namespace store = traces::store;

store::MachineConfig config_of(const RunOptions& options, const LiveHost& host) {
  store::MachineConfig config;
  config.ram_bytes = options.memory;
  config.cpu_model = cpu_model();
  config.cpu_features = cpu_features();
  config.time_rate = static_cast<std::uint64_t>(std::llround(options.nanoseconds_per_instruction * 65536));
  config.command_line = options.command_line;
  config.disk_bytes = host.disk_bytes();
  config.net = options.net == "user" ? store::NetMode::user : store::NetMode::none;
  config.digest_interval = options.digest_every;
  config.full_state_interval = std::max<std::uint64_t>(options.digest_every, 50'000'000);
  config.build = "hindsight " HINDSIGHT_VERSION;
  config.seed = options.seed.value_or(0);
  config.has_console = true;
  config.has_entropy = true;
  config.channels = {1, 2, 5, 6};
  if (config.net != store::NetMode::none) config.channels.push_back(3);
  if (config.disk_bytes != 0) config.channels.push_back(4);
  return config;
}

int just_run(const RunOptions& options, LiveHost& host, const BootFiles& files, Quitter& quit) {
  auto built = build_machine(config_of(options, host), &files, options.engine, host.source(), host.sink());
  if (!built) return complain(kBadInput, built.failure().message);
  engine::port::Machine& machine = (*built)->machine();
  quit = [&machine] { machine.request_stop(); };
  greet(host, "running");
  const StopSignals signals(machine);
  const auto traced = parse_range(options.trace_exec);
  const StopReason reason =
      traced ? trace_execution(**built, *traced, [] { return true; }) : machine.run(Icount(options.stop_at));
  host.restore_terminal();
  log_registers(**built);
  return report_end({reason, machine.now(), machine.describe()}, host);
}

Outcome record_run(const RunOptions& options, LiveHost& host, const BootFiles& files, ConsoleWatch& watch,
                   Quitter& quit) {
  RecordingPlan plan{options.trace, config_of(options, host), &files, options.engine};
  plan.config.kernel.name = base_name(options.kernel);
  plan.config.initrd.name = base_name(options.initrd);
  plan.stop_at = Icount(options.stop_at);
  plan.snapshot_every = options.snapshot_every;
  auto recording = open_recording(std::move(plan), host.source(), watch);
  if (!recording) {
    host.restore_terminal();
    return {complain(kBadInput, recording.failure().message)};
  }
  if (options.window != nullptr) return record_in_window(**recording, host, options, quit);
  if (!options.gdb.empty()) return record_under_gdb(**recording, host, options, quit);
  return record_to_end(**recording, host, options.trace, Icount(options.stop_at), quit);
}

/// Opens the live host anew and runs or records once.
Outcome run_once(const RunOptions& options, const BootFiles& files, ConsoleWatch& watch) {
  Quitter quit;
  LiveOptions live{options.disk, options.net, options.script, options.input, options.seed, [&quit] {
                     if (quit) quit();
                   }};
  auto host = open_live_host(live);
  if (!host) return {complain(kBadInput, host.failure().message)};
  watch.show_on((*host)->sink());
  return options.trace.empty() ? Outcome{just_run(options, **host, files, quit)}
                               : record_run(options, **host, files, watch, quit);
}

/// Whether a run is one that the user waits for. A reset is how a guest ends that was told to reboot after a
/// panic.
bool has_failed(const Outcome& outcome, const ConsoleWatch& watch) {
  return outcome.code == kFailed || outcome.reason == StopReason::reset || watch.seen();
}

/// Records until the guest fails, at most options.until_fail times, and keeps the last trace only.
int record_until_failure(RunOptions options, const BootFiles& files) {
  for (unsigned attempt = 1;; ++attempt) {
    fmt::print(stderr, "hindsight: attempt {} of {}{}\n", attempt, options.until_fail,
               options.seed ? fmt::format(", seed {}", *options.seed) : "");
    ConsoleWatch watch(options.fail_on);
    const Outcome outcome = run_once(options, files, watch);
    if (!outcome.reason || outcome.code == kBadInput) return outcome.code;
    const bool failed = has_failed(outcome, watch);
    if (failed || outcome.reason == StopReason::interrupted) {
      if (failed) fmt::print(stderr, "hindsight: the guest failed in attempt {}, which is kept\n", attempt);
      report_recording(options.trace, outcome);
      return failed ? kOk : outcome.code;
    }
    if (::unlink(options.trace.c_str()) != 0) {
      return complain(kBadInput, fmt::format("{}: {}", options.trace, std::strerror(errno)));
    }
    if (attempt == options.until_fail) {
      return complain(kFailed, fmt::format("the guest did not fail in {}, and no trace is kept",
                                           counted(attempt, "attempt")));
    }
    if (options.seed) ++*options.seed;
  }
}

}  // namespace

int run_command(const RunOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  BootFiles files;
  const Result<store::Bytes> kernel = read_file(options.kernel);
  if (!kernel) return complain(kBadInput, kernel.failure().message);
  files.kernel = *kernel;
  files.kernel_path = options.kernel;
  if (!options.initrd.empty()) {
    const Result<store::Bytes> initrd = read_file(options.initrd);
    if (!initrd) return complain(kBadInput, initrd.failure().message);
    files.initrd = *initrd;
  }
  if (!options.trace.empty()) {
    // Before the terminal is taken over.
    if (const Status room = make_room(options.trace, options.force); !room)
      return complain(kBadInput, room.failure().message);
  }
  if (options.until_fail != 0) return record_until_failure(options, files);
  ConsoleWatch nothing{""};
  const Outcome outcome = run_once(options, files, nothing);
  if (outcome.reason && !options.trace.empty()) report_recording(options.trace, outcome);
  return outcome.code;
}

}  // namespace hindsight::debugger::cli
