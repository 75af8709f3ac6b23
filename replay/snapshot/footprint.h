// What a machine touched on the way from one position to another: a search may leave out a stretch of history
// in which nothing of what it looks for can have happened. Immutable; any thread.
#pragma once

#include "engine/port/address_set.h"
#include "engine/port/debug.h"
#include "traces/store/records.h"

namespace hindsight::replay::snapshot {

struct Footprint {
  /// Shorter stretches are replayed sooner than looked up.
  static constexpr std::uint64_t kShortest = 1'000'000;

  engine::port::Position from, to;
  bool tells_written = true, tells_executed = true;  ///< false: anything may have been
  engine::port::PageSet ram_written;                 ///< physical pages, whoever wrote
  engine::port::Touched linear;
};

/// As a trace stores it. The other way round, `record` was read from a trace: its sets have the right size.
[[nodiscard]] traces::store::Footprint record_of(const Footprint& footprint);
[[nodiscard]] Footprint footprint_of(const traces::store::Footprint& record);

}  // namespace hindsight::replay::snapshot
