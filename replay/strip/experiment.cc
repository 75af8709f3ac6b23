#include "replay/strip/experiment.h"

#include <algorithm>

namespace hindsight::replay::strip {
namespace {

using engine::port::Instant;
using engine::port::Machine;
using engine::port::StopReason;
namespace store = traces::store;

/// What the places may take of the host's memory beyond the first after power-on.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

enum class Step : std::uint8_t { on, done, stray, interrupted };

/// Runs on to the next checkpoint: a multiple of the stride, or the end. `stray`: it ended otherwise.
Step step(Machine& machine, const Goal& goal) {
  const Icount now = machine.now().icount;
  const Icount multiple((now.value / Course::kStride + 1) * Course::kStride);
  // Stopped while halted: only idling takes the machine to that time, and the border stops it there.
  const bool idling = now == goal.icount;
  const StopReason reason =
      machine.run(std::min(multiple, goal.reason || idling ? goal.icount + 1 : goal.icount));
  const Instant at = machine.now();
  const bool there = at.icount == goal.icount && (!goal.time || at.time >= *goal.time);
  if (goal.reason && reason == *goal.reason) return there ? Step::done : Step::stray;
  if (!goal.reason && there) return Step::done;
  if (reason == StopReason::interrupted) return Step::interrupted;
  return reason == StopReason::reached && at.icount <= goal.icount ? Step::on : Step::stray;
}

}  // namespace

std::optional<Instant> Goal::stop() const {
  return time && !reason ? std::optional(Instant{icount, *time}) : std::nullopt;
}

Goal goal_of(const store::TraceReader& trace) {
  const auto& end = trace.end();
  if (!end) return {trace.progress().at.icount, std::nullopt, std::nullopt};
  const bool stopped =
      end->reason == store::EndReason::reached || end->reason == store::EndReason::interrupted;
  return {end->at.icount, end->at.time,
          stopped ? std::nullopt : std::optional(static_cast<StopReason>(end->reason))};
}

Result<Course> learn_course(Machine& machine, play::Player& player, store::TraceReader& trace,
                            bool console_contents, const std::function<void(Icount)>& progress) {
  Course course{goal_of(trace), {}};
  OutputPrint print(console_contents);
  player.echo_to(&print);
  bool asked = false;
  player.on_stop([&] {
    asked = true;
    machine.request_stop();
  });
  Step stepped = Step::on;
  while (stepped == Step::on) {
    stepped = step(machine, course.goal);
    if (player.damage()) return *player.damage();
    if (player.divergence())
      return error("{}: the trace must replay: {}", trace.path(), player.divergence()->describe());
    if (stepped == Step::interrupted && !asked) return error("{}: interrupted", trace.path());
    if (stepped == Step::stray || stepped == Step::interrupted)
      return error("{}: the trace must replay: it ends otherwise, at icount {}", trace.path(),
                   machine.now().icount.value);
    course.checkpoints.push_back({machine.now(), machine.debug().pc(), print.value()});
    if (progress) progress(machine.now().icount);
  }
  player.on_stop({});
  player.echo_to(nullptr);
  return course;
}

MachineExperiment::MachineExperiment(Machine& machine, StandIn& border, UserData& data, const Course& course,
                                     Icount first, Icount last, Accept accept)
    : machine_(machine),
      border_(border),
      data_(data),
      course_(course),
      last_(last),
      accept_(std::move(accept)),
      distance_(std::max<std::uint64_t>(2'000'000, (last - first) / 300)),
      snapshotter_(machine) {
  border_.on_stop([this] {
    stop_asked_ = true;
    machine_.request_stop();
  });
  places_.push_back({snapshotter_.take({}), border_.position()});
}

MachineExperiment::~MachineExperiment() { border_.on_stop({}); }

Status MachineExperiment::go_before(std::size_t event) {
  while (places_.size() > 1 && places_.back().border.event > event) places_.pop_back();
  const Place& place = places_.back();
  if (const Status restored = snapshotter_.restore(place.snapshot); !restored) return restored;
  border_.seek(place.border);
  return Done{};
}

void MachineExperiment::remember(std::size_t checkpoint) {
  const Icount now = machine_.now().icount;
  if (now >= last_ || now - places_.back().snapshot->at.icount < distance_) return;
  auto snapshot = snapshotter_.take({});
  const std::uint64_t bytes = snapshot->bytes_beyond(places_.back().snapshot.get());
  places_.push_back({std::move(snapshot), border_.position(), checkpoint, bytes});
  // The first after power-on holds all that was written up to there, and is needed in any case.
  std::uint64_t sum = 0;
  for (std::size_t i = 2; i < places_.size(); ++i) sum += places_[i].bytes;
  if (sum > kMostBytes) thin();
}

void MachineExperiment::thin() {
  std::vector<Place> fewer{places_.front()};
  for (std::size_t i = 1; i < places_.size(); i += 2) {
    fewer.push_back(std::move(places_[i]));
    fewer.back().bytes = fewer.back().snapshot->bytes_beyond(fewer[fewer.size() - 2].snapshot.get());
  }
  places_ = std::move(fewer);
  distance_ *= 2;
}

Result<std::optional<Icount>> MachineExperiment::run(std::span<const Piece> replaced, Icount limit) {
  const std::size_t changed = data_.replace(replaced);
  if (const Status back = go_before(changed); !back) return back.failure();
  for (std::size_t next = places_.back().checkpoint;; ++next) {
    Step stepped = step(machine_, course_.goal);
    // A request to stop may have come after the run that it was meant for.
    if (stepped == Step::interrupted && std::exchange(stop_asked_, false) && !border_.parted())
      stepped = step(machine_, course_.goal);
    const Icount now = machine_.now().icount;
    if (border_.parted()) return std::optional(now);
    if (stepped == Step::interrupted) return error("interrupted");
    const Checkpoint here{machine_.now(), machine_.debug().pc(), border_.position().print};
    const bool last = next + 1 == course_.checkpoints.size();
    if (stepped == Step::stray || (stepped == Step::done) != last || here != course_.checkpoints[next])
      return std::optional(now);
    if (last && border_.position().event < data_.events()) return std::optional(now);
    if (last) {
      const Result<bool> accepted = accept_(border_.consoles());
      if (!accepted) return accepted.failure();
      return *accepted ? std::nullopt : std::optional(now);
    }
    if (now >= limit) return std::optional<Icount>();
    remember(next + 1);
  }
}

}  // namespace hindsight::replay::strip
