#include <fmt/format.h>

#include <filesystem>

#include "debugger/cli/commands.h"
#include "debugger/cli/diff_report.h"
#include "debugger/cli/look.h"
#include "debugger/cli/progress.h"
#include "debugger/session/positions.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::cli {
namespace {

namespace diff = replay::diff;
namespace store = traces::store;
namespace timeline = replay::timeline;
using engine::port::Position;
using timeline::Timeline;

int complain(const Error& failure, int code = kBadInput) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return code;
}

/// "TRACE@POSITION" apart; a file whose name has an @ in it is found all the same.
struct Place {
  std::string trace;
  std::optional<std::string> position;
};
Place parse_place(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || std::filesystem::exists(text)) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

Result<std::unique_ptr<Timeline>> open_timeline(const std::string& path, const std::string& engine) {
  return Timeline::open(path, machines(engine), {.ladder_bytes = std::uint64_t{1} << 30, .jobs = 1});
}

Result<Position> find_position(const std::string& text, Timeline& line) {
  store::TraceReader& trace = line.trace();
  session::PositionNames names{line.first(), line.last(), {}, {}};
  names.mark = [&](std::string_view name) -> std::optional<Position> {
    const auto marks = trace.marks();
    if (!marks) return std::nullopt;
    for (const store::Mark& mark : *marks)
      if (mark.name == name) return Position{mark.at.icount, mark.at.delivery};
    return std::nullopt;
  };
  names.event = [&](std::uint64_t number) -> std::optional<Position> {
    for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
      const Result<store::Chunk> chunk = trace.chunk(i);
      if (!chunk) return std::nullopt;
      if (number - chunk->first_event < chunk->events.size())
        return Position{chunk->events[number - chunk->first_event].at.icount, 0};
    }
    return std::nullopt;
  };
  Result<Position> found = session::parse_position(text, names);
  if (found && *found > line.last()) {
    return error("{}: position {} is beyond the end, at icount {}", trace.path(), session::text_of(*found),
                 line.last().icount.value);
  }
  return found;
}

/// Moves with a line on the terminal that says how far it is.
Status seek(Timeline& line, Position to) {
  Progress progress(line.trace().path(), to.icount, false);
  line.on_progress([&](double share) {
    progress.update(Icount{static_cast<std::uint64_t>(share * static_cast<double>(to.icount.value))});
  });
  const Result<timeline::Move> moved = line.seek(to);
  line.on_progress({});
  return moved ? Status(Done{}) : Status(moved.failure());
}

int diff_instants(const Place& a, const Place& b, const DiffOptions& options, const DiffReport& report) {
  auto line_a = open_timeline(a.trace, options.engine);
  if (!line_a) return complain(line_a.failure());
  const bool one_trace = b.trace.empty() || b.trace == a.trace;
  std::unique_ptr<Timeline> other;
  if (!one_trace) {
    auto line_b = open_timeline(b.trace, options.engine);
    if (!line_b) return complain(line_b.failure());
    other = std::move(*line_b);
  }
  Timeline& line_b = one_trace ? **line_a : *other;
  const Result<Position> at_a = find_position(*a.position, **line_a);
  if (!at_a) return complain(at_a.failure(), kUsage);
  const Result<Position> at_b = find_position(*b.position, line_b);
  if (!at_b) return complain(at_b.failure(), kUsage);
  if (const Status sought = seek(**line_a, *at_a); !sought) return complain(sought.failure());
  engine::port::Machine& machine_a = (*line_a)->machine();
  const MemoryNames names_a(machine_a);
  const diff::Side side_a = one_trace ? diff::copy_of(machine_a) : diff::side_of(machine_a);
  report.instant('a', a.trace, side_a, machine_a.debug().pc(), names_a);
  if (const Status sought = seek(line_b, *at_b); !sought) return complain(sought.failure());
  const MemoryNames names_b(line_b.machine());
  const diff::Side side_b = diff::side_of(line_b.machine());
  report.instant('b', one_trace ? a.trace : b.trace, side_b, line_b.machine().debug().pc(), names_b);
  const diff::MachineDifference difference = diff::compare(side_a, side_b);
  if (difference.empty()) {
    report.heading("nothing differs");
    return kOk;
  }
  // The later of the two knows more: modules come with time.
  report.state(
      difference, side_a, side_b,
      names_a.missing().empty() && (!names_b.missing().empty() || *at_a > *at_b) ? names_a : names_b);
  return kFailed;
}

