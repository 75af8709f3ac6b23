#include "replay/timeline/runner.h"

#include <algorithm>
#include <array>

namespace hindsight::replay::timeline {

using engine::port::Interests;
using engine::port::StopReason;

namespace {

/// Stops at every delivery.
class DeliveryStopper final : public engine::port::Observer {
 public:
  bool breakpoint(Position, GuestVirt) override { return false; }
  bool access(const engine::port::Access&) override { return false; }
  bool device(const engine::port::DeviceAccess&) override { return false; }
  bool delivery(const engine::port::Delivery&) override { return true; }
  bool transfer(const engine::port::Transfer&) override { return false; }
};

const Interests kDeliveries{.breakpoints = {}, .ranges = {}, .deliveries = true};

/// How far before the place where a step back ended snapshots are left: each step back then runs a few
/// instructions, and a long walk back seldom has to replay much.
constexpr std::array<std::uint64_t, 5> kDense = {1'000'000, 100'000, 10'000, 1'000, 100};

}  // namespace

Result<std::unique_ptr<Runner>> Runner::create(const std::string& path, const MachineFactory& factory,
                                               snapshot::Ladder& ladder) {
  std::unique_ptr<Runner> runner(new Runner(ladder));
  auto trace = traces::store::TraceReader::open(path);
  if (!trace) return trace.failure();
  runner->trace_ = std::move(*trace);
  runner->player_ = std::make_unique<play::Player>(*runner->trace_);
  const traces::store::Place first = runner->trace_->first();
  runner->stands_ = ladder.nearest({first.icount, first.delivery}) == nullptr;
  auto built =
      factory(*runner->trace_, *runner->player_, runner->stands_ ? Contents::boot_files : Contents::none);
  if (!built) return built.failure();
  runner->built_ = std::move(*built);
  runner->player_->on_stop([r = runner.get()] { r->machine().request_stop(); });
  runner->snapshotter_ = std::make_unique<snapshot::Snapshotter>(
      runner->machine(), [&ladder](Position from) { return !ladder.tells_executed(from, kRung); });
  return runner;
}

Status Runner::trouble() {
  if (player_->damage()) return *player_->damage();
  if (!player_->divergence()) return Done{};
  play::Divergence divergence = *player_->divergence();
  divergence.where = machine().describe();
  return error("{}: the replay diverged: {}", trace_->path(), divergence.describe());
}

Result<RunEnd> Runner::run(Icount to) {
  if (interrupted_.load(std::memory_order_relaxed)) return RunEnd::interrupted;
  StopReason reason = machine().run(to);
  // A request to stop that came after the run it was meant for.
  if (reason == StopReason::interrupted && !interrupted_.load(std::memory_order_relaxed) && trouble())
    reason = machine().run(to);
  if (const Status fine = trouble(); !fine) return fine.failure();
  if (reason == StopReason::observed) return RunEnd::observed;
  if (reason == StopReason::interrupted && interrupted_.load(std::memory_order_relaxed))
    return RunEnd::interrupted;
  return RunEnd::reached;
}

Result<RunEnd> Runner::run_over_rungs(Icount to, const std::function<void(double)>& progress) {
  const Icount start = position().icount;
  while (position().icount < to) {
    const std::uint64_t begin = position().icount.value, rung = begin / kRung, next = (rung + 1) * kRung;
    const Icount until = std::min(to, Icount{next});
    const Result<RunEnd> ended = run(until);
    if (!ended || *ended != RunEnd::reached) return ended;
    if (position().icount < until) break;  // the machine is off
    if (begin == rung * kRung && until.value == next) known_.insert(rung);
    if (until.value == next && !ladder_.holds(position())) ladder_.insert(take_snapshot());
    if (progress) progress(static_cast<double>(until - start) / static_cast<double>(to - start));
  }
  return RunEnd::reached;
}

Result<RunEnd> Runner::watch(const Interests& interests, engine::port::Observer& observer, Icount to,
                             const std::function<void(double)>& progress) {
  machine().debug().observe(interests, &observer);
  const Result<RunEnd> ended = run_over_rungs(to, progress);
  machine().debug().observe({}, nullptr);
  return ended;
}

Result<RunEnd> Runner::run_to_delivery(Icount to) {
  DeliveryStopper stopper;
  machine().debug().observe(kDeliveries, &stopper);
  const Result<RunEnd> ended = run(to);
  machine().debug().observe({}, nullptr);
  return ended;
}

Result<RunEnd> Runner::deliver_up_to(Position to) {
  while (position() < to) {
    const Result<RunEnd> ended = run_to_delivery(to.icount + 1);
    if (!ended || *ended == RunEnd::interrupted) return ended;
    if (*ended == RunEnd::reached) break;
  }
  if (position() == to) return RunEnd::reached;
  return error("{}: no position {}+{}: fewer exceptions and interrupts were delivered there", trace_->path(),
               to.icount.value, to.delivery);
}

Result<std::uint64_t> Runner::count_deliveries(Position to) {
  std::uint64_t count = 0;
  while (position() < to) {
    const Result<RunEnd> ended = run_to_delivery(to.icount);
    if (!ended) return ended.failure();
    if (*ended != RunEnd::observed) break;
    ++count;
  }
  return count;
}

Status Runner::restore(const std::shared_ptr<const snapshot::Snapshot>& snapshot) {
  if (const Status restored = snapshotter_->restore(snapshot); !restored) return restored;
  player_->seek(snapshot->border);
  stands_ = true;
  return Done{};
}

Result<RunEnd> Runner::seek(Position to, bool dense) {
  engine::port::DebugPort& debug = machine().debug();
  if (stands_ && debug.position() == to && !debug.has_begun()) return RunEnd::reached;
  const std::shared_ptr<const snapshot::Snapshot> from = ladder_.nearest(to);
  const bool onward = stands_ && debug.position() <= to && !(debug.position() == to && debug.has_begun());
  if (!onward || from->at > debug.position())
    if (const Status restored = restore(from); !restored) return restored.failure();
  if (dense) {
    const std::uint64_t start = debug.position().icount.value;
    for (const std::uint64_t distance : kDense) {
      if (to.icount.value < start + 2 * distance) continue;
      const Icount rung{to.icount.value - distance};
      const Result<RunEnd> ended = run_over_rungs(rung);
      if (!ended || *ended != RunEnd::reached) return ended;
      if (debug.position().icount == rung) ladder_.insert(take_snapshot());
    }
  }
  const Result<RunEnd> ended = run_over_rungs(to.icount);
  if (!ended || *ended != RunEnd::reached || debug.position() == to) return ended;
  return deliver_up_to(to);
}

std::uint64_t Runner::distance_from_known(Position at) const {
  const std::uint64_t stretch = at.icount.value / kRung;
  const auto after = known_.lower_bound(stretch);
  std::uint64_t distance = after == known_.end() ? ~std::uint64_t{0} : *after - stretch;
  if (after != known_.begin()) distance = std::min(distance, stretch - *std::prev(after));
  return distance;
}

std::shared_ptr<const snapshot::Snapshot> Runner::take_snapshot() {
  return snapshotter_->take(player_->position());
}

void Runner::interrupt() {
  interrupted_.store(true, std::memory_order_relaxed);
  machine().request_stop();
}

}  // namespace hindsight::replay::timeline
