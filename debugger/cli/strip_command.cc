// A stripped trace is the recording of the same execution with other contents in place of its user's data.
// Which of them can be replaced is found by trying; replay/strip/STRIP.md says how.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "debugger/cli/figures.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/look.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/record_again.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/expect/check.h"
#include "replay/record/output_tally.h"
#include "replay/strip/experiment.h"

namespace hindsight::debugger::cli {
namespace {

namespace store = traces::store;
namespace strip = replay::strip;
using engine::port::Channel;
using strip::Kind;

constexpr std::array<const char*, strip::kKinds> kNames = {"disk", "network", "typed"};

/// The recorded execution, from a replay of its own.
Result<strip::Course> learn(const StripOptions& options, store::TraceReader& trace) {
  replay::play::Player player(trace);
  auto built = build_replay_machine(trace, options.engine, player);
  if (!built) return built.failure();
  const StopSignals signals((*built)->machine());
  Progress progress("replaying", trace.progress().at.icount, false);
  return strip::learn_course((*built)->machine(), player, trace, options.same_console,
                             [&](Icount now) { progress.update(now); });
}

/// Records the machine with what `data` brings now.
Status record(const StripOptions& options, store::TraceReader& trace, const BootFiles& files,
              const strip::UserData& data, const strip::Course& course, const std::string& path,
              ExitCode& code) {
  RecordingPlan plan{path, trace.config(), &files, options.engine};
  plan.config.kernel.name = "kernel";
  if (plan.config.initrd.size != 0) plan.config.initrd.name = "initrd";
  plan.config.rerun_of.reset();
  plan.snapshots_on_request = options.snapshots != "none";
  strip::StandIn border(data, course.goal.stop(), options.same_console);
  const auto recording = open_recording(std::move(plan), border, border);
  if (!recording) return recording.failure();
  engine::port::Machine& machine = (*recording)->built().machine();
  border.on_stop([&machine] { machine.request_stop(); });
  const StopSignals signals(machine);
  const Stretch all{course.goal.icount};
  const auto reason = run_again(**recording, trace, all, options.snapshots);
  border.on_stop({});
  if (!reason) return reason.failure();
  CHECK(!border.parted(), "what was found to hold does not");
  return finish_again(**recording, trace, *reason, all, code);
}

/// The facts that are kept beside the trace, as far as they hold of it.
Result<std::vector<expect::Fact>> facts_of(const StripOptions& options) {
  const std::string file = options.trace + ".expect";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::vector<expect::Fact>{};
  auto facts = expect::load_facts(file);
  if (!facts) return facts;
  const auto results = expect::check_facts(options.trace, *facts, machines(options.engine), {});
  if (!results) return results.failure();
  std::vector<expect::Fact> holding;
  for (std::size_t i = 0; i < results->size(); ++i)
    if ((*results)[i].holds) holding.push_back(std::move((*facts)[i]));
  return holding;
}

/// Whether a replay must tell. The end and all counts are the same anyway.
bool needs_machine(const expect::Fact& fact) {
  return std::holds_alternative<expect::RegisterFact>(fact.what) ||
         std::holds_alternative<expect::MemoryFact>(fact.what);
}

/// Tries until it is known what can be replaced.
class Stripper final {
 public:
  Stripper(const StripOptions& options, store::TraceReader& trace, const BootFiles& files,
           strip::UserData& data, const strip::Course& course, const std::vector<expect::Fact>& facts)
      : options_(options), trace_(trace), files_(files), data_(data), course_(course), facts_(facts) {}

  Result<strip::Findings> find() {
    const std::vector<strip::Piece> pieces = data_.pieces();
    if (pieces.empty()) return strip::Findings{};
    strip::StandIn border(data_, course_.goal.stop(), options_.same_console);
    auto built = build_machine(trace_.config(), &files_, options_.engine, border, border);
    if (!built) return error("{}: {}", trace_.path(), built.failure().message);
    engine::port::Machine& machine = (*built)->machine();
    signals_.emplace(machine);
    const auto accept = [&](const std::vector<std::string>& consoles) -> Result<bool> {
      if (!expect::hold_of_consoles(facts_, consoles)) return false;
      if (std::ranges::none_of(facts_, needs_machine)) return true;
      signals_.reset();  // the recording has its own
      Result<bool> held = hold_of_machine();
      signals_.emplace(machine);
      return held;
    };
    strip::MachineExperiment experiment(machine, border, data_, course_, pieces.front().comes,
                                        pieces.back().comes, accept);
    TrialProgress progress(options_.trials, course_.goal.icount);
    auto found = strip::search(experiment, pieces, {options_.trials, [&](std::uint64_t trial, Icount holds) {
                                                      progress.update(trial, holds);
                                                    }});
    signals_.reset();
    return found;
  }

 private:
  /// Records what is tried now, to ask the facts.
  Result<bool> hold_of_machine() {
    const Scratch tried(options_.output + ".trial");
    ExitCode ignored = kOk;
    if (const Status done = record(options_, trace_, files_, data_, course_, tried.path(), ignored); !done)
      return done.failure();
    if (const Status copied = copy_marks(trace_, tried.path(), {}, Icount::max()); !copied)
      return copied.failure();
    const auto results = expect::check_facts(tried.path(), facts_, machines(options_.engine), {});
    if (!results) return results.failure();
    return std::ranges::all_of(*results, &expect::FactResult::holds);
  }

