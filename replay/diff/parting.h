// Where two recordings of one machine part: both are replayed side by side, and their states compared by
// digest, until the step after which they differ. Free functions; the thread of the timelines, which are
// moved.
#pragma once

#include <optional>

#include "engine/base/result.h"
#include "replay/timeline/timeline.h"

namespace hindsight::replay::diff {

using engine::port::Position;

struct Parting {
  /// The last position at which the machines agree in everything; none: they differ at power-on.
  std::optional<Position> at;
  Position next_a, next_b;  ///< where one step from there leads; the timelines stand there
};

/// The first parting at or after `from`, up to where the shorter recording ends; none: there is no difference
/// up to there. Exact when the machines, once they differ, go on to differ: they are compared at every
/// position near `from`, and at ever larger distances from there on. Where they differ at `from` already, the
/// parting before it. An Error: a trace is damaged, a replay diverged, or interrupt() was called on a
/// timeline.
Result<std::optional<Parting>> first_difference(timeline::Timeline& a, timeline::Timeline& b, Position from);

}  // namespace hindsight::replay::diff
