// A packed or trimmed trace is recorded anew from the replay of the old one: so it holds nothing that is not
// needed, begins and ends wherever one likes, and is as good as any recording.
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/host_file.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/look.h"
#include "debugger/cli/record_again.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/query/target.h"
#include "debugger/session/positions.h"
#include "traces/store/rewrite.h"

namespace hindsight::debugger::cli {
namespace {

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
Result<Range> find_range(const TrimOptions& options, store::TraceReader& trace, ExitCode& code) {
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

Result<RecordingPlan> plan_for(const TrimOptions& options, store::TraceReader& trace, const BootFiles& files,
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
  plan.start = range.start;
  plan.snapshots_on_request = options.snapshots != "none";
  return plan;
}

/// `code` says of an Error whether it is one of the file or of the replay.
Status record_range(const TrimOptions& options, store::TraceReader& trace, const Range& range,
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
  const Stretch stretch{range.to, range.to_end};
  const auto reason = run_again(**recording, trace, stretch, options.snapshots);
  player.on_stop({});
  if (!reason) return reason.failure();
  if (player.damage()) return *player.damage();
  code = kFailed;
  if (player.divergence()) return error("{}: {}", trace.path(), player.divergence()->describe());
  return finish_again(**recording, trace, *reason, stretch, code);
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

Status write_range(const TrimOptions& options, store::TraceReader& trace, const Range& range,
                   ExitCode& code) {
  code = kBadInput;
  const Scratch recorded(options.output + ".packing"), packed(options.output + ".packed");
  TrimOptions first = options;
  first.output = recorded.path();
  if (const Status done = record_range(first, trace, range, code); !done) return done;
  if (const Status same = compare_digests(trace, recorded.path(), code); !same) return same;
  if (const Status copied = copy_marks(trace, recorded.path(), range.from, range.to); !copied) return copied;
  store::RewriteOptions rewriting;
  rewriting.footprints = options.snapshots != "none";
  if (const Status written = store::rewrite(recorded.path(), packed.path(), rewriting); !written)
    return written;
  if (::rename(packed.path().c_str(), options.output.c_str()) != 0)
    return error("{}: {}", options.output, std::strerror(errno));
  return Done{};
}

}  // namespace

int pack_command(const PackOptions& options) { return trim_command({options}); }

int trim_command(const TrimOptions& options) {
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  const auto trace = store::TraceReader::open(options.trace);
  if (!trace) return complain(kBadInput, trace.failure().message);
  std::error_code ignored;
  if (std::filesystem::equivalent(options.output, options.trace, ignored))
    return complain(kBadInput, options.output +
                                   ": it is written to a file of its own, beside the first (hindsight gc "
                                   "works in place)");
  if (const Status may = may_replace(options.output, options.force); !may)
    return complain(kBadInput, may.failure().message);
  ExitCode code = kOk;
  const auto range = find_range(options, **trace, code);
  if (!range) return complain(code, range.failure().message);
  if (const Status written = write_range(options, **trace, *range, code); !written)
    return complain(code, written.failure().message + "; nothing was written");
  const store::Place first = (*trace)->first();
  fmt::print("{}: {}, {}; {}: {}, {}\n", options.trace, file_size_text(options.trace),
             counted(((*trace)->progress().at.icount - first.icount), "instruction"), options.output,
             file_size_text(options.output), counted(range->to - range->from.icount, "instruction"));
  return kOk;
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
  const std::string before = file_size_text(options.trace);
  if (const Status done = store::rewrite_in_place(options.trace, rewriting); !done)
    return complain(kBadInput, done.failure().message);
  fmt::print("{}: {} before, {} now; {} left out\n", options.trace, before, file_size_text(options.trace),
             counted(left_out, "snapshot"));
  return kOk;
}

}  // namespace hindsight::debugger::cli
