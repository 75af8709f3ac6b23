// A recorded machine as a place where one can walk in both directions: one cursor machine that stands at a
// Position, a ladder of snapshots to start from, and helpers' machines that scan intervals side by side.
// Owned by a session; one thread, but for interrupt(). What is found depends on the trace and the question
// alone, never on which snapshots there happen to be or how many machines looked.
//
// replay/timeline/TIMELINE.md explains positions, scans and the ladder.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/play/player.h"
#include "replay/snapshot/archive.h"
#include "replay/snapshot/ladder.h"
#include "replay/timeline/conditions.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::timeline {

/// A machine and all it stands on, built anew at power-on.
class ReplayMachine {
 public:
  virtual ~ReplayMachine() = default;
  virtual engine::port::Machine& machine() = 0;
};
class Onlooker;
/// Makes what looks at one piece of history (survey.h). Any thread.
using OnlookerFactory = std::function<std::unique_ptr<Onlooker>()>;
/// What a new machine's RAM holds: what it boots from, or nothing, for a snapshot is restored before it runs.
enum class Contents : std::uint8_t { boot_files, none };
/// Builds the machine of `trace`, asking `player`. Any thread; each call makes another machine.
using MachineFactory = std::function<Result<std::unique_ptr<ReplayMachine>>(
    traces::store::TraceReader& trace, play::Player& player, Contents contents)>;

struct TimelineOptions {
  std::uint64_t ladder_bytes = std::uint64_t{1} << 30;  ///< memory for snapshots
  unsigned jobs = 0;                                    ///< machines that scan at once; 0: one for each core
  /// Where history ends; none: at the trace's last instant. For a trace that is still being recorded, whose
  /// machine stands here.
  std::optional<Position> last = {};
  /// What earlier timelines over this trace left, and where this one leaves its snapshots when it goes: for a
  /// trace that grows between them. nullptr: nowhere.
  std::shared_ptr<snapshot::Ladder> shelf = {};
};

/// Why a move ended.
enum class Arrival : std::uint8_t {
  reached,      ///< the position asked for
  hit,          ///< a condition
  begin,        ///< of history
  end,          ///< of history
  interrupted,  ///< interrupt(): the cursor is where the move began (a scan) or got to (a run forward)
};
struct Move {
  Arrival arrival = Arrival::reached;
  std::optional<Hit> hit;  ///< the first one, where several were met at once
};

class Timeline {
 public:
  /// Opens the trace at `path` at its beginning.
  static Result<std::unique_ptr<Timeline>> open(const std::string& path, MachineFactory factory,
                                                TimelineOptions options = {});
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  [[nodiscard]] traces::store::TraceReader& trace();
  /// The machine at the cursor. Its state is read, never changed, and moved only by this class.
  [[nodiscard]] engine::port::Machine& machine();
  [[nodiscard]] Position now() const;
  [[nodiscard]] Position first() const;
  /// The end of history.
  [[nodiscard]] Position last() const;
  [[nodiscard]] snapshot::Ladder& ladder();
  /// The trace's snapshots and marks.
  [[nodiscard]] snapshot::Archive& archive();

  // An Error: the trace is damaged, or the replay diverged (first line of its report).
  Result<Move> seek(Position to);
  Result<Move> step_forward(std::uint64_t count);
  Result<Move> step_backward(std::uint64_t count);
  /// To the first hit after the cursor, or `bound`, or the end. A forward move stops at Hit::after.
  Result<Move> run_forward(const std::vector<Condition>& conditions, Position bound);
  /// To the last hit before the cursor, or `bound`, or the begin. A backward move stops at Hit::before.
  Result<Move> run_backward(const std::vector<Condition>& conditions, Position bound);
  /// Every hit in [from, to), in order, as long as `visit` says true. The cursor stays. `visit` is called on
  /// the caller's thread.
  Status scan(const std::vector<Condition>& conditions, Position from, Position to,
              const std::function<bool(const Hit&)>& visit);
  /// The last hit in [from, to). The cursor stays.
  Result<std::optional<Hit>> last_hit(const std::vector<Condition>& conditions, Position from, Position to);

  /// Shows [from, to) to onlookers, one of `make`'s for each piece that it is cut into; see survey.h. The
  /// cursor stays.
  Status observe(const engine::port::Interests& interests, Position from, Position to,
                 const OnlookerFactory& make, const std::function<bool(Onlooker&)>& done);

  /// The machine as it is at the cursor.
  [[nodiscard]] std::shared_ptr<const snapshot::Snapshot> take_snapshot();
  /// Puts a snapshot of the cursor into the trace.
  Status keep_snapshot();
  /// Puts those of this session's snapshots into the trace that will let the next one start near where this
  /// one looked. Returns how many.
  Result<std::size_t> keep_useful();
  /// Any thread, and signal handlers.
  void interrupt();
  /// Called during long moves with the share that is done, 0 to 1.
  void on_progress(std::function<void(double)> progress);

 private:
  class Impl;
  explicit Timeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindsight::replay::timeline
