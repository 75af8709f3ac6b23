#include "replay/timeline/watcher.h"

#include <algorithm>

namespace hindsight::replay::timeline {
namespace {

using engine::port::Access;
using engine::port::Interests;
using engine::port::WatchRange;

/// The access touches a byte of the range in the way that it watches.
bool touches(const Access& access, const WatchRange& range) {
  if (access.write ? !range.write : !range.read) return false;
  if (!range.physical && access.origin != engine::port::AccessOrigin::instruction) return false;
  const std::uint64_t first = range.physical ? access.physical.value : access.linear.value;
  return first - range.first < range.size || range.first - first < access.size;
}

/// A write that left every watched byte as it was, as far as Access tells: only its first 8 bytes.
bool leaves_unchanged(const Access& access, const WatchRange& range) {
  const std::uint64_t first = range.physical ? access.physical.value : access.linear.value;
  for (std::uint64_t i = 0; i < access.size; ++i) {
    if (first + i - range.first >= range.size) continue;
    if (i >= 8 || ((access.before ^ access.after) >> (8 * i) & 0xFF) != 0) return false;
  }
  return true;
}

}  // namespace

Interests Watcher::interests() const {
  Interests interests;
  interests.deliveries = until_.delivery != 0;
  for (const Condition& condition : conditions_) {
    if (condition.breakpoint) interests.breakpoints.push_back(condition.breakpoint->address);
    if (condition.watchpoint) interests.ranges.push_back(condition.watchpoint->range);
    interests.deliveries |= condition.delivery.has_value();
    interests.devices |= condition.device.has_value();
  }
  return interests;
}

bool Watcher::met(const Condition& condition, Hit hit) {
  if (condition.when && !condition.when(machine_)) return false;
  hit.id = condition.id;
  return on_hit_(hit);
}

bool Watcher::breakpoint(Position at, GuestVirt pc) {
  return std::any_of(conditions_.begin(), conditions_.end(), [&](const Condition& c) {
    return c.breakpoint && c.breakpoint->address == pc && met(c, {.before = at, .after = at});
  });
}

bool Watcher::access(const Access& access) {
  return std::any_of(conditions_.begin(), conditions_.end(), [&](const Condition& c) {
    if (!c.watchpoint || !touches(access, c.watchpoint->range)) return false;
    if (c.watchpoint->only_changes && access.write && leaves_unchanged(access, c.watchpoint->range))
      return false;
    return met(c, {.before = access.at, .access = access});
  });
}

bool Watcher::device(const engine::port::DeviceAccess& access) {
  return std::any_of(conditions_.begin(), conditions_.end(), [&](const Condition& c) {
    if (!c.device || (!c.device->device.empty() && c.device->device != access.device)) return false;
    if (access.write ? !c.device->write : !c.device->read) return false;
    return met(c, {.before = access.at, .device = access});
  });
}

bool Watcher::delivery(const engine::port::Delivery& delivery) {
  const Position after{delivery.at.icount, delivery.at.delivery + 1};
  const bool stop = std::any_of(conditions_.begin(), conditions_.end(), [&](const Condition& c) {
    if (!c.delivery || !c.delivery->vectors.test(delivery.vector)) return false;
    if (delivery.interrupt ? !c.delivery->interrupts : !c.delivery->exceptions) return false;
    return met(c, {.before = delivery.at, .delivery = delivery});
  });
  return stop || after >= until_;
}

}  // namespace hindsight::replay::timeline
