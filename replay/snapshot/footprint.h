// What a machine touched on the way from one position to another: a search may leave out a stretch of history
// in which nothing of what it looks for can have happened. Immutable; any thread.
#pragma once

#include "engine/port/debug.h"
#include "engine/port/page_set.h"

namespace hindsight::replay::snapshot {

struct Footprint {
  /// Shorter stretches are replayed sooner than looked up.
  static constexpr std::uint64_t kShortest = 1'000'000;

  engine::port::Position from, to;
  engine::port::PageSet ram_written;  ///< physical pages, whoever wrote
  engine::port::TouchedPages linear;
};

}  // namespace hindsight::replay::snapshot
