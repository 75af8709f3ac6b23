#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "debugger/cli/console_echo.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/host_file.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/recording.h"
#include "debugger/cli/stop_signals.h"
#include "replay/play/replay.h"
#include "replay/rerun/rerun_source.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::StopReason;
using replay::rerun::CueListener;
using replay::rerun::RerunSource;
namespace store = traces::store;

/// What a rerun may take, unless --stop-at says otherwise: so many times the recording's length, and so many
/// instructions more.
constexpr std::uint64_t kTimes = 4, kMore = 2'000'000'000;

using Cues = std::array<std::vector<replay::rerun::Cue>, replay::rerun::kSides>;

/// Replays the recording to learn what its inputs waited for.
/// `code` says of an Error whether it is one of the file or of the replay.
Result<Cues> learn_cues(store::TraceReader& trace, const std::string& engine, ExitCode& code) {
  code = kBadInput;
  auto listener = CueListener::create(trace);
  if (!listener) return listener.failure();
  replay::play::Player player(trace);
  player.echo_to(&*listener);
  auto built = build_replay_machine(trace, engine, player);
  if (!built) return built.failure();
  const StopSignals signals((*built)->machine());
  Progress progress(trace.path(), trace.progress().at.icount, true);
  replay::play::ReplayOptions options;
  options.check_states = false;
  options.progress = [&](engine::port::Instant now) { progress.update(now.icount); };
  const auto result = replay::play::replay_machine((*built)->machine(), player, trace, options);
  if (!result) return result.failure();
  code = kFailed;
  if (result->divergence)
    return error("{}: the trace must replay: {}", trace.path(), result->divergence->describe());
  if (result->stopped_early) return error("{}: interrupted", trace.path());
  return listener->finish();
}

Result<BootFiles> files_for(const RerunOptions& options, store::TraceReader& trace) {
  auto files = boot_files_of(trace);
  if (!files) return files;
  if (!options.run.kernel.empty()) {
    auto kernel = read_file(options.run.kernel);
    if (!kernel) return kernel.failure();
    files->kernel = std::move(*kernel);
    files->kernel_path = options.run.kernel;
  }
  if (!options.run.initrd.empty()) {
    auto initrd = read_file(options.run.initrd);
    if (!initrd) return initrd.failure();
    files->initrd = std::move(*initrd);
  }
  return files;
}

Result<RecordingPlan> plan_for(const RerunOptions& options, store::TraceReader& trace,
                               const BootFiles& files) {
  const auto identity = trace.identity();
  if (!identity) return identity.failure();
  RecordingPlan plan{options.run.trace, trace.config(), &files, options.run.engine};
  if (!options.run.kernel.empty()) plan.config.kernel.name = base_name(options.run.kernel);
  if (!options.run.initrd.empty()) plan.config.initrd.name = base_name(options.run.initrd);
  if (options.command_line) plan.config.command_line = *options.command_line;
  plan.config.build = "hindsight " HINDSIGHT_VERSION;
  plan.config.rerun_of = {*identity, base_name(options.trace), {}, 0};
  if (options.run.digest_every != 0) {
    plan.config.digest_interval = options.run.digest_every;
    plan.config.full_state_interval = std::max<std::uint64_t>(options.run.digest_every, 50'000'000);
  }
  const std::uint64_t recorded = trace.progress().at.icount.value;
  const bool said = options.run.stop_at != ~std::uint64_t{0};
  const bool fits = recorded < (plan.stop_at.value - kMore) / kTimes;
  plan.stop_at = said || !fits ? Icount(options.run.stop_at) : Icount(recorded * kTimes + kMore);
  plan.snapshot_every = options.run.snapshot_every;
  return plan;
}

std::string end_text(store::EndReason reason, Icount at) {
  return fmt::format("{} at icount {}", store::name_of(reason), grouped(at.value));
}

void report_strays(const RerunSource::Strays& strays) {
  const auto say = [](std::uint64_t count, const char* what, const char* of) {
    if (count != 0) fmt::print(stderr, "hindsight: {} {}\n", counted(count, what), of);
  };
  say(strays.uncued_inputs, "input", "came without what it waited for in the recording");
  say(strays.left_inputs, "input", "of the recording did not come");
  say(strays.entropy_bytes, "byte", "of entropy beyond the recorded ones came from a generator");
  say(strays.unread_sectors, "sector", "of the disk read that the recording never read, as zeros");
}

/// What became of it, beside what became of the recording.
int report(const store::TraceReader& trace, const RecordingPlan& plan, const RerunOptions& options,
           const replay::record::RecordResult& result) {
  const auto reason = static_cast<store::EndReason>(result.reason);
  const std::string before = trace.end() ? end_text(trace.end()->reason, trace.end()->at.icount)
                                         : fmt::format("recorder interrupted at icount {}",
                                                       grouped(trace.progress().at.icount.value));
  fmt::print(stderr, "hindsight: the recording: {}\nhindsight: the rerun:     {}\n", before,
             end_text(reason, result.end.icount));
  if (result.reason == StopReason::reached && options.run.stop_at == ~std::uint64_t{0}) {
    return complain(kFailed, fmt::format("the guest did not end within {} instructions (see --stop-at)",
                                         grouped(plan.stop_at.value)));
  }
  return result.reason == StopReason::triple_fault || result.reason == StopReason::idle_forever ? kFailed
                                                                                                : kOk;
}

int rerun(const RerunOptions& options, store::TraceReader& trace, Cues cues) {
  const auto files = files_for(options, trace);
  if (!files) return complain(kBadInput, files.failure().message);
  if (const Status room = make_room(options.run.trace, options.run.force); !room)
    return complain(kBadInput, room.failure().message);
  ConsoleEcho echo;
  auto source = RerunSource::create(trace, std::move(cues), echo);
  if (!source) return complain(kBadInput, source.failure().message);
  const auto plan = plan_for(options, trace, *files);
  if (!plan) return complain(kBadInput, plan.failure().message);
  const auto recording = open_recording(*plan, **source, **source);
  if (!recording) return complain(kBadInput, recording.failure().message);
  engine::port::Machine& machine = (*recording)->built().machine();
  (*source)->on_end([&machine] { machine.request_stop(); });
  const StopSignals signals(machine);
  Progress progress("recording", plan->stop_at, true);
  const auto start = std::chrono::steady_clock::now();
  const auto result = (*recording)->run([&](engine::port::Instant now) { progress.update(now.icount); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  progress.clear();
  echo.finish();
  if (!result) return complain(kBadInput, result.failure().message);
  log_registers((*recording)->built());
  report_strays((*source)->strays());
  const int code = report(trace, *plan, options, *result);
  report_recording(options.run.trace, {code, result->reason, result->end, {}, took.count(), false});
  return code;
}

}  // namespace

int rerun_command(const RerunOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  auto trace = store::TraceReader::open(options.trace);
  if (!trace) return complain(kBadInput, trace.failure().message);
  std::error_code ignored;
  if (std::filesystem::equivalent(options.run.trace, options.trace, ignored))
    return complain(kBadInput, options.run.trace + ": a rerun is a trace of its own, beside the first");
  if ((*trace)->config().parent)
    return complain(kBadInput, options.trace +
                                   ": a recording from power-on expected, found a branch, whose "
                                   "machine would need its parent's inputs as well");
  ExitCode code = kOk;
  auto cues = learn_cues(**trace, options.run.engine, code);
  if (!cues) return complain(code, cues.failure().message);
  return rerun(options, **trace, std::move(*cues));
}

}  // namespace hindsight::debugger::cli
