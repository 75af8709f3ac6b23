#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "debugger/cli/commands.h"
#include "debugger/cli/console_watch.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/cli/trace_exec.h"
#include "engine/base/log.h"
#include "replay/record/record.h"
#include "replay/snapshot/recording_snapshots.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::StopReason;
namespace store = traces::store;

int complain(ExitCode code, const std::string& message) {
  fmt::print(stderr, "hindsight: {}\n", message);
  return code;
}

Result<store::Bytes> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return error("{}: is a directory", path);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return error("{}: cannot open: {}", path, std::strerror(errno));
  const std::streamoff size = in.tellg();
  if (size < 0) return error("{}: cannot tell its size", path);
  store::Bytes contents(static_cast<std::size_t>(size));
  in.seekg(0);
  if (!in.read(reinterpret_cast<char*>(contents.data()), size)) return error("{}: cannot read", path);
  return contents;
}

/// What became of one run, for whoever decides whether to run again.
struct Outcome {
  int code;                            ///< the exit code
  std::optional<StopReason> reason{};  ///< none: it could not run, or not be recorded
  engine::port::Instant end{};
  double seconds = 0;
  bool interactive = false;
};

/// Where a run ended.
struct Ending {
  StopReason reason;
  engine::port::Instant at;
  std::string where;  ///< Machine::describe()
};

/// What a guest's end means for the exit code, with one line for people where it is not the usual one.
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

/// Every register, for --log=cpu:debug.
void log_registers(const BuiltMachine& built) {
  if (log::enabled("cpu", log::Level::debug)) log::debug("cpu", "\n{}", built.registers());
}

/// Tells somebody at a terminal what it takes to get out.
void greet(const LiveHost& host, const std::string& what) {
  if (host.interactive()) fmt::print(stderr, "hindsight: {}; Ctrl-A x quits, Ctrl-A h helps\n", what);
}

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

/// Where a file lay is nobody's business in a trace that travels.
std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

/// A trace may be replaced, anything else may not.
Status make_room(const RunOptions& options) {
  std::error_code ignored;
  if (!std::filesystem::exists(options.trace, ignored)) return Done{};
  if (!options.force) return error("{}: the file exists; --force replaces a trace", options.trace);
  if (const auto old = store::LmdbFile::open(options.trace); !old) {
    return error("{}: --force replaces only a trace", options.trace);
  }
  if (::unlink(options.trace.c_str()) != 0) return error("{}: {}", options.trace, std::strerror(errno));
  return Done{};
}

int just_run(const RunOptions& options, LiveHost& host, const BootFiles& files,
             engine::port::Machine*& running) {
  auto built = build_machine(config_of(options, host), files, options.engine, host.source(), host.sink());
  if (!built) return complain(kBadInput, built.failure().message);
  engine::port::Machine& machine = (*built)->machine();
  running = &machine;
  greet(host, "running");
  const StopSignals signals(machine);
  const auto traced = parse_range(options.trace_exec);
  const StopReason reason =
      traced ? trace_execution(**built, *traced, [] { return true; }) : machine.run(Icount(options.stop_at));
  host.restore_terminal();
  log_registers(**built);
  return report_end({reason, machine.now(), machine.describe()}, host);
}

/// What was recorded, and what can be done with it.
void report_recording(const RunOptions& options, const Outcome& outcome) {
  const auto trace = store::TraceReader::open(options.trace);
  if (!trace) return;  // what went wrong is said elsewhere
  std::error_code ignored;
  const std::uint64_t count = outcome.end.icount.value;
  // With somebody typing, the time is his, and tells nothing about the machine.
  const std::string time =
      outcome.interactive ? fmt::format("{:.0f} s", outcome.seconds) : pace(count, outcome.seconds);
  fmt::print(stderr,
             "hindsight: recorded {} instructions in {}, {}, {}\nhindsight: next: hindsight replay {}\n",
             grouped(count), time, counted((*trace)->progress().events, "event"),
             bytes_text(std::filesystem::file_size(options.trace, ignored)), options.trace);
}

/// Snapshots, and how long each made the machine wait (--log=snapshot:info).
class TimedSnapshots final : public replay::record::SnapshotTaker {
 public:
  TimedSnapshots(engine::port::Machine& machine, const replay::record::Recorder& recorder,
                 store::TraceWriter& writer)
      : snapshots_(machine, recorder, writer) {}

