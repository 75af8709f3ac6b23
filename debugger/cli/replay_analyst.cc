#include "debugger/cli/replay_analyst.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "debugger/cli/answer_values.h"
#include "debugger/cli/difference_values.h"
#include "debugger/cli/look.h"
#include "debugger/query/profile.h"
#include "debugger/session/machine_looks.h"
#include "replay/diff/parting.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::cli {
namespace {

namespace diff = replay::diff;
namespace store = traces::store;
using replay::timeline::Timeline;
using replay::timeline::TimelineOptions;
using session::Position;

/// Beside the session's own ladder.
constexpr std::uint64_t kLadderBytes = std::uint64_t{256} << 20;

class ReplayAnalyst final : public session::Analyst {
 public:
  ReplayAnalyst(std::string trace, std::string engine, TimelineOptions line)
      : trace_(std::move(trace)), engine_(std::move(engine)), options_(std::move(line)) {
    options_.ladder_bytes = kLadderBytes;
  }

  Result<session::InstantsDifference> diff(Position a, Position b) override {
    const auto line = open();
    if (!line) return line.failure();
    if (const Status sought = seek(**line, a); !sought) return sought.failure();
    engine::port::Machine& machine = (*line)->machine();
    session::InstantsDifference found;
    const ComparedSide side_a{diff::copy_of(machine), session::registers_of(machine)};
    const MemoryNames names_a(machine);
    found.a = place_of(machine, names_a);
    if (const Status sought = seek(**line, b); !sought) return sought.failure();
    const ComparedSide side_b{diff::side_of(machine), session::registers_of(machine)};
    const MemoryNames names_b(machine);
    found.b = place_of(machine, names_b);
    // The later of the two knows more: modules come with time.
    const bool earlier = names_a.missing().empty() && (!names_b.missing().empty() || a > b);
    found.state = state_difference(side_a, side_b, earlier ? names_a : names_b);
    return found;
  }

  Result<session::TracesDifference> diff_trace(const std::string& path) override {
    const auto line = open();
    if (!line) return line.failure();
    auto trace_b = store::TraceReader::open(path);
    if (!trace_b) return trace_b.failure();
    store::TraceReader& trace_a = (*line)->trace();
    const auto machines = diff::config_differences(trace_a.config(), (*trace_b)->config());
    if (!machines.empty()) {
      session::TracesDifference found;
      found.path = path;
      found.relation = "the traces are of different machines";
      for (const diff::ConfigDifference& field : machines)
        found.configuration.push_back({"", field.field, field.a, field.b});
      return found;
    }
    const auto difference = diff::compare(trace_a, **trace_b);
    if (!difference) return difference.failure();
    auto found = traces_difference(*difference, trace_a, **trace_b);
    if (!found) return found;
    found->path = path;
    if (difference->relation == diff::Relation::different)
      if (const Status parted = add_parting(**line, difference->event->icount(), *found); !parted)
        return parted.failure();
    return found;
  }

  Result<session::Answers> ask(const session::Inquiry& inquiry) override {
    const auto line = open();
    if (!line) return line.failure();
    auto queries = query::Queries::open(**line, inquiry.at);
    if (!queries) return queries.failure();
    return answers(*queries, inquiry);
  }

  Result<session::Profile> profile(Position from, Position to) override {
    const auto line = open();
    if (!line) return line.failure();
    auto queries = query::Queries::open(**line, to);
    if (!queries) return queries.failure();
    const auto tree = query::profile(*queries, {from, to});
    if (!tree) return tree.failure();
    session::Profile found = profile_values(*queries, *tree);
    found.from = from;
    found.to = to;
    return found;
  }

  void interrupt() override {
    const std::lock_guard lock(mutex_);
    for (Timeline* line : open_) line->interrupt();
  }
  void on_progress(std::function<void(double)> progress) override {
    progress_ = std::move(progress);
    if (line_) line_->on_progress(progress_);
  }

 private:
  /// A timeline that interrupt() knows of while it is in scope.
  class Interruptible final {
   public:
    Interruptible(ReplayAnalyst& analyst, Timeline& line) : analyst_(analyst), line_(line) {
      const std::lock_guard lock(analyst_.mutex_);
      analyst_.open_.insert(&line_);
    }
    ~Interruptible() {
      const std::lock_guard lock(analyst_.mutex_);
      analyst_.open_.erase(&line_);
    }
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;

   private:
    ReplayAnalyst& analyst_;
    Timeline& line_;
  };

  Result<Timeline*> open() {
    if (line_) return line_.get();
    auto opened = Timeline::open(trace_, machines(engine_), options_);
    if (!opened) return opened.failure();
    line_ = std::move(*opened);
    line_->on_progress(progress_);
    const std::lock_guard lock(mutex_);
    open_.insert(line_.get());
    return line_.get();
  }

  static Status seek(Timeline& line, Position to) {
    const auto moved = line.seek(to);
    if (!moved) return moved.failure();
    if (moved->arrival == replay::timeline::Arrival::interrupted) return error("interrupted");
    return Done{};
  }

  /// Where the machines part, and what differs right after.
  Status add_parting(Timeline& line_a, Icount event, session::TracesDifference& found) {
    auto opened = Timeline::open(found.path, machines(engine_), {.ladder_bytes = kLadderBytes, .jobs = 1});
    if (!opened) return opened.failure();
    Timeline& line_b = **opened;
    line_b.on_progress(progress_);
    const Interruptible interruptible(*this, line_b);
    // An instruction that asks for a sample may have retired by its event's icount.
    const Position from{event.value > 0 ? event - 1 : event, 0};
    for (Timeline* line : {&line_a, &line_b})
      if (const Status sought = seek(*line, from); !sought) return sought;
    const auto parting = diff::first_difference(line_a, line_b, from);
    if (!parting) return parting.failure();
    if (!*parting) {
      found.relation += "; it made no difference to the machines, as far as the shorter one goes";
      return Done{};
    }
    found.parted = true;
    engine::port::Machine &machine_a = line_a.machine(), &machine_b = line_b.machine();
    if ((*parting)->at) {
      if (const Status sought = seek(line_a, *(*parting)->at); !sought) return sought;
      found.parting = place_of(machine_a, MemoryNames(machine_a));
      found.instruction = instruction_at_pc(machine_a).text;
      if (const Status sought = seek(line_a, (*parting)->next_a); !sought) return sought;
    }
    const MemoryNames names(machine_a);
    found.next_a = place_of(machine_a, names);
    found.next_b = place_of(machine_b, names);
    found.state = state_difference({diff::side_of(machine_a), session::registers_of(machine_a)},
                                   {diff::side_of(machine_b), session::registers_of(machine_b)}, names);
    return Done{};
  }

  const std::string trace_, engine_;
  TimelineOptions options_;
  std::unique_ptr<Timeline> line_;
  std::function<void(double)> progress_;
  std::mutex mutex_;
  std::set<Timeline*> open_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<session::Analyst> make_analyst(std::string trace, std::string engine, TimelineOptions line) {
  return std::make_unique<ReplayAnalyst>(std::move(trace), std::move(engine), std::move(line));
}

}  // namespace hindsight::debugger::cli
