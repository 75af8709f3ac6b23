// A packed trace is recorded anew from the replay of the old one: so it holds nothing that is not needed,
// begins and ends wherever one likes, and is as good as any recording.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/host_file.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/look.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/recording.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/query/target.h"
#include "debugger/session/positions.h"
#include "traces/store/rewrite.h"
#include "traces/store/trace_editor.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Position;
using engine::port::StopReason;
namespace store = traces::store;

/// The part of the trace that is wanted.
struct Range {
  std::shared_ptr<const replay::snapshot::Snapshot> start;  ///< none: power-on
  store::Place from;
  bool from_begin = true;
  Icount to;
  bool to_end = true;
};

/// Finding positions, and the machine at the first, takes a timeline; it goes before the work begins. `code`
/// says of an Error whether it is one of the command line.
Result<Range> find_range(const PackOptions& options, store::TraceReader& trace, ExitCode& code) {
  code = kBadInput;
  const Icount end = trace.progress().at.icount;
  if (options.from == "begin" && options.to == "end" && !trace.config().parent)
    return Range{nullptr, {}, true, end, true};
  auto line = replay::timeline::Timeline::open(options.trace, machines(options.engine), {.jobs = 1});
  if (!line) return line.failure();
  code = kUsage;
  const auto from = query::parse_position(options.from, **line);
  if (!from) return error("--from: {}", from.failure().message);
  const auto to = query::parse_position(options.to, **line);
  if (!to) return error("--to: {}", to.failure().message);
  if (to->delivery != 0 && options.to != "end")
    return error("--to: a position before the interrupts there expected, such as {}, found {}",
                 to->icount.value, session::text_of(*to));
  if (to->icount <= from->icount)
    return error("--to: a position after {} expected, found {}", session::text_of(*from),
                 session::text_of(*to));
  Range range{
      nullptr, {from->icount, from->delivery}, *from == (*line)->first(), to->icount, to->icount >= end};
  if (range.from_begin && !trace.config().parent) return range;
  code = kBadInput;
  const auto moved = (*line)->seek(*from);
  if (!moved) return moved.failure();
  if ((*line)->now() != *from) return error("{}: interrupted", options.trace);
  range.start = (*line)->take_snapshot();
  return range;
}

/// Somebody outside stopped the recording; the machine would have gone on.
bool was_stopped(const store::TraceReader& trace) {
  const auto& end = trace.end();
  return !end || end->reason == store::EndReason::reached || end->reason == store::EndReason::interrupted;
}

void strip_names(store::MachineConfig& config) {
  config.kernel.name = "kernel";
  if (config.initrd.size != 0) config.initrd.name = "initrd";
  if (config.parent) config.parent->name = "a trace";
  if (config.rerun_of) config.rerun_of->name = "a trace";
}

Result<RecordingPlan> plan_for(const PackOptions& options, store::TraceReader& trace, const BootFiles& files,
                               const Range& range) {
  RecordingPlan plan{options.output, trace.config(), &files, options.engine};
  if (!range.from_begin) {
    const auto identity = trace.identity();
    if (!identity) return identity.failure();
    plan.config.parent = {*identity,
                          base_name(options.trace),
                          {range.start->instant.icount, range.start->instant.time},
                          range.from.delivery};
    plan.config.rerun_of.reset();
  }
  if (options.strip) strip_names(plan.config);
  plan.start = range.start;
  plan.snapshots_on_request = options.snapshots != "none";
  return plan;
}

/// Where the next snapshot is wanted.
class Places final {
 public:
  Places(const std::string& wanted, const store::TraceReader& trace)
      : trace_(trace), keep_(wanted == "keep"), every_(snapshots_every(wanted).value_or(0)) {}

  [[nodiscard]] Icount after(Icount now) {
    if (every_ != 0) return Icount((now.value / every_ + 1) * every_);
    while (keep_ && next_ < trace_.snapshot_count() && trace_.snapshot_place(next_).icount <= now) ++next_;
    return keep_ && next_ < trace_.snapshot_count() ? trace_.snapshot_place(next_).icount : Icount::max();
  }

 private:
  const store::TraceReader& trace_;
  const bool keep_;
  const std::uint64_t every_;
  std::uint64_t next_ = 0;
};