  void take() override {
    const auto start = std::chrono::steady_clock::now();
    snapshots_.take();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    waits_.push_back(took.count());
  }
  void finish() override {
    snapshots_.finish();
    if (waits_.empty()) return;
    std::sort(waits_.begin(), waits_.end());
    const auto share = [&](double part) {
      return waits_[static_cast<std::size_t>(part * static_cast<double>(waits_.size() - 1))];
    };
    log::info("snapshot", "{} taken, {} left out; pauses in us: p50 {:.0f}, p99 {:.0f}, most {:.0f}",
              snapshots_.taken(), snapshots_.left_out(), share(0.5), share(0.99), waits_.back());
  }

 private:
  replay::snapshot::RecordingSnapshots snapshots_;
  std::vector<double> waits_;
};

Outcome record_run(const RunOptions& options, LiveHost& host, const BootFiles& files, ConsoleWatch& watch,
                   engine::port::Machine*& running) {
  auto writer = store::TraceWriter::create(options.trace);
  if (!writer) return {complain(kBadInput, writer.failure().message)};
  const auto give_up = [&](const std::string& message) {
    host.restore_terminal();
    writer->reset();
    ::unlink(options.trace.c_str());
    return Outcome{complain(kBadInput, message)};
  };
  store::MachineConfig config = config_of(options, host);
  config.kernel = (*writer)->lend_blob(base_name(options.kernel), files.kernel);
  config.initrd = (*writer)->lend_blob(base_name(options.initrd), files.initrd);
  replay::record::Recorder recorder(host.source(), watch, **writer);
  auto built = build_machine(config, files, options.engine, recorder, recorder);
  if (!built) return give_up(built.failure().message);
  (*writer)->begin_soon(config);
  engine::port::Machine& machine = (*built)->machine();
  running = &machine;
  greet(host, "recording to " + options.trace);
  const StopSignals signals(machine);
  Progress progress("recording", Icount(options.stop_at), true);
  replay::record::RecordOptions recording;
  recording.stop_at = Icount(options.stop_at);
  recording.digest_interval = config.digest_interval;
  recording.full_state_interval = config.full_state_interval;
  recording.progress = [&](engine::port::Instant now) { progress.update(now.icount); };
  std::optional<TimedSnapshots> snapshots;
  if (options.snapshot_every != 0) snapshots.emplace(machine, recorder, **writer);
  recording.snapshot_interval = options.snapshot_every;
  recording.snapshots = snapshots ? &*snapshots : nullptr;
  const auto start = std::chrono::steady_clock::now();
  const auto result = replay::record::record_machine(machine, recorder, **writer, recording);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  progress.clear();
  host.restore_terminal();
  if (!result && !(*writer)->begun()) return give_up(result.failure().message);
  if (!result) {
    return {complain(kBadInput, result.failure().message + "; the trace is usable up to its last commit")};
  }
  log_registers(**built);
  const int code = report_end({result->reason, result->end, machine.describe()}, host);
  return {code, result->reason, result->end, took.count(), host.interactive()};
}

/// Opens the live host anew and runs or records once.
Outcome run_once(const RunOptions& options, const BootFiles& files, ConsoleWatch& watch) {
  engine::port::Machine* running = nullptr;
  LiveOptions live{options.disk, options.net, options.script, options.input, options.seed, [&running] {
                     if (running != nullptr) running->request_stop();
                   }};
  auto host = open_live_host(live);
  if (!host) return {complain(kBadInput, host.failure().message)};
  watch.show_on((*host)->sink());
  return options.trace.empty() ? Outcome{just_run(options, **host, files, running)}
                               : record_run(options, **host, files, watch, running);
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
      report_recording(options, outcome);
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
    if (const Status room = make_room(options); !room) return complain(kBadInput, room.failure().message);
  }
  if (options.until_fail != 0) return record_until_failure(options, files);
  ConsoleWatch nothing{""};
  const Outcome outcome = run_once(options, files, nothing);
  if (outcome.reason && !options.trace.empty()) report_recording(options, outcome);
  return outcome.code;
}

}  // namespace hindsight::debugger::cli
