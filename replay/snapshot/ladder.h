// The snapshots there are, in memory and in the trace, within a budget. Shared by the machines of a timeline.
// Any thread. Which snapshots there are changes how long an answer takes, never the answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "replay/snapshot/snapshot.h"

namespace hindsight::replay::snapshot {

class Ladder final {
 public:
  /// Reads a snapshot from the trace. Any thread.
  using Loader = std::function<Result<std::shared_ptr<const Snapshot>>()>;

  explicit Ladder(std::uint64_t budget_bytes) : budget_(budget_bytes) {}

  /// The last snapshot at or before `at`; never null once one at power-on was inserted. One that the trace
  /// holds but that cannot be read is passed over, with a warning.
  [[nodiscard]] std::shared_ptr<const Snapshot> nearest(Position at);
  /// Whether there is one at `at` that need not be read.
  [[nodiscard]] bool holds(Position at) const;
  /// Keeps a snapshot, and thins the ladder where it is dense and far from the cursor until it fits the
  /// budget. The first one always stays.
  void insert(std::shared_ptr<const Snapshot> snapshot);
  /// The trace holds a snapshot at `at`: it stays on the ladder whatever the budget, and `load` brings it
  /// back when its memory was needed.
  void insert_stored(Position at, Loader load);
  void insert(std::shared_ptr<const Footprint> footprint);
  /// What is known of stretches that lie in or overlap [from, to): they stay known when the snapshots that
  /// brought them had to go.
  [[nodiscard]] std::vector<std::shared_ptr<const Footprint>> footprints(Position from, Position to) const;
  /// A footprint of no more than `longest` instructions tells what is executed right after `at`.
  [[nodiscard]] bool tells_executed(Position at, std::uint64_t longest) const;
  /// Where the user is: what is near is kept longest.
  void set_cursor(Position at);
  /// Those in memory alone from which somebody started, with nothing in the trace less than `gap`
  /// instructions before them: worth keeping for the next session. In order.
  [[nodiscard]] std::vector<std::shared_ptr<const Snapshot>> useful(std::uint64_t gap) const;
  /// In order.
  [[nodiscard]] std::vector<Position> positions() const;
  /// Those that the trace holds, in order.
  [[nodiscard]] std::vector<Position> stored_positions() const;
  /// Puts on another ladder what this one has in memory of before `end`: history that is past for good,
  /// however far the trace has grown by the time it is used.
  void copy_to(Ladder& other, Position end) const;
  /// Memory taken now.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Rung {
    std::shared_ptr<const Snapshot> snapshot;  ///< nullptr: only in the trace
    Loader load;                               ///< empty: only in memory
    std::uint64_t own = 0;                     ///< bytes that the rung in memory below it does not have
    bool damaged = false;
    bool used = false;  ///< nearest() gave it out
  };
  using Rungs = std::map<Position, Rung>;

  // All with mutex_ held.
  Rungs::iterator loaded_below(Rungs::iterator rung);
  Rungs::iterator loaded_above(Rungs::iterator rung);
  void recount(Rungs::iterator rung);
  void keep(Rungs::iterator rung, std::shared_ptr<const Snapshot> snapshot);
  void keep(std::shared_ptr<const Footprint> footprint);
  void release(Rungs::iterator rung);
  void thin(Position spared);
  [[nodiscard]] double worth(Rungs::iterator rung);

  const std::uint64_t budget_;
  mutable std::mutex mutex_;
  Rungs rungs_;  // guarded by mutex_, as is all below
  /// By where they end.
  std::multimap<Position, std::shared_ptr<const Footprint>> footprints_;
  Position cursor_;
  std::uint64_t bytes_ = 0;  ///< the sum of `own`, and the footprints
};

}  // namespace hindsight::replay::snapshot
