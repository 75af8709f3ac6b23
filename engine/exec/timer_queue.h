// The machine's deadlines in virtual time. Owned by the machine; the run loop's thread only. Deterministic:
// due timers fire in the order of (deadline, TimerId).
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/port/time.h"

namespace hindsight::engine::exec {

class TimerQueue final : public port::TimerService {
 public:
  TimerId create(std::string_view name, std::function<void()> callback) override;
  void arm(TimerId timer, VirtualTime deadline) override;
  void cancel(TimerId timer) override;

  /// The earliest deadline; VirtualTime::max() if none is armed.
  [[nodiscard]] VirtualTime next() const;
  /// Fires each timer due at `now` once; one that is armed again for the past fires at the next call.
  /// True: one fired.
  bool fire_due(VirtualTime now);

 private:
  struct Timer {
    std::string name;
    std::function<void()> callback;
    VirtualTime deadline = VirtualTime::max();
  };
  std::vector<Timer> timers_;
  std::set<std::pair<VirtualTime, TimerId>> armed_;
};

}  // namespace hindsight::engine::exec
