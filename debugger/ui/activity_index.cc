#include "debugger/ui/activity_index.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindsight::debugger::ui {
namespace {

using Kind = session::Happening::Kind;
using Group = LaneInfo::Group;

/// Adds to each column how many of the sorted `at` lie in it. Columns wider than what lies in them are
/// stepped over by searching, others by walking.
void count_into(const std::vector<std::uint64_t>& at, std::uint64_t from, std::uint64_t to,
                std::vector<std::uint32_t>& columns) {
  auto next = std::lower_bound(at.begin(), at.end(), from);
  const auto end = std::lower_bound(next, at.end(), to);
  const double width = static_cast<double>(to - from) / static_cast<double>(columns.size());
  const auto column_of = [&](std::uint64_t icount) {
    return std::min(columns.size() - 1, static_cast<std::size_t>(static_cast<double>(icount - from) / width));
  };
  while (next != end) {
    const std::size_t column = column_of(*next);
    // Everything up to the column's end, found by doubling steps: dense columns cost a logarithm.
    std::ptrdiff_t step = 1;
    while (end - next > step && column_of(next[step]) == column) step *= 2;
    const auto stop = std::partition_point(next + step / 2, next + std::min(step, end - next),
                                           [&](std::uint64_t icount) { return column_of(icount) == column; });
    columns[column] += static_cast<std::uint32_t>(stop - next);
    next = stop;
  }
}

}  // namespace

LaneInfo ActivityIndex::info_of(const session::Activity& activity, const session::Happening& what) {
  switch (what.kind) {
    case Kind::exception:
      return {Group::exceptions, 0, "exceptions"};
    case Kind::interrupt:
      return {Group::interrupts, what.vector, fmt::format("interrupt {:02x}", what.vector)};
    case Kind::system_call:
      return {Group::system_calls, 0, "system calls"};
    case Kind::context_switch:
      return {Group::context_switches, 0, "context switches"};
    case Kind::device_read:
    case Kind::device_write:
      return {Group::device, 0, activity.sources[what.source]};
    case Kind::output:
      break;
  }
  return {Group::output, 0, activity.sources[what.source] + " out"};
}

std::optional<std::size_t> ActivityIndex::find(const LaneInfo& info) const {
  const auto found = std::ranges::find(lanes_, info);
  if (found == lanes_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - lanes_.begin());
}

std::size_t ActivityIndex::lane(const LaneInfo& info) {
  if (const auto found = find(info)) return *found;
  lanes_.push_back(info);
  return lanes_.size() - 1;
}

std::size_t ActivityIndex::lane_of(const Stretch& stretch, const session::Happening& what) const {
  return find(info_of(stretch.activity, what)).value_or(0);
}

void ActivityIndex::add(session::Activity activity, std::unordered_map<std::uint64_t, std::string> names) {
  auto stretch = std::make_shared<Stretch>();
  // A lane is looked up once for each kind, vector and source, not for each happening.
  std::vector<std::optional<std::size_t>> known;
  for (const session::Happening& what : activity.all) {
    const std::size_t key = what.kind == Kind::interrupt        ? 3U + what.vector
                            : what.kind == Kind::exception      ? 0U
                            : what.kind == Kind::system_call    ? 1U
                            : what.kind == Kind::context_switch ? 2U
                            : what.kind == Kind::output         ? 259U + 2U * what.source
                                                                : 260U + 2U * what.source;
    if (key >= known.size()) known.resize(key + 1);
    if (!known[key]) known[key] = lane(info_of(activity, what));
    const std::size_t index = *known[key];
    if (index >= stretch->lanes.size()) stretch->lanes.resize(index + 1);
    stretch->lanes[index].push_back(what.at.icount.value);
  }
  gathered_to_ = activity.to;
  stretch->activity = std::move(activity);
  stretch->names = std::move(names);
  stretches_.push_back(std::move(stretch));
}

void ActivityIndex::set_events(const std::vector<session::EventInfo>& events) {
  auto stretch = std::make_shared<Stretch>();
  for (const session::EventInfo& event : events) {
    const bool input = event.kind == "input";
    const std::size_t index =
        lane({input ? Group::input : Group::sample, 0, event.channel + (input ? " in" : " sample")});
    if (index >= stretch->lanes.size()) stretch->lanes.resize(index + 1);
    stretch->lanes[index].push_back(event.at.icount.value);
  }
  events_ = std::move(stretch);
}

std::uint64_t ActivityIndex::total(std::size_t lane) const {
  std::uint64_t sum = events_ && lane < events_->lanes.size() ? events_->lanes[lane].size() : 0;
  for (const auto& stretch : stretches_)
    if (lane < stretch->lanes.size()) sum += stretch->lanes[lane].size();
  return sum;
}

std::vector<std::uint32_t> ActivityIndex::density(std::size_t lane, std::uint64_t from, std::uint64_t to,
                                                  std::size_t columns) const {
  std::vector<std::uint32_t> counts(columns);
  if (columns == 0 || to <= from) return counts;
  if (events_ && lane < events_->lanes.size()) count_into(events_->lanes[lane], from, to, counts);
  for (const auto& stretch : stretches_) {
    if (stretch->activity.from.icount.value >= to) break;
    if (stretch->activity.to.icount.value < from || lane >= stretch->lanes.size()) continue;
    count_into(stretch->lanes[lane], from, to, counts);
  }
  return counts;
}

std::optional<std::uint64_t> ActivityIndex::nearest(std::size_t lane, std::uint64_t icount,
                                                    std::uint64_t reach) const {
  std::optional<std::uint64_t> best;
  const auto consider = [&](std::uint64_t at) {
    const std::uint64_t distance = at > icount ? at - icount : icount - at;
    if (distance > reach) return;
    reach = distance;
    best = at;
  };
  const auto look = [&](const Stretch& stretch) {
    if (lane >= stretch.lanes.size() || stretch.lanes[lane].empty()) return;
    const auto& all = stretch.lanes[lane];
    const auto at = std::lower_bound(all.begin(), all.end(), icount);
    if (at != all.end()) consider(*at);
    if (at != all.begin()) consider(*std::prev(at));
  };
  if (events_) look(*events_);
  for (const auto& stretch : stretches_) look(*stretch);
  return best;
}

std::vector<ActivityIndex::Item> ActivityIndex::items(std::uint64_t from, std::uint64_t to,
                                                      std::size_t most) const {
  std::vector<Item> found;
  for (const auto& stretch : stretches_) {
    if (stretch->activity.to.icount.value < from) continue;
    if (stretch->activity.from.icount.value >= to) break;
    const auto& all = stretch->activity.all;
    auto at = std::lower_bound(
        all.begin(), all.end(), from,
        [](const session::Happening& what, std::uint64_t icount) { return what.at.icount.value < icount; });
    for (; at != all.end() && at->at.icount.value < to; ++at) {
      if (found.size() == most) return found;
      found.push_back({stretch.get(), &*at});
    }
  }
  return found;
}

}  // namespace hindsight::debugger::ui
