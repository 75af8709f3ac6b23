#include "engine/exec/timer_queue.h"

#include "engine/base/check.h"

namespace hindsight::engine::exec {

port::TimerService::TimerId TimerQueue::create(std::string_view name, std::function<void()> callback) {
  timers_.push_back({std::string(name), std::move(callback), VirtualTime::max()});
  return static_cast<TimerId>(timers_.size() - 1);
}

void TimerQueue::arm(TimerId timer, VirtualTime deadline) {
  cancel(timer);
  if (deadline == VirtualTime::max()) return;
  timers_[timer].deadline = deadline;
  armed_.emplace(deadline, timer);
}

void TimerQueue::cancel(TimerId timer) {
  CHECK(timer < timers_.size(), "timer {} of {}", timer, timers_.size());
  armed_.erase({timers_[timer].deadline, timer});
  timers_[timer].deadline = VirtualTime::max();
}

VirtualTime TimerQueue::next() const { return armed_.empty() ? VirtualTime::max() : armed_.begin()->first; }

bool TimerQueue::fire_due(VirtualTime now) {
  // a guest can program a period shorter than an instruction: each timer fires at most once an instruction
  std::vector<TimerId> due;
  for (auto it = armed_.begin(); it != armed_.end() && it->first <= now; ++it) due.push_back(it->second);
  for (const TimerId timer : due) {
    if (timers_[timer].deadline > now) continue;
    cancel(timer);
    timers_[timer].callback();
  }
  return !due.empty();
}

}  // namespace hindsight::engine::exec
