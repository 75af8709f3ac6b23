// A machine that replays a trace, with its own reader and player: the cursor of a timeline, or one of those
// that scan beside it. Used by one thread at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "engine/base/result.h"
#include "replay/play/player.h"
#include "replay/snapshot/ladder.h"
#include "replay/snapshot/snapshot.h"
#include "replay/timeline/timeline.h"
#include "replay/timeline/watcher.h"

namespace hindsight::replay::timeline {

/// How a run of a Runner ended.
enum class RunEnd : std::uint8_t { reached, observed, interrupted };

class Runner final {
 public:
  /// Replays drop snapshots on the ladder at multiples of this many instructions: what the translator does in
  /// a few hundredths of a second.
  static constexpr std::uint64_t kRung = 20'000'000;

  /// Stands at power-on; if the ladder has a snapshot of that, nowhere until it seeks.
  static Result<std::unique_ptr<Runner>> create(const std::string& path, const MachineFactory& factory,
                                                snapshot::Ladder& ladder);

  [[nodiscard]] traces::store::TraceReader& trace() { return *trace_; }
  [[nodiscard]] engine::port::Machine& machine() { return built_->machine(); }
  [[nodiscard]] Position position() { return machine().debug().position(); }

  /// Stands at `to` afterwards, in the state that a replay from power-on has there; `to` lies in the trace.
  /// `dense`: leave snapshots close before `to`, for steps back.
  Result<RunEnd> seek(Position to, bool dense);
  /// Runs on to the first position of `to`, watching for `interests`.
  Result<RunEnd> watch(const engine::port::Interests& interests, engine::port::Observer& observer, Icount to,
                       const std::function<void(double)>& progress = {});
  /// How far `at` is, in stretches of kRung instructions, from one that this machine has come through whole
  /// and so has translated. 0: it lies in one.
  [[nodiscard]] std::uint64_t distance_from_known(Position at) const;
  /// Where outputs are shown as well; nullptr: nowhere.
  void show_outputs(engine::port::OutputSink* sink) { player_->echo_to(sink); }
  /// Runs on to just after the next delivery (`observed`), or to `to`.
  Result<RunEnd> run_to_delivery(Icount to);
  /// Runs on to `to` and says how many deliveries there were on the way.
  Result<std::uint64_t> count_deliveries(Position to);
  /// The machine as it stands, which must be at a position (not begun).
  std::shared_ptr<const snapshot::Snapshot> take_snapshot();

  /// Any thread, and signal handlers.
  void interrupt();
  void clear_interrupt() { interrupted_.store(false, std::memory_order_relaxed); }

 private:
  explicit Runner(snapshot::Ladder& ladder) : ladder_(ladder) {}
  Result<RunEnd> run(Icount to);
  Result<RunEnd> run_over_rungs(Icount to, const std::function<void(double)>& progress = {});
  Result<RunEnd> deliver_up_to(Position to);
  Status restore(const std::shared_ptr<const snapshot::Snapshot>& snapshot);
  Status trouble();

  snapshot::Ladder& ladder_;
  std::unique_ptr<traces::store::TraceReader> trace_;
  std::unique_ptr<play::Player> player_;
  std::unique_ptr<ReplayMachine> built_;
  std::unique_ptr<snapshot::Snapshotter> snapshotter_;
  bool stands_ = false;
  std::set<std::uint64_t> known_;  ///< stretches come through; in units of kRung
  std::atomic<bool> interrupted_{false};
};

}  // namespace hindsight::replay::timeline
