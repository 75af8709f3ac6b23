// What searches have answered before: stretches of history in which a condition is not met. The trace does
// not change, so nobody has to look there again. Owned by a timeline, shared by its scans; one thread at a
// time.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "replay/timeline/conditions.h"

namespace hindsight::replay::timeline {

class Searched final {
 public:
  /// None of `conditions` is met in [from, to).
  void add(const std::vector<Condition>& conditions, Interval stretch);
  /// In order; neighbours are one.
  [[nodiscard]] const std::vector<Interval>& without(const Condition& condition) const;

 private:
  /// More are forgotten, all at once.
  static constexpr std::size_t kMostConditions = 1000;
  /// All that decides whether a breakpoint or a watchpoint is met: its address; or whether that is physical,
  /// its first byte, size, reads, writes, only changes.
  using Key = std::tuple<std::uint64_t, bool, std::uint64_t, std::uint64_t, bool, bool, bool>;
  static bool has_key(const Condition& condition);
  static Key key_of(const Condition& condition);

  std::map<Key, std::vector<Interval>> stretches_;
};

}  // namespace hindsight::replay::timeline
