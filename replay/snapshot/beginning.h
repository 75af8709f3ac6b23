// Where a trace begins: at power-on, or, for a branch, at the snapshot of the place where it left its parent.
// A free function; the run loop's thread.
#pragma once

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/play/player.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::snapshot {

/// `machine` stands at power-on and was built on `player`, which plays `trace`. Puts both where the trace
/// begins. Fails when the trace's snapshot of that place is damaged.
Status go_to_beginning(engine::port::Machine& machine, play::Player& player,
                       const traces::store::TraceReader& trace);

}  // namespace hindsight::replay::snapshot
