#include "replay/timeline/timeline.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "replay/timeline/runner.h"
#include "replay/timeline/scan.h"
#include "replay/timeline/survey.h"

namespace hindsight::replay::timeline {

class Timeline::Impl final {
 public:
  Impl(std::string path, MachineFactory factory, TimelineOptions options)
      : path_(std::move(path)),
        factory_(std::move(factory)),
        jobs_(options.jobs != 0 ? options.jobs : std::max(1U, std::thread::hardware_concurrency())),
        end_(options.last),
        shelf_(std::move(options.shelf)),
        ladder_(options.ladder_bytes) {}
  ~Impl() {
    if (!shelf_) return;
    shelf_->set_cursor(last_);
    ladder_.copy_to(*shelf_, last_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status open() {
    auto cursor = Runner::create(path_, factory_, ladder_);
    if (!cursor) return cursor.failure();
    runners_.reserve(jobs_);
    runners_.push_back(std::move(*cursor));
    runner_count_ = 1;
    const auto power_on = runner().take_snapshot();
    auto archive = snapshot::Archive::open(path_, power_on);
    if (!archive) return archive.failure();
    archive_ = std::move(*archive);
    traces::store::TraceReader& trace = runner().trace();
    first_ = {trace.first().icount, trace.first().delivery};
    const auto begin = trace.config().parent ? archive_->load(first_) : power_on;
    if (!begin) return begin.failure();
    ladder_.insert(*begin);
    archive_->announce(ladder_);
    if (const Result<RunEnd> stands = runner().seek(first_, false); !stands) return stands.failure();
    set_last(trace);
    if (shelf_) {
      ladder_.set_cursor(last_);
      shelf_->copy_to(ladder_, last_);
    }
    return Done{};
  }

  void set_last(const traces::store::TraceReader& trace) {
    if (end_) {
      last_ = std::max(*end_, first_);
      return;
    }
    last_ = {trace.end() ? trace.end()->at.icount : trace.progress().at.icount, 0};
    last_ = std::max(last_, first_);
  }

  Status keep_snapshot() {
    const auto snapshot = runner().take_snapshot();
    if (const Status saved = archive_->save(*snapshot); !saved) return saved.failure();
    ladder_.insert(snapshot);
    ladder_.insert_stored(snapshot->at, [this, at = snapshot->at] { return archive_->load(at); });
    return Done{};
  }

  Result<std::size_t> keep_useful() {
    constexpr std::uint64_t kGap = 5 * Runner::kRung;
    const auto useful = ladder_.useful(kGap);
    for (const auto& snapshot : useful)
      if (const Status saved = archive_->save(*snapshot); !saved) return saved.failure();
    return useful.size();
  }

  Runner& runner() { return *runners_.front(); }
  [[nodiscard]] Position now() { return runner().position(); }

  Result<Move> seek(Position to, bool dense) {
    const Position target = std::clamp(to, first_, last_);
    runner().clear_interrupt();
    ladder_.set_cursor(target);
    const Result<RunEnd> ended = runner().seek(target, dense);
    if (!ended) return ended.failure();
    if (*ended == RunEnd::interrupted) return settle(Arrival::interrupted);
    return Move{to < first_ ? Arrival::begin : to > last_ ? Arrival::end : Arrival::reached, {}};
  }

  Result<Move> step_forward(std::uint64_t count) {
    runner().clear_interrupt();
    // A history may end amid the deliveries of its last icount.
    const Icount bound = last_.delivery == 0 ? last_.icount : last_.icount + 1;
    while (count > 0) {
      const Position here = now();
      if (here >= last_) return Move{Arrival::end, {}};
      const Icount to = std::min(bound, count > bound - here.icount ? bound : here.icount + count);
      const Result<RunEnd> ended = runner().run_to_delivery(to);
      if (!ended) return ended.failure();
      if (*ended == RunEnd::interrupted) return settle(Arrival::interrupted);
      const std::uint64_t steps = (now().icount - here.icount) + (*ended == RunEnd::observed ? 1 : 0);
      if (steps == 0) return Move{Arrival::end, {}};
      count -= std::min(count, steps);
    }
    ladder_.set_cursor(now());
    return Move{};
  }

  Result<Move> step_backward(std::uint64_t count) {
    const Position here = now();
    if (count <= here.delivery)
      return seek({here.icount, static_cast<std::uint32_t>(here.delivery - count)}, true);
    count -= here.delivery;
    if (count > here.icount - first_.icount) {
      const Result<Move> moved = seek(first_, true);
      if (!moved || moved->arrival == Arrival::interrupted) return moved;
      return Move{Arrival::begin, {}};
    }
    // From `count` instructions back there are that many positions, and one for each delivery on the way.
    const Position far{here.icount - count, 0};
    Result<Move> moved = seek(far, true);
    if (!moved || moved->arrival == Arrival::interrupted) return moved;
    const Result<std::uint64_t> deliveries = runner().count_deliveries({here.icount, 0});
    if (!deliveries) return deliveries.failure();
    moved = seek(far, true);
    if (!moved || moved->arrival == Arrival::interrupted || *deliveries == 0) return moved;
    return step_forward(*deliveries);
  }

  Result<Move> run_forward(const std::vector<Condition>& conditions, Position bound) {
    runner().clear_interrupt();
    const Position start = now(), until = std::min(bound, last_);
    std::optional<Hit> hit;
    Watcher watcher(runner().machine(), conditions, until, [&](const Hit& met) {
      const bool breakpoint = !met.access && !met.delivery && !met.device;
      if (breakpoint && met.before == start) return false;  // one stands on it
      hit = met;
      return true;
    });
    const Result<RunEnd> ended = runner().watch(watcher.interests(), watcher, watcher.limit(), progress_);
    if (!ended) return ended.failure();
    if (*ended == RunEnd::interrupted) return settle(Arrival::interrupted);
    if (hit) hit->after = now();
    Result<Move> settled = settle(hit ? Arrival::hit : bound < last_ ? Arrival::reached : Arrival::end);
    if (settled) settled->hit = hit;
    return settled;
  }

  Result<Move> run_backward(const std::vector<Condition>& conditions, Position bound) {
    const Position start = now(), until = std::max(bound, first_);
    bool interrupted = false;
    const Result<std::optional<Hit>> hit = last_hit(conditions, until, start, interrupted);
    if (!hit) return hit.failure();
    if (interrupted) {
      if (const Status back = stand_at(start); !back) return back.failure();
      return Move{Arrival::interrupted, {}};
    }
    const Result<Move> moved = seek(*hit ? (*hit)->before : until, true);
    if (!moved || moved->arrival == Arrival::interrupted) return moved;
    if (*hit) return Move{Arrival::hit, *hit};
    return Move{until == first_ ? Arrival::begin : Arrival::reached, {}};
  }

  Result<std::optional<Hit>> last_hit(const std::vector<Condition>& conditions, Position from, Position to,
                                      bool& interrupted) {
    const std::vector<Interval> intervals = pieces(conditions, from, to);
    if (const Status ready = prepare(intervals.size()); !ready) return ready.failure();
    Scan scan(conditions, runners(intervals.size()), searched_, progress_);
    Result<std::optional<Hit>> hit = scan.last(intervals);
    interrupted = scan.interrupted();
    return hit;
  }

  Status scan(const std::vector<Condition>& conditions, Position from, Position to,
              const std::function<bool(const Hit&)>& visit, bool& interrupted) {
    const std::vector<Interval> intervals = pieces(conditions, std::max(from, first_), std::min(to, last_));
    if (const Status ready = prepare(intervals.size()); !ready) return ready;
    Scan scan(conditions, runners(intervals.size()), searched_, progress_);
    Status done = scan.all(intervals, visit);
    interrupted = scan.interrupted();
    return done;
  }

  Status observe(const engine::port::Interests& interests, Position from, Position to,
                 const OnlookerFactory& make, const std::function<bool(Onlooker&)>& done) {
    const std::vector<Interval> intervals =
        cut(std::max(from, first_), std::min(to, last_), ladder_.positions());
    if (const Status ready = prepare(intervals.size()); !ready) return ready;
    return Survey(interests, make, runners(intervals.size()), progress_).run(intervals, done);
  }

  void interrupt() {
    for (std::size_t i = 0; i < runner_count_.load(); ++i) runners_[i]->interrupt();
  }

  /// Comes back to a position: who interrupts again and again finds the cursor where it is promised to be.
  Status stand_at(Position at) {
    Result<RunEnd> ended = RunEnd::interrupted;
    while (ended && *ended == RunEnd::interrupted) {
      runner().clear_interrupt();
      ended = runner().seek(at, false);
    }
    if (!ended) return ended.failure();
    ladder_.set_cursor(at);
    return Done{};
  }

  /// Comes to a position again, where the machine stopped between two.
  Result<Move> settle(Arrival arrival) {
    if (runner().machine().debug().has_begun())
      if (const Status stands = stand_at(now()); !stands) return stands.failure();
    ladder_.set_cursor(now());
    return Move{arrival, {}};
  }

  const std::string path_;
  const MachineFactory factory_;
  const unsigned jobs_;
  const std::optional<Position> end_;              ///< where history is said to end
  const std::shared_ptr<snapshot::Ladder> shelf_;  ///< may be nullptr
  std::unique_ptr<snapshot::Archive> archive_;     ///< the ladder reads from it
  snapshot::Ladder ladder_;
  Searched searched_;
  std::vector<std::unique_ptr<Runner>> runners_;  ///< the cursor first; never moved, for interrupt()
  std::atomic<std::size_t> runner_count_{0};
  Position first_, last_;
  std::function<void(double)> progress_;

 private:
  /// What a search of [from, to) has to replay.
  std::vector<Interval> pieces(const std::vector<Condition>& conditions, Position from, Position to) {
    std::vector<Interval> all;
    const std::vector<Position> snapshots = ladder_.positions();
    for (const Interval& stretch :
         worth_searching({from, to}, conditions, ladder_.footprints(from, to), searched_)) {
      const std::vector<Interval> some = cut(stretch.from, stretch.to, snapshots);
      all.insert(all.end(), some.begin(), some.end());
    }
    return joined(all, snapshots);
  }
  /// Makes the machines that can work on `pieces` at once.
  Status prepare(std::size_t pieces) {
    while (runners_.size() < std::min<std::size_t>(jobs_, pieces)) {
      auto runner = Runner::create(path_, factory_, ladder_);
      if (!runner) return runner.failure();
      runners_.push_back(std::move(*runner));
      runner_count_ = runners_.size();
    }
    for (const auto& runner : runners_) runner->clear_interrupt();
    return Done{};
  }
  std::vector<Runner*> runners(std::size_t pieces) {
    std::vector<Runner*> some;
    for (std::size_t i = 0; i < std::min(runners_.size(), std::max<std::size_t>(pieces, 1)); ++i)
      some.push_back(runners_[i].get());
    return some;
  }
};

Timeline::Timeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Timeline::~Timeline() = default;

Result<std::unique_ptr<Timeline>> Timeline::open(const std::string& path, MachineFactory factory,
                                                 TimelineOptions options) {
  auto impl = std::make_unique<Impl>(path, std::move(factory), options);
  if (const Status opened = impl->open(); !opened) return opened.failure();
  return std::unique_ptr<Timeline>(new Timeline(std::move(impl)));
}

traces::store::TraceReader& Timeline::trace() { return impl_->runner().trace(); }
engine::port::Machine& Timeline::machine() { return impl_->runner().machine(); }
Position Timeline::now() const { return impl_->now(); }
Position Timeline::first() const { return impl_->first_; }
Position Timeline::last() const { return impl_->last_; }
snapshot::Ladder& Timeline::ladder() { return impl_->ladder_; }
snapshot::Archive& Timeline::archive() { return *impl_->archive_; }
Result<std::size_t> Timeline::keep_useful() { return impl_->keep_useful(); }
Status Timeline::keep_snapshot() { return impl_->keep_snapshot(); }
std::shared_ptr<const snapshot::Snapshot> Timeline::take_snapshot() {
  return impl_->runner().take_snapshot();
}

Result<Move> Timeline::seek(Position to) { return impl_->seek(to, false); }
Result<Move> Timeline::step_forward(std::uint64_t count) { return impl_->step_forward(count); }
Result<Move> Timeline::step_backward(std::uint64_t count) { return impl_->step_backward(count); }
Result<Move> Timeline::run_forward(const std::vector<Condition>& conditions, Position bound) {
  return impl_->run_forward(conditions, bound);
}
Result<Move> Timeline::run_backward(const std::vector<Condition>& conditions, Position bound) {
  return impl_->run_backward(conditions, bound);
}

Status Timeline::scan(const std::vector<Condition>& conditions, Position from, Position to,
                      const std::function<bool(const Hit&)>& visit) {
  const Position here = now();
  bool interrupted = false;
  const Status scanned = impl_->scan(conditions, from, to, visit, interrupted);
  if (!scanned) return scanned;
  if (const Status back = impl_->stand_at(here); !back) return back.failure();
  if (interrupted) return error("interrupted");
  return Done{};
}

Result<std::optional<Hit>> Timeline::last_hit(const std::vector<Condition>& conditions, Position from,
                                              Position to) {
  const Position here = now();
  bool interrupted = false;
  Result<std::optional<Hit>> hit = impl_->last_hit(conditions, from, to, interrupted);
  if (!hit) return hit;
  if (const Status back = impl_->stand_at(here); !back) return back.failure();
  if (interrupted) return error("interrupted");
  return hit;
}

Status Timeline::observe(const engine::port::Interests& interests, Position from, Position to,
                         const OnlookerFactory& make, const std::function<bool(Onlooker&)>& done) {
  const Position here = now();
  const Status observed = impl_->observe(interests, from, to, make, done);
  const Status back = impl_->stand_at(here);
  return observed ? back : observed;
}

void Timeline::interrupt() { impl_->interrupt(); }
void Timeline::on_progress(std::function<void(double)> progress) { impl_->progress_ = std::move(progress); }

}  // namespace hindsight::replay::timeline
