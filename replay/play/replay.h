// The replay driver: runs a machine on a Player from digest point to digest point of a trace, up to its end.
// Called by the replaying session on the run loop's thread.
#pragma once

#include <functional>
#include <optional>

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/play/player.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::play {

struct ReplayOptions {
  bool check_states = true;  ///< compare parts and RAM at every digest point; outputs always are
  std::uint64_t check_interval =
      0;  ///< skip digest points closer than this many instructions to the last one
  Icount stop_at = Icount::max();
  std::function<void(engine::port::Instant)> progress;  ///< called at every digest point; may be empty
};

struct ReplayResult {
  std::optional<Divergence> divergence;
  engine::port::Instant end;  ///< where the machine stands
  std::uint64_t digests_checked = 0;
  bool recorder_interrupted = false;  ///< the trace has no end record; all it has was replayed
  bool stopped_early = false;         ///< at stop_at, or the machine was asked to stop
};

/// `machine` stands where the trace begins and was built on `player`, which plays `trace`. Fails when the
/// trace is damaged.
Result<ReplayResult> replay_machine(engine::port::Machine& machine, Player& player,
                                    traces::store::TraceReader& trace, const ReplayOptions& options);

}  // namespace hindsight::replay::play
