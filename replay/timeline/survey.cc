#include "replay/timeline/survey.h"

#include <algorithm>
#include <thread>

namespace hindsight::replay::timeline {
namespace {

using engine::port::Access;
using engine::port::Delivery;
using engine::port::DeviceAccess;
using engine::port::Interests;
using engine::port::Transfer;

/// Passes on what lies before `until`, and stops the machine there where that is between two deliveries.
class Gate final : public engine::port::Observer {
 public:
  Gate(Onlooker& onlooker, const Interests& interests, Position until)
      : onlooker_(onlooker), deliveries_(interests.deliveries), until_(until) {}

  [[nodiscard]] Icount limit() const { return until_.delivery == 0 ? until_.icount : until_.icount + 1; }

  bool breakpoint(Position at, GuestVirt pc) override { return at >= until_ || onlooker_.breakpoint(at, pc); }
  bool access(const Access& access) override { return access.at >= until_ || onlooker_.access(access); }
  bool device(const DeviceAccess& access) override { return access.at >= until_ || onlooker_.device(access); }
  bool transfer(const Transfer& transfer) override {
    return transfer.at >= until_ || onlooker_.transfer(transfer);
  }
  bool delivery(const Delivery& delivery) override {
    if (delivery.at >= until_) return true;
    const bool stop = deliveries_ && onlooker_.delivery(delivery);
    return stop || Position{delivery.at.icount, delivery.at.delivery + 1} >= until_;
  }

 private:
  Onlooker& onlooker_;
  const bool deliveries_;
  const Position until_;
};

}  // namespace

Result<RunEnd> Survey::look(Runner& runner, const Interval& interval, Onlooker& onlooker) const {
  Result<RunEnd> ended = runner.seek(interval.from, false);
  if (!ended || *ended != RunEnd::reached) return ended;
  Gate gate(onlooker, interests_, interval.to);
  Interests interests = interests_;
  interests.deliveries |= interval.to.delivery != 0;
  onlooker.begin(runner.machine(), interval.to);
  runner.show_outputs(&onlooker);
  ended = runner.watch(interests, gate, gate.limit());
  runner.show_outputs(nullptr);
  if (ended) onlooker.end(runner.machine());
  return ended;
}

Status Survey::run(const std::vector<Interval>& intervals, const std::function<bool(Onlooker&)>& done) {
  for (std::size_t first = 0; first < intervals.size(); first += runners_.size()) {
    const std::size_t count = std::min(runners_.size(), intervals.size() - first);
    std::vector<std::unique_ptr<Onlooker>> onlookers(count);
    bool interrupted = false;
    const auto work = [&](std::size_t i) {
      onlookers[i] = make_();
      const Result<RunEnd> ended = look(*runners_[i], intervals[first + i], *onlookers[i]);
      const std::lock_guard lock(mutex_);
      if (!ended && !failure_) failure_ = ended.failure();
      interrupted |= ended && *ended == RunEnd::interrupted;
    };
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work, i);
    work(0);
    for (std::thread& thread : threads) thread.join();
    if (failure_) return *failure_;
    if (interrupted) return error("interrupted");
    if (progress_) progress_(static_cast<double>(first + count) / static_cast<double>(intervals.size()));
    for (const auto& onlooker : onlookers)
      if (!done(*onlooker)) return Done{};
  }
  return Done{};
}

}  // namespace hindsight::replay::timeline
