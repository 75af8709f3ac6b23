#include "replay/snapshot/ladder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/log.h"

namespace hindsight::replay::snapshot {
namespace {

/// A rung that the trace holds is cheaper to lose: it can be read again.
constexpr double kStoredWorth = 0.25;

double distance(Position a, Position b) {
  return a < b ? static_cast<double>(b.icount - a.icount) : static_cast<double>(a.icount - b.icount);
}

}  // namespace

Ladder::Rungs::iterator Ladder::loaded_below(Rungs::iterator rung) {
  while (rung != rungs_.begin()) {
    if ((--rung)->second.snapshot != nullptr) return rung;
  }
  return rungs_.end();
}

Ladder::Rungs::iterator Ladder::loaded_above(Rungs::iterator rung) {
  do {
    ++rung;
  } while (rung != rungs_.end() && rung->second.snapshot == nullptr);
  return rung;
}

/// Pages that are shared at all are shared by neighbours in time, so what a rung costs is what the one below
/// does not have.
void Ladder::recount(Rungs::iterator rung) {
  bytes_ -= std::exchange(rung->second.own, 0);
  if (rung->second.snapshot == nullptr) return;
  const auto below = loaded_below(rung);
  const Snapshot* base = below == rungs_.end() ? nullptr : below->second.snapshot.get();
  rung->second.own = rung->second.snapshot->bytes_beyond(base);
  bytes_ += rung->second.own;
}

void Ladder::keep(Rungs::iterator rung, std::shared_ptr<const Snapshot> snapshot) {
  rung->second.snapshot = std::move(snapshot);
  recount(rung);
  if (const auto above = loaded_above(rung); above != rungs_.end()) recount(above);
  thin(rung->first);
}

void Ladder::release(Rungs::iterator rung) {
  const auto above = loaded_above(rung);
  rung->second.snapshot = nullptr;
  recount(rung);
  if (!rung->second.load) rungs_.erase(rung);
  if (above != rungs_.end()) recount(above);
}

/// The longer the way from the rung below without this one, and the nearer the cursor, the more it is worth.
double Ladder::worth(Rungs::iterator rung) {
  const auto below = std::prev(rung);
  const auto above = std::next(rung);
  const double gap =
      above != rungs_.end() ? distance(below->first, above->first) : 2 * distance(below->first, rung->first);
  const double value = (gap + 1) / (distance(rung->first, cursor_) + 1);
  return rung->second.load ? value * kStoredWorth : value;
}

void Ladder::thin(Position spared) {
  while (bytes_ > budget_) {
    auto least = rungs_.end();
    double least_worth = 0;
    for (auto rung = rungs_.begin(); rung != rungs_.end(); ++rung) {
      if (rung == rungs_.begin() || rung->second.snapshot == nullptr || rung->first == spared) continue;
      const double value = worth(rung);
      if (least != rungs_.end() && value >= least_worth) continue;
      least = rung;
      least_worth = value;
    }
    if (least == rungs_.end()) return;  // what is left is needed
    release(least);
  }
}

std::shared_ptr<const Snapshot> Ladder::nearest(Position at) {
  std::unique_lock lock(mutex_);
  while (true) {
    auto rung = rungs_.upper_bound(at);
    do {
      if (rung == rungs_.begin()) return nullptr;
      --rung;
    } while (rung->second.damaged);
    rung->second.used = true;
    if (rung->second.snapshot != nullptr) return rung->second.snapshot;
    const Position found = rung->first;
    const Loader load = rung->second.load;
    lock.unlock();
    Result<std::shared_ptr<const Snapshot>> loaded = load();
    lock.lock();
    rung = rungs_.find(found);  // a rung in the trace stays on the ladder
    if (loaded) {
      if (rung->second.snapshot == nullptr) keep(rung, *loaded);
      return *loaded;
    }
    rung->second.damaged = true;
    log::warn("snapshot", "passing over the snapshot at icount {}: {}", found.icount.value,
              loaded.failure().message);
  }
}

bool Ladder::holds(Position at) const {
  const std::lock_guard lock(mutex_);
  const auto rung = rungs_.find(at);
  return rung != rungs_.end() && rung->second.snapshot != nullptr;
}

void Ladder::insert(std::shared_ptr<const Snapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  if (snapshot->footprint != nullptr) keep(snapshot->footprint);
  const auto [rung, added] = rungs_.try_emplace(snapshot->at);
  if (rung->second.snapshot != nullptr) return;
  rung->second.damaged = false;
  keep(rung, std::move(snapshot));
}

void Ladder::insert(std::shared_ptr<const Footprint> footprint) {
  const std::lock_guard lock(mutex_);
  keep(std::move(footprint));
}

void Ladder::keep(std::shared_ptr<const Footprint> footprint) {
  const auto [first, last] = footprints_.equal_range(footprint->to);
  const bool known = std::any_of(first, last, [&](const auto& other) {
    return other.second->from == footprint->from && other.second->tells_written == footprint->tells_written &&
           other.second->tells_executed == footprint->tells_executed;
  });
  if (known) return;
  footprints_.emplace(footprint->to, std::move(footprint));
  bytes_ += sizeof(Footprint);
}

std::vector<std::shared_ptr<const Footprint>> Ladder::footprints(Position from, Position to) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Footprint>> found;
  for (auto known = footprints_.upper_bound(from); known != footprints_.end(); ++known) {
    if (known->second->from < to) found.push_back(known->second);
  }
  return found;
}

