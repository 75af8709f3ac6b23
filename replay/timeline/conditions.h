// What a move along the timeline stops at. Plain values, copied to every machine that takes part in a scan.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/port/debug.h"
#include "engine/port/machine.h"

namespace hindsight::replay::timeline {

using engine::port::Position;

/// [from, to) on the timeline.
struct Interval {
  Position from, to;
};

/// Looks at a machine that stands at a hit and says whether it counts. Called on any thread, each call with a
/// machine of that thread's own; must not keep it or change it.
using Predicate = std::function<bool(engine::port::Machine&)>;

struct Breakpoint {
  GuestVirt address;
};
struct Watchpoint {
  engine::port::WatchRange range;
  bool only_changes = false;  ///< of writes, only those that changed a byte
};
/// Exceptions or interrupts by vector.
struct DeliveryStop {
  bool interrupts = false, exceptions = false;
  std::bitset<256> vectors = std::bitset<256>().set();
};
/// Accesses to a device's registers.
struct DeviceStop {
  std::string device;  ///< as mapped on the bus ("serial0"); empty: every device
  bool read = true, write = true;
};

/// One stop condition; `id` is the caller's.
struct Condition {
  int id = 0;
  std::optional<Breakpoint> breakpoint = {};
  std::optional<Watchpoint> watchpoint = {};
  std::optional<DeliveryStop> delivery = {};
  std::optional<DeviceStop> device = {};
  Predicate when = {};  ///< empty: always
};

/// A condition that was met. `before` is the position from which the machine went on to meet it (for a
/// breakpoint, the breakpoint itself), `after` the one it reached by it.
struct Hit {
  int id = 0;
  Position before = {}, after = {};
  std::optional<engine::port::Access> access = {};
  std::optional<engine::port::Delivery> delivery = {};
  std::optional<engine::port::DeviceAccess> device = {};
};

}  // namespace hindsight::replay::timeline
