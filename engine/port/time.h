// Virtual time for devices. Deterministic: derived from the instruction count and recorded warps.
// The run loop's thread only.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "engine/base/types.h"

namespace hindsight::engine::port {

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual VirtualTime now() const = 0;
};

/// Deadlines in virtual time. A timer fires once, at the first instruction boundary whose virtual time is at
/// or past its deadline; timers due at the same boundary fire in the order of (deadline, TimerId). A timer's
/// deadline is not part of any saved state: a device re-arms its timers from its own state in load().
class TimerService {
 public:
  using TimerId = std::uint32_t;
  virtual ~TimerService() = default;
  /// Created once, while the board is built, in a fixed order. The callback may arm or cancel any timer.
  virtual TimerId create(std::string_view name, std::function<void()> callback) = 0;
  virtual void arm(TimerId timer, VirtualTime deadline) = 0;
  virtual void cancel(TimerId timer) = 0;
};

}  // namespace hindsight::engine::port