/// Runs the machine through the range. Says why it stopped at the end of it.
Result<StopReason> run_through(LiveRecording& recording, const PackOptions& options,
                               const store::TraceReader& trace, const Range& range) {
  constexpr std::uint64_t kStride = 50'000'000;
  engine::port::Machine& machine = recording.built().machine();
  const Icount stop = range.to_end && !was_stopped(trace) ? Icount::max() : range.to;
  Places places(options.snapshots, trace);
  Progress progress("packing", range.to, false);
  StopReason reason = StopReason::reached;
  while (reason == StopReason::reached && machine.now().icount < stop) {
    const Icount now = machine.now().icount, place = places.after(now);
    const auto advanced = recording.advance(std::min({place, stop, now + kStride}));
    if (!advanced) return advanced.failure();
    reason = *advanced;
    if (reason == StopReason::reached && machine.now().icount == place && place < stop)
      recording.take_snapshot();
    progress.update(machine.now().icount);
  }
  // Stopped while halted: only idling takes the machine to that time, and the player stops it there.
  const auto& end = trace.end();
  if (range.to_end && end && reason == StopReason::reached && machine.now().time < end->at.time) {
    const auto advanced = recording.advance(end->at.icount + 1);
    if (!advanced) return advanced.failure();
  }
  return reason;
}

/// `code` says of an Error whether it is one of the file or of the replay.
Status record_range(const PackOptions& options, store::TraceReader& trace, const Range& range,
                    ExitCode& code) {
  auto files = boot_files_of(trace);
  if (!files) return files.failure();
  auto plan = plan_for(options, trace, *files, range);
  if (!plan) return plan.failure();
  // One answers what the machine asks while it is built, the other goes on from where it begins.
  replay::play::Player power_on(trace), player(trace);
  if (range.start != nullptr) {
    plan->power_on = &power_on;
    player.seek(range.start->border);
  }
  const auto recording = open_recording(std::move(*plan), player, player);
  if (!recording) return recording.failure();
  engine::port::Machine& machine = (*recording)->built().machine();
  player.on_stop([&machine] { machine.request_stop(); });
  const StopSignals signals(machine);
  const auto reason = run_through(**recording, options, trace, range);
  player.on_stop({});
  if (!reason) return reason.failure();
  if (player.damage()) return *player.damage();
  code = kFailed;
  if (player.divergence()) return error("{}: {}", trace.path(), player.divergence()->describe());
  if (*reason == StopReason::interrupted) return error("interrupted");
  const bool same_end = range.to_end && !was_stopped(trace)
                            ? static_cast<store::EndReason>(*reason) == trace.end()->reason
                            : *reason == StopReason::reached;
  if (!same_end || machine.now().icount != range.to)
    return error("{}: the replay ends otherwise, {} at icount {}: hindsight verify says where", trace.path(),
                 store::name_of(static_cast<store::EndReason>(*reason)), machine.now().icount.value);
  code = kBadInput;
  const auto end = trace.end() ? trace.end()->reason : store::EndReason::interrupted;
  const auto result = (*recording)->finish(range.to_end ? static_cast<StopReason>(end) : StopReason::reached);
  return result ? Status(Done{}) : result.failure();
}

/// Copies the marks that lie within.
Status copy_marks(store::TraceReader& from, const std::string& to, const Range& range) {
  const auto marks = from.marks();
  if (!marks) return marks.failure();
  const auto packed = store::TraceReader::open(to);
  if (!packed) return packed.failure();
  std::unique_ptr<store::TraceEditor> editor;
  for (const store::Mark& mark : *marks) {
    if (mark.at < range.from || mark.at.icount > range.to) continue;
    if (!editor) {
      auto opened = store::TraceEditor::open(to, (*packed)->transaction());
      if (!opened) return opened.failure();
      editor = std::move(*opened);
    }
    editor->set_mark(mark);
  }
  return editor ? editor->commit() : Status(Done{});
}

/// The states of both must be the same wherever both have a digest.
Status compare_digests(store::TraceReader& from, const std::string& to, ExitCode& code) {
  const auto packed = store::TraceReader::open(to);
  if (!packed) return packed.failure();
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < (*packed)->digest_count(); ++i) {
    const auto digest = (*packed)->digest(i);
    if (!digest) return digest.failure();
    while (at < from.digest_count() && from.digest_icount(at) < digest->at.icount) ++at;
    if (at == from.digest_count() || from.digest_icount(at) != digest->at.icount) continue;
    const auto old = from.digest(at);
    if (!old) return old.failure();
    if (old->at != digest->at) continue;
    const auto same = [](const store::PartDigest& a, const store::PartDigest& b) {
      return a.name == b.name && a.hash == b.hash;
    };
    if (old->ram == digest->ram && std::ranges::equal(old->parts, digest->parts, same)) continue;
    code = kFailed;
    return error("{}: the replay diverges from the recording before icount {}: hindsight verify says where",
                 from.path(), digest->at.icount.value);
  }
  return Done{};
}