bool Ladder::tells_executed(Position at, std::uint64_t longest) const {
  const std::lock_guard lock(mutex_);
  for (auto known = footprints_.upper_bound(at); known != footprints_.end(); ++known) {
    const Footprint& footprint = *known->second;
    if (footprint.to.icount - at.icount > longest) return false;
    if (footprint.tells_executed && footprint.from <= at &&
        footprint.to.icount - footprint.from.icount <= longest)
      return true;
  }
  return false;
}

void Ladder::insert_stored(Position at, Loader load) {
  const std::lock_guard lock(mutex_);
  rungs_[at].load = std::move(load);
}

void Ladder::set_cursor(Position at) {
  const std::lock_guard lock(mutex_);
  cursor_ = at;
}

std::vector<std::shared_ptr<const Snapshot>> Ladder::useful(std::uint64_t gap) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Snapshot>> some;
  Position kept;  // power-on needs no snapshot
  for (const auto& [at, rung] : rungs_) {
    const bool wanted =
        rung.load || (rung.used && rung.snapshot != nullptr && at.icount - kept.icount >= gap);
    if (!wanted) continue;
    kept = at;
    if (!rung.load) some.push_back(rung.snapshot);
  }
  return some;
}

std::vector<Position> Ladder::positions() const {
  const std::lock_guard lock(mutex_);
  std::vector<Position> all;
  for (const auto& [at, rung] : rungs_) all.push_back(at);
  return all;
}

std::vector<Position> Ladder::stored_positions() const {
  const std::lock_guard lock(mutex_);
  std::vector<Position> all;
  for (const auto& [at, rung] : rungs_) {
    if (rung.load) all.push_back(at);
  }
  return all;
}

void Ladder::copy_to(Ladder& other, Position end) const {
  std::vector<std::shared_ptr<const Snapshot>> snapshots;
  std::vector<std::shared_ptr<const Footprint>> footprints;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [at, rung] : rungs_)
      if (rung.snapshot != nullptr && at.icount < end.icount) snapshots.push_back(rung.snapshot);
    for (const auto& [to, footprint] : footprints_)
      if (footprint->to.icount < end.icount) footprints.push_back(footprint);
  }
  for (auto& snapshot : snapshots) other.insert(std::move(snapshot));
  for (auto& footprint : footprints) other.insert(std::move(footprint));
}

std::uint64_t Ladder::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace hindsight::replay::snapshot
