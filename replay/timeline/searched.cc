#include "replay/timeline/searched.h"

#include <algorithm>

namespace hindsight::replay::timeline {

/// A predicate cannot be told from another, and what comes from outside the CPU is seldom looked for twice.
bool Searched::has_key(const Condition& condition) {
  return !condition.when && !condition.delivery && !condition.device &&
         condition.breakpoint.has_value() != condition.watchpoint.has_value();
}

Searched::Key Searched::key_of(const Condition& condition) {
  if (condition.breakpoint) return {condition.breakpoint->address.value, {}, {}, 0, {}, {}, {}};
  const engine::port::WatchRange& range = condition.watchpoint->range;
  return {0,
          range.physical,
          range.first,
          range.size,
          range.read,
          range.write,
          condition.watchpoint->only_changes};
}

void Searched::add(const std::vector<Condition>& conditions, Interval stretch) {
  if (stretch.from >= stretch.to) return;
  for (const Condition& condition : conditions) {
    if (!has_key(condition)) continue;
    if (stretches_.size() >= kMostConditions) stretches_.clear();
    std::vector<Interval>& known = stretches_[key_of(condition)];
    const auto first = std::find_if(known.begin(), known.end(),
                                    [&](const Interval& other) { return other.to >= stretch.from; });
    Interval whole = stretch;
    auto last = first;
    for (; last != known.end() && last->from <= stretch.to; ++last)
      whole = {std::min(whole.from, last->from), std::max(whole.to, last->to)};
    known.insert(known.erase(first, last), whole);
  }
}

const std::vector<Interval>& Searched::without(const Condition& condition) const {
  static const std::vector<Interval> kNone;
  if (!has_key(condition)) return kNone;
  const auto known = stretches_.find(key_of(condition));
  return known == stretches_.end() ? kNone : known->second;
}

}  // namespace hindsight::replay::timeline