/// A file that goes when its user does.
class Scratch final {
 public:
  explicit Scratch(std::string path) : path_(std::move(path)) { remove(); }
  ~Scratch() { remove(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void remove() const {
    ::unlink(path_.c_str());
    ::unlink((path_ + "-lock").c_str());
  }
  const std::string path_;
};

/// What a replay needs of what the user's world gave to the machine.
Status tell_what_stays(const std::string& path) {
  const auto trace = store::TraceReader::open(path);
  if (!trace) return trace.failure();
  std::uint64_t typed = 0, frames = 0, sectors = 0;
  for (std::uint64_t i = 0; i < (*trace)->chunk_count(); ++i) {
    const auto chunk = (*trace)->chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::Event& event : chunk->events) {
      const auto channel = static_cast<engine::port::Channel>(event.channel);
      if (channel == engine::port::Channel::disk0) sectors += event.size / 512;
      if (event.kind != store::EventKind::input) continue;
      (channel == engine::port::Channel::net0 ? frames : typed) +=
          channel == engine::port::Channel::net0 ? 1 : event.size;
    }
  }
  fmt::print(
      "still in it, since a replay needs it: kernel, RAM disk and command line, {}, {}, {};\n"
      "of what came out: the consoles' text\n",
      counted(typed, "byte") + " typed", counted(sectors, "sector") + " of the disk",
      counted(frames, "network frame"));
  return Done{};
}

Status pack(const PackOptions& options, store::TraceReader& trace, const Range& range, ExitCode& code) {
  code = kBadInput;
  const Scratch recorded(options.output + ".packing"), packed(options.output + ".packed");
  PackOptions first = options;
  first.output = recorded.path();
  if (const Status done = record_range(first, trace, range, code); !done) return done;
  if (const Status same = compare_digests(trace, recorded.path(), code); !same) return same;
  if (!options.strip) {
    if (const Status copied = copy_marks(trace, recorded.path(), range); !copied) return copied;
  }
  store::RewriteOptions rewriting;
  rewriting.footprints = options.snapshots != "none";
  if (const Status written = store::rewrite(recorded.path(), packed.path(), rewriting); !written)
    return written;
  if (::rename(packed.path().c_str(), options.output.c_str()) != 0)
    return error("{}: {}", options.output, std::strerror(errno));
  return Done{};
}

std::string size_text(const std::string& path) {
  std::error_code ignored;
  return bytes_text(std::filesystem::file_size(path, ignored));
}

}  // namespace

std::optional<std::uint64_t> snapshots_every(const std::string& text) {
  if (!text.starts_with("every=")) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data() + 6, text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

int pack_command(const PackOptions& options) {
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  const auto trace = store::TraceReader::open(options.trace);
  if (!trace) return complain(kBadInput, trace.failure().message);
  std::error_code ignored;
  if (std::filesystem::equivalent(options.output, options.trace, ignored))
    return complain(kBadInput, options.output +
                                   ": a packed trace is a file of its own, beside the first (hindsight gc "
                                   "works in place)");
  if (const Status may = may_replace(options.output, options.force); !may)
    return complain(kBadInput, may.failure().message);
  ExitCode code = kOk;
  const auto range = find_range(options, **trace, code);
  if (!range) return complain(code, range.failure().message);
  if (const Status packed = pack(options, **trace, *range, code); !packed)
    return complain(code, packed.failure().message + "; nothing was written");
  const store::Place first = (*trace)->first();
  fmt::print("{}: {}, {}; {}: {}, {}\n", options.trace, size_text(options.trace),
             counted(((*trace)->progress().at.icount - first.icount), "instruction"), options.output,
             size_text(options.output), counted(range->to - range->from.icount, "instruction"));
  if (!options.strip) return kOk;
  const Status told = tell_what_stays(options.output);
  return told ? kOk : complain(kBadInput, told.failure().message);
}

int gc_command(const GcOptions& options) {
  signal(SIGXFSZ, SIG_IGN);
  store::RewriteOptions rewriting;
  const std::uint64_t every = snapshots_every(options.snapshots).value_or(0);
  std::optional<Icount> last;
  std::uint64_t left_out = 0;
  if (options.snapshots != "keep") {
    rewriting.footprints = options.snapshots != "none";
    rewriting.keep_snapshot = [&](const store::Place& at) {
      const bool kept = every != 0 && at.icount - last.value_or(Icount{}) >= every;
      if (kept) last = at.icount;
      left_out += kept ? 0 : 1;
      return kept;
    };
  }
  const std::string before = size_text(options.trace);
  if (const Status done = store::rewrite_in_place(options.trace, rewriting); !done)
    return complain(kBadInput, done.failure().message);
  fmt::print("{}: {} before, {} now; {} left out\n", options.trace, before, size_text(options.trace),
             counted(left_out, "snapshot"));
  return kOk;
}

}  // namespace hindsight::debugger::cli