  const StripOptions& options_;
  store::TraceReader& trace_;
  const BootFiles& files_;
  strip::UserData& data_;
  const strip::Course& course_;
  const std::vector<expect::Fact>& facts_;
  std::optional<StopSignals> signals_;
};

/// What all consoles showed.
Result<std::map<std::uint16_t, store::Bytes>> shown(const std::string& path) {
  const auto trace = store::TraceReader::open(path);
  if (!trace) return trace.failure();
  std::map<std::uint16_t, store::Bytes> text;
  for (std::uint64_t i = 0; i < (*trace)->chunk_count(); ++i) {
    const auto chunk = (*trace)->chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::OutputRun& run : chunk->outputs)
      text[run.channel].insert(text[run.channel].end(), run.bytes.begin(), run.bytes.end());
  }
  return text;
}

/// So that the user can judge it.
void list_stayed(const strip::UserData& data) {
  for (const strip::Stayed& stayed : data.stayed()) {
    std::string text;
    for (const std::byte byte : stayed.bytes.first(std::min<std::size_t>(stayed.bytes.size(), 64))) {
      const char c = static_cast<char>(byte);
      text += c >= 0x20 && c < 0x7f ? c : '.';
    }
    fmt::print("  {} {} {}, byte {}: {}: {}{}\n", kNames[static_cast<std::size_t>(stayed.kind)],
               stayed.kind == Kind::disk ? "sector" : "event", grouped(stayed.place), stayed.offset,
               counted(stayed.bytes.size(), "byte"), text, text.size() < stayed.bytes.size() ? "…" : "");
  }
}

Status report(const StripOptions& options, const strip::UserData& data, const strip::Findings& findings) {
  fmt::print("{}: {}; {}: {}\n", options.trace, file_size_text(options.trace), options.output,
             file_size_text(options.output));
  for (std::size_t kind = 0; kind < strip::kKinds; ++kind) {
    const strip::Tally tally = data.tally(static_cast<Kind>(kind));
    if (tally.came == 0) continue;
    fmt::print("{:<9} {} came: {} replaced, {} stayed, {} were blank\n", kNames[kind],
               counted(tally.came, "byte"), grouped(tally.replaced),
               grouped(tally.came - tally.replaced - tally.blank), grouped(tally.blank));
  }
  const auto before = shown(options.trace), after = shown(options.output);
  if (!before) return before.failure();
  if (!after) return after.failure();
  for (const auto& [channel, text] : *before) {
    const store::Bytes& now = after->at(channel);
    if (text.empty()) continue;
    std::uint64_t other = 0;
    for (std::size_t i = 0; i < text.size(); ++i) other += text[i] != now[i] ? 1 : 0;
    fmt::print("{:<9} {} shown, {} of them other ones now\n",
               replay::play::channel_name(static_cast<Channel>(channel)), counted(text.size(), "byte"),
               grouped(other));
  }
  std::uint64_t entropy = 0;
  for (std::size_t i = 0; i < data.events(); ++i)
    if (static_cast<Channel>(data.event(i).channel) == Channel::entropy) entropy += data.event(i).size;
  fmt::print(
      "kernel, RAM disk, command line and {} of entropy stayed; names of files, marks and notes went\n",
      counted(entropy, "byte"));
  fmt::print("{}{}\n", counted(findings.trials, "trial"),
             findings.out_of_trials ? ": all that were allowed; with more (--trials) more might go" : "");
  if (options.list) list_stayed(data);
  return Done{};
}

Status strip_trace(const StripOptions& options, store::TraceReader& trace, ExitCode& code) {
  code = kBadInput;
  std::array<bool, strip::kKinds> wanted = {options.disk, options.network, options.typed};
  if (wanted == std::array<bool, strip::kKinds>{}) wanted.fill(true);
  auto data = strip::UserData::load(trace, wanted);
  if (!data) return data.failure();
  const auto files = boot_files_of(trace);
  if (!files) return files.failure();
  const auto facts = facts_of(options);
  if (!facts) return facts.failure();
  code = kFailed;
  const auto course = learn(options, trace);
  if (!course) return course.failure();
  const auto findings = Stripper(options, trace, *files, *data, *course, *facts).find();
  if (!findings) return findings.failure();
  data->replace(findings->replaced);
  code = kBadInput;
  const Scratch recorded(options.output + ".stripping");
  if (const Status done = record(options, trace, *files, *data, *course, recorded.path(), code); !done)
    return done;
  if (::rename(recorded.path().c_str(), options.output.c_str()) != 0)
    return error("{}: {}", options.output, std::strerror(errno));
  return report(options, *data, *findings);
}

}  // namespace

int strip_command(const StripOptions& options) {
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  const auto trace = store::TraceReader::open(options.trace);
  if (!trace) return complain(kBadInput, trace.failure().message);
  std::error_code ignored;
  if (std::filesystem::equivalent(options.output, options.trace, ignored))
    return complain(kBadInput, options.output + ": it is written to a file of its own, beside the first");
  if (const Status may = may_replace(options.output, options.force); !may)
    return complain(kBadInput, may.failure().message);
  if ((*trace)->config().parent)
    return complain(kBadInput, options.trace +
                                   ": a recording from power-on expected, found a branch, which begins with "
                                   "all of the guest's memory");
  ExitCode code = kOk;
  if (const Status stripped = strip_trace(options, **trace, code); !stripped)
    return complain(code, stripped.failure().message + "; nothing was written");
  return kOk;
}

}  // namespace hindsight::debugger::cli
