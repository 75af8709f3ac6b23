// Trials on a machine: it is run with other contents from the last place before the first byte that changed,
// and compared with the recorded execution on the way. Owned by whoever strips a trace. One thread.
// Deterministic: answers depend on the trace and the pieces alone.
//
// The recorded execution is learnt once: where the CPU stands at every kStride instructions, and what was
// sent out by then. An execution that takes one instruction more or less anywhere meets every later interrupt
// elsewhere, so these agree to the end only if the way was the same.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/port/machine.h"
#include "replay/play/player.h"
#include "replay/snapshot/snapshot.h"
#include "replay/strip/search.h"
#include "replay/strip/stand_in.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::strip {

/// Where and how a recording ended.
struct Goal {
  Icount icount;
  std::optional<VirtualTime> time;                 ///< known if it was stopped from outside in order
  std::optional<engine::port::StopReason> reason;  ///< set if it ended by itself
  /// Where StandIn is to stop a machine that is halted.
  [[nodiscard]] std::optional<engine::port::Instant> stop() const;
};
[[nodiscard]] Goal goal_of(const traces::store::TraceReader& trace);

/// Where an execution is compared.
struct Checkpoint {
  engine::port::Instant at;
  GuestVirt pc;
  std::uint64_t outputs = 0;  ///< OutputPrint
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

/// The way of a recording from power-on to its end.
struct Course {
  static constexpr std::uint64_t kStride = 100'000;  ///< instructions
  Goal goal;
  std::vector<Checkpoint> checkpoints;  ///< at the multiples of kStride; the last one at the end
};

/// Replays the trace to learn its course. `machine` stands at power-on and was built on `player`. Fails when
/// the trace does not replay, and when the machine is asked to stop. `progress` may be empty.
Result<Course> learn_course(engine::port::Machine& machine, play::Player& player,
                            traces::store::TraceReader& trace, bool console_contents,
                            const std::function<void(Icount)>& progress);

class MachineExperiment final : public Experiment {
 public:
  /// Whether a run that came to its end is good enough otherwise, by what the consoles showed in it.
  using Accept = std::function<Result<bool>(const std::vector<std::string>& consoles)>;

  /// All are borrowed; the machine stands at power-on and was built on `border`, which plays `data`.
  /// Pieces come between `first` and `last`.
  MachineExperiment(engine::port::Machine& machine, StandIn& border, UserData& data, const Course& course,
                    Icount first, Icount last, Accept accept);
  ~MachineExperiment() override;

  /// Fails when the machine is asked to stop by somebody else.
  Result<std::optional<Icount>> run(std::span<const Piece> replaced, Icount limit) override;
  std::vector<Piece> split(const Piece& piece) override { return data_.split(piece); }

 private:
  /// On the way of the last trial.
  struct Place {
    std::shared_ptr<const snapshot::Snapshot> snapshot;
    StandIn::Position border;
    std::size_t checkpoint = 0;  ///< the next one
    std::uint64_t bytes = 0;     ///< of memory, that the place before does not take
  };
  Status go_before(std::size_t event);
  void remember(std::size_t checkpoint);
  /// Forgets every second place.
  void thin();

  engine::port::Machine& machine_;
  StandIn& border_;
  UserData& data_;
  const Course& course_;
  const Icount last_;
  const Accept accept_;
  std::uint64_t distance_;  ///< between places, in instructions
  snapshot::Snapshotter snapshotter_;
  std::vector<Place> places_;  ///< the first is power-on
  bool stop_asked_ = false;    ///< by the border; the machine may not have noticed yet
};

}  // namespace hindsight::replay::strip
