#include "replay/timeline/scan.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include "engine/base/log.h"

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
  if (condition.breakpoint &&
      (!footprint.tells_executed || footprint.linear.executed.may_hold(condition.breakpoint->address.value)))
    return true;
  if (!condition.watchpoint) return false;
  if (!footprint.tells_written) return true;
  const engine::port::WatchRange& range = condition.watchpoint->range;
  return range.read ||
         may_be_written(range, range.physical ? footprint.ram_written : footprint.linear.written);
}

bool begins_before(const Interval& a, const Interval& b) { return a.from < b.from; }

/// What of `interval` lies in none of `others`; in order.
std::vector<Interval> difference(Interval interval, std::vector<Interval> others) {
  std::sort(others.begin(), others.end(), begins_before);
  std::vector<Interval> left;
  for (const Interval& other : others) {
    if (other.from >= interval.to) break;
    if (interval.from < other.from) left.push_back({interval.from, other.from});
    interval.from = std::max(interval.from, other.to);
  }
  if (interval.from < interval.to) left.push_back(interval);
  return left;
}

/// What lies in any of them, in order.
std::vector<Interval> united(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(), begins_before);
  std::vector<Interval> all;
  for (const Interval& interval : intervals) {
    if (!all.empty() && interval.from <= all.back().to)
      all.back().to = std::max(all.back().to, interval.to);
    else
      all.push_back(interval);
  }
  return all;
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

std::vector<Interval> worth_searching(
    Interval interval, const std::vector<Condition>& conditions,
    const std::vector<std::shared_ptr<const snapshot::Footprint>>& footprints, const Searched& searched) {
  std::vector<Interval> wanted;
  for (const Condition& condition : conditions) {
    std::vector<Interval> without = searched.without(condition);
    for (const auto& footprint : footprints)
      if (!may_be_met(condition, *footprint)) without.push_back({footprint->from, footprint->to});
    const std::vector<Interval> left = difference(interval, std::move(without));
    wanted.insert(wanted.end(), left.begin(), left.end());
  }
  return united(std::move(wanted));
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
  log::debug("timeline", "searching from {} to {}", interval.from.icount.value, interval.to.icount.value);
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

/// As many pieces as there are runners are next: each goes to the one that was nearest to it.
void Scan::deal(const std::vector<Interval>& intervals) {
  std::vector<std::size_t> idle(runners_.size());
  std::iota(idle.begin(), idle.end(), std::size_t{0});
  while (!idle.empty() && !left_.empty()) {
    const Position at = intervals[left_.back()].from;
    const auto nearest = std::min_element(idle.begin(), idle.end(), [&](std::size_t a, std::size_t b) {
      return runners_[a]->distance_from_known(at) < runners_[b]->distance_from_known(at);
    });
    working_[*nearest] = left_.back();
    left_.pop_back();
    idle.erase(nearest);
  }
}

std::optional<std::size_t> Scan::take(std::size_t self, const std::vector<Interval>& intervals) {
  if (failure_ || interrupted_) return std::nullopt;
  if (best_) left_.erase(left_.begin(), std::upper_bound(left_.begin(), left_.end(), *best_));
  if (left_.empty()) return std::nullopt;
  const auto end = left_.rbegin() + static_cast<std::ptrdiff_t>(std::min(runners_.size(), left_.size()));
  const auto chosen = std::min_element(left_.rbegin(), end, [&](std::size_t a, std::size_t b) {
    const auto distance = [&](std::size_t index) {
      return runners_[self]->distance_from_known(intervals[index].from);
    };
    return distance(a) < distance(b);
  });
  const std::size_t index = *chosen;
  left_.erase(std::next(chosen).base());
  return index;
}

void Scan::note_searched(const Interval& interval, const std::vector<Hit>& hits) {
  const Position from = hits.empty() ? interval.from : Position{hits.back().before.icount + 1, 0};
  searched_.add(conditions_, {from, interval.to});
}

void Scan::search(std::size_t self, const std::vector<Interval>& intervals) {
  std::unique_lock lock(mutex_);
  for (std::optional<std::size_t> index = working_[self]; index && *index < intervals.size();
       index = take(self, intervals)) {
    working_[self] = *index;
    lock.unlock();
    std::vector<Hit> hits;
    const Result<RunEnd> ended = scan(*runners_[self], intervals[*index], Keep::last, hits);
    lock.lock();
    const bool beaten = best_ && *best_ > *index;
    if (!ended && !failure_) failure_ = ended.failure();
    if (beaten) runners_[self]->clear_interrupt();  // found()'s, whether or not it was noticed
    if (ended && *ended == RunEnd::interrupted && !beaten) interrupted_ = true;
    if (ended && *ended != RunEnd::interrupted) {
      note_searched(intervals[*index], hits);
      if (!hits.empty()) found(*index, hits.back());
    }
    if (self == 0 && progress_)
      progress_(static_cast<double>(intervals.size() - left_.size()) / static_cast<double>(intervals.size()));
  }
  working_[self] = intervals.size();
}

Result<std::optional<Hit>> Scan::last(const std::vector<Interval>& intervals) {
  left_.resize(intervals.size());
  std::iota(left_.begin(), left_.end(), std::size_t{0});
  working_.assign(runners_.size(), intervals.size());
  deal(intervals);
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
      if (ended && *ended != RunEnd::interrupted) note_searched(intervals[first + self], hits[self]);
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
