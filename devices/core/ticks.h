// Conversion between virtual nanoseconds and the ticks of a fixed-rate clock that started at power-on. Exact:
// no drift however long the machine runs. Pure functions; any thread; deterministic.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/base/types.h"

namespace hindsight::devices::core {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

__extension__ using Wide = unsigned __int128;

/// Whole ticks of a `hertz` clock that have passed at `time`.
[[nodiscard]] constexpr std::uint64_t ticks_at(VirtualTime time, std::uint64_t hertz) {
  return static_cast<std::uint64_t>(Wide{time.value} * hertz / kNanosecondsPerSecond);
}

/// The earliest time at which ticks_at() is `tick` or more; VirtualTime::max() if beyond the end of time.
[[nodiscard]] constexpr VirtualTime time_of_tick(Wide tick, std::uint64_t hertz) {
  constexpr Wide kMost = std::numeric_limits<std::uint64_t>::max();
  if (tick > kMost * hertz / kNanosecondsPerSecond) return VirtualTime::max();
  const Wide time = (tick * kNanosecondsPerSecond + hertz - 1) / hertz;
  return time > kMost ? VirtualTime::max() : VirtualTime(static_cast<std::uint64_t>(time));
}

}  // namespace hindsight::devices::core
