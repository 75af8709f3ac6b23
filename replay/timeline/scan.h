// Looking for hits in a stretch of history: it is cut at snapshots, and the pieces are replayed side by side.
// Owned by a timeline, for one question. What is found depends on the trace and the question alone.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "replay/timeline/runner.h"
#include "replay/timeline/searched.h"

namespace hindsight::replay::timeline {

/// Cuts [from, to) at snapshots, in order. Pieces are short near `to` and grow with the distance from it: a
/// search backward seldom has to look far.
[[nodiscard]] std::vector<Interval> cut(Position from, Position to, const std::vector<Position>& snapshots);

/// [from, to) without the stretches in which none of the conditions is met, as `footprints` and earlier
/// searches say; in order.
[[nodiscard]] std::vector<Interval> worth_searching(
    Interval interval, const std::vector<Condition>& conditions,
    const std::vector<std::shared_ptr<const snapshot::Footprint>>& footprints, const Searched& searched);

/// `pieces`, in order, but those that a replay from one of `snapshots` reaches only through the one before
/// are part of that one.
[[nodiscard]] std::vector<Interval> joined(const std::vector<Interval>& pieces,
                                           const std::vector<Position>& snapshots);

class Scan final {
 public:
  /// `runners` are used side by side, the first on the calling thread. Where nothing was found goes to
  /// `searched`.
  Scan(const std::vector<Condition>& conditions, std::vector<Runner*> runners, Searched& searched,
       std::function<void(double)> progress)
      : conditions_(conditions),
        runners_(std::move(runners)),
        searched_(searched),
        progress_(std::move(progress)) {}

  /// The last hit in any of the intervals.
  Result<std::optional<Hit>> last(const std::vector<Interval>& intervals);
  /// Every hit, in order, until `visit` says false.
  Status all(const std::vector<Interval>& intervals, const std::function<bool(const Hit&)>& visit);
  /// A runner was interrupted by somebody else than this scan.
  [[nodiscard]] bool interrupted() const { return interrupted_; }

 private:
  enum class Keep { last, all };
  Result<RunEnd> scan(Runner& runner, const Interval& interval, Keep keep, std::vector<Hit>& hits) const;
  /// Calls `work` on each runner's own thread and waits for all.
  void side_by_side(const std::function<void(std::size_t runner)>& work) const;
  void search(std::size_t runner, const std::vector<Interval>& intervals);
  /// Gives each runner, while none works, the first interval to work on.
  void deal(const std::vector<Interval>& intervals);
  /// The interval that a runner works on next, if one that is left may still have the answer.
  std::optional<std::size_t> take(std::size_t runner, const std::vector<Interval>& intervals);
  void note_searched(const Interval& interval, const std::vector<Hit>& hits);
  void found(std::size_t interval, const Hit& hit);

  const std::vector<Condition>& conditions_;
  std::vector<Runner*> runners_;
  Searched& searched_;  ///< guarded by mutex_
  std::function<void(double)> progress_;

  std::mutex mutex_;
  std::vector<std::size_t> left_;     ///< intervals nobody has taken yet, in order; guarded, as is all below
  std::vector<std::size_t> working_;  ///< the interval of each runner
  std::optional<std::size_t> best_;
  std::optional<Hit> hit_;
  std::optional<Error> failure_;
  bool interrupted_ = false;
};

}  // namespace hindsight::replay::timeline
