#include "replay/timeline/scan.h"

#include <algorithm>
#include <thread>

namespace hindsight::replay::timeline {
namespace {

/// A piece is at least a quarter of its distance from where the search began, within these bounds.
constexpr std::uint64_t kShortestPiece = 1'000;
constexpr std::uint64_t kLongestPiece = Runner::kRung / 2;
/// A range of more pages is taken to be touched everywhere.
constexpr std::uint64_t kMostPages = 256;

bool may_be_written(const engine::port::WatchRange& range, const engine::port::PageSet& pages) {
  const std::uint64_t first = range.first & ~kPageMask, last = (range.first + (range.size - 1)) & ~kPageMask;
  if ((last - first) >> kPageBits >= kMostPages) return true;
  for (std::uint64_t page = first;; page += kPageSize) {
    if (pages.may_hold(page)) return true;
    if (page == last) return false;
  }
}

bool may_be_met(const Condition& condition, const snapshot::Footprint& footprint) {
  if (condition.delivery || condition.device) return true;
  if (condition.breakpoint && footprint.linear.executed.may_hold(condition.breakpoint->address.value))
    return true;
  if (!condition.watchpoint) return false;
  const engine::port::WatchRange& range = condition.watchpoint->range;
  return range.read ||
         may_be_written(range, range.physical ? footprint.ram_written : footprint.linear.written);
}

}  // namespace

std::vector<Interval> cut(Position from, Position to, const std::vector<Position>& snapshots) {
  std::vector<Interval> pieces;
  Position end = to;
  for (auto at = snapshots.rbegin(); at != snapshots.rend() && *at > from; ++at) {
    if (*at >= end) continue;
    const std::uint64_t far = (to.icount - at->icount) / 4;
    if (end.icount - at->icount < std::clamp(far, kShortestPiece, kLongestPiece)) continue;
    pieces.push_back({*at, end});
    end = *at;
  }
  if (from < end) pieces.push_back({from, end});
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<Interval> without_untouched(
    Interval interval, const std::vector<Condition>& conditions,
    const std::vector<std::shared_ptr<const snapshot::Footprint>>& footprints) {
  std::vector<Interval> untouched;
  for (const auto& footprint : footprints) {
    if (std::none_of(conditions.begin(), conditions.end(),
                     [&](const Condition& condition) { return may_be_met(condition, *footprint); }))
      untouched.push_back({footprint->from, footprint->to});
  }
  std::sort(untouched.begin(), untouched.end(),
            [](const Interval& a, const Interval& b) { return a.from < b.from; });
  std::vector<Interval> left;
  Position begin = interval.from;
  for (const Interval& stretch : untouched) {
    if (stretch.from >= interval.to) break;
    if (begin < stretch.from) left.push_back({begin, stretch.from});
    begin = std::max(begin, stretch.to);
  }
  if (begin < interval.to) left.push_back({begin, interval.to});
  return left;
}

std::vector<Interval> joined(const std::vector<Interval>& pieces, const std::vector<Position>& snapshots) {
  std::vector<Interval> left;
  for (const Interval& piece : pieces) {
    const auto next = left.empty() ? snapshots.end()
                                   : std::upper_bound(snapshots.begin(), snapshots.end(), left.back().from);
    if (!left.empty() && (next == snapshots.end() || *next > piece.from))
      left.back().to = piece.to;
    else
      left.push_back(piece);
  }
  return left;
}

Result<RunEnd> Scan::scan(Runner& runner, const Interval& interval, Keep keep, std::vector<Hit>& hits) const {
  Result<RunEnd> ended = runner.seek(interval.from, false);
  if (!ended || *ended != RunEnd::reached) return ended;
  Watcher watcher(runner.machine(), conditions_, interval.to, [&](const Hit& hit) {
    if (hit.before >= interval.to) return false;
    if (keep == Keep::last) hits.clear();
    hits.push_back(hit);
    return false;
  });
  return runner.watch(watcher.interests(), watcher, watcher.limit());
}

void Scan::side_by_side(const std::function<void(std::size_t)>& work) const {
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < runners_.size(); ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
}

void Scan::found(std::size_t interval, const Hit& hit) {
  if (best_ && *best_ > interval) return;
  best_ = interval;
  hit_ = hit;
  for (std::size_t i = 0; i < runners_.size(); ++i)
    if (working_[i] < interval) runners_[i]->interrupt();
}

void Scan::search(std::size_t self, const std::vector<Interval>& intervals) {
  std::unique_lock lock(mutex_);
  while (left_ > 0 && !best_ && !failure_ && !interrupted_) {
    const std::size_t index = --left_;
    working_[self] = index;
    lock.unlock();
    std::vector<Hit> hits;
    const Result<RunEnd> ended = scan(*runners_[self], intervals[index], Keep::last, hits);
    lock.lock();
    const bool beaten = best_ && *best_ > index;
    if (!ended && !failure_) failure_ = ended.failure();
    if (ended && *ended == RunEnd::interrupted && !beaten) interrupted_ = true;
    if (ended && *ended != RunEnd::interrupted && !hits.empty()) found(index, hits.back());
    if (self == 0 && progress_)
      progress_(static_cast<double>(intervals.size() - left_) / static_cast<double>(intervals.size()));
  }
  working_[self] = intervals.size();
}

Result<std::optional<Hit>> Scan::last(const std::vector<Interval>& intervals) {
  left_ = intervals.size();
  working_.assign(runners_.size(), intervals.size());
  side_by_side([&](std::size_t self) { search(self, intervals); });
  if (failure_) return *failure_;
  return hit_;
}

Status Scan::all(const std::vector<Interval>& intervals, const std::function<bool(const Hit&)>& visit) {
  for (std::size_t first = 0; first < intervals.size() && !interrupted_; first += runners_.size()) {
    const std::size_t count = std::min(runners_.size(), intervals.size() - first);
    std::vector<std::vector<Hit>> hits(runners_.size());
    side_by_side([&](std::size_t self) {
      if (self >= count) return;
      const Result<RunEnd> ended = scan(*runners_[self], intervals[first + self], Keep::all, hits[self]);
      const std::lock_guard lock(mutex_);
      if (!ended && !failure_) failure_ = ended.failure();
      if (ended && *ended == RunEnd::interrupted) interrupted_ = true;
    });
    if (failure_) return *failure_;
    // What was found in a piece that was not searched to its end may not be what comes next.
    if (interrupted_) return Done{};
    if (progress_) progress_(static_cast<double>(first + count) / static_cast<double>(intervals.size()));
    for (const std::vector<Hit>& some : hits)
      for (const Hit& hit : some)
        if (!visit(hit)) return Done{};
  }
  return Done{};
}

}  // namespace hindsight::replay::timeline
