// What replay/diff finds, as the plain values of session/analyst.h. Free functions over borrowed machines and
// traces; the thread of the machines.
#pragma once

#include <string>
#include <vector>

#include "debugger/cli/memory_names.h"
#include "debugger/session/analyst.h"
#include "replay/diff/machine_diff.h"
#include "replay/diff/trace_diff.h"
#include "traces/store/trace_reader.h"

namespace hindsight::debugger::cli {

[[nodiscard]] session::Place place_of(engine::port::Machine& machine, const MemoryNames& names);

/// One of the two machines that are compared, with the registers that it has there.
struct ComparedSide {
  replay::diff::Side side;
  std::vector<session::RegisterValue> registers;
};
[[nodiscard]] session::StateDifference state_difference(const ComparedSide& a, const ComparedSide& b,
                                                        const MemoryNames& names);

/// Everything that the traces alone tell.
Result<session::TracesDifference> traces_difference(const replay::diff::TraceDifference& difference,
                                                    traces::store::TraceReader& a,
                                                    traces::store::TraceReader& b);

}  // namespace hindsight::debugger::cli
