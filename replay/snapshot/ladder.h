// The snapshots there are, in memory and in the trace, within a budget. Shared by the machines of a timeline.
// Any thread. Which snapshots there are changes how long an answer takes, never the answer.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "replay/snapshot/snapshot.h"

namespace hindsight::replay::snapshot {

class Ladder {
 public:
  explicit Ladder(std::uint64_t budget_bytes);
  ~Ladder();

  /// The last snapshot at or before `at`; never null once one at power-on was inserted.
  [[nodiscard]] std::shared_ptr<const Snapshot> nearest(Position at) const;
  /// Keeps a snapshot, and thins the ladder where it is dense and far from the cursor until it fits the
  /// budget. The one at power-on and those in the trace always stay (of the latter, only their pages leave
  /// memory).
  void insert(std::shared_ptr<const Snapshot> snapshot);
  /// Where the user is: what is near is kept longest.
  void set_cursor(Position at);
  /// In order.
  [[nodiscard]] std::vector<Position> positions() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindsight::replay::snapshot