Status report_parting(const Place& a, const Place& b, Icount at, const DiffOptions& options,
                      const DiffReport& report) {
  auto line_a = open_timeline(a.trace, options.engine);
  if (!line_a) return line_a.failure();
  auto line_b = open_timeline(b.trace, options.engine);
  if (!line_b) return line_b.failure();
  // An instruction that asks for a sample may have retired by its event's icount.
  const Position from{at.value > 0 ? at - 1 : at, 0};
  for (Timeline* line : {line_a->get(), line_b->get()})
    if (const Status sought = seek(*line, from); !sought) return sought;
  const auto found = diff::first_difference(**line_a, **line_b, from);
  if (!found) return found.failure();
  if (!*found) {
    report.heading("it made no difference to the machines, up to where the shorter recording ends");
    return Done{};
  }
  const diff::Parting& parting = **found;
  engine::port::Machine &machine_a = (*line_a)->machine(), &machine_b = (*line_b)->machine();
  if (parting.at) {
    if (const Status sought = seek(**line_a, *parting.at); !sought) return sought;
    report.parting(parting, machine_a, MemoryNames(machine_a));
    if (const Status sought = seek(**line_a, parting.next_a); !sought) return sought;
  } else {
    report.heading("they differ at power-on:");
  }
  const MemoryNames names(machine_a);
  report.steps(parting, machine_a.debug().pc(), machine_b.debug().pc(), names);
  report.heading("right after it:");
  const diff::Side side_a = diff::side_of(machine_a), side_b = diff::side_of(machine_b);
  report.state(diff::compare(side_a, side_b), side_a, side_b, names);
  return Done{};
}

int diff_traces(const Place& a, const Place& b, const DiffOptions& options, const DiffReport& report) {
  auto trace_a = store::TraceReader::open(a.trace);
  if (!trace_a) return complain(trace_a.failure());
  auto trace_b = store::TraceReader::open(b.trace);
  if (!trace_b) return complain(trace_b.failure());
  const auto machines = diff::config_differences((*trace_a)->config(), (*trace_b)->config());
  if (!machines.empty()) {
    report.configuration(machines);
    const Result<diff::TraceDifference> outcomes = diff::compare_outcomes(**trace_a, **trace_b);
    if (!outcomes) return complain(outcomes.failure());
    report.later(*outcomes, **trace_a, **trace_b);
    return kFailed;
  }
  const Result<diff::TraceDifference> difference = diff::compare(**trace_a, **trace_b);
  if (!difference) return complain(difference.failure());
  report.relation(*difference, **trace_a, **trace_b);
  if (difference->relation == diff::Relation::equal) return kOk;
  if (const Status printed = report.events(*difference, **trace_a, **trace_b); !printed)
    return complain(printed.failure());
  if (difference->relation == diff::Relation::different) {
    const Status found = report_parting(a, b, difference->event->icount(), options, report);
    if (!found) return complain(found.failure());
  }
  report.later(*difference, **trace_a, **trace_b);
  return kFailed;
}

}  // namespace

int diff_command(const DiffOptions& options) {
  const Place a = parse_place(options.a), b = parse_place(options.b);
  const DiffReport report(options.json, {options.bytes, options.ranges});
  if (a.position.has_value() != b.position.has_value()) {
    return complain(
        error("positions for both or for none expected, found {} and {} (see hindsight diff --help)",
              options.a, options.b),
        kUsage);
  }
  if (a.trace.empty())
    return complain(
        error("TRACE or TRACE@POSITION expected, found {} (see hindsight diff --help)", options.a), kUsage);
  if (a.position) return diff_instants(a, b, options, report);
  return diff_traces(a, b, options, report);
}

}  // namespace hindsight::debugger::cli
