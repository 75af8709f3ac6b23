// Checks facts against a trace. What only reads the trace (the console, the end) needs no machine; the others
// walk along its timeline. One call at a time for each trace; any thread. The trace is not changed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "debugger/expect/facts.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::expect {

struct FactResult {
  unsigned line = 0;
  std::string text;    ///< the fact, as it was written
  bool holds = false;  ///< false also where it cannot be told
  std::string found;   ///< what there is instead, or why it cannot be told; only if it does not hold
};

struct CheckOptions {
  replay::timeline::TimelineOptions timeline;
  std::function<void(double)> progress;  ///< of each long move, 0 to 1; may be empty
  /// The timeline, for whoever may want to interrupt it, and nullptr before it is gone; may be empty.
  std::function<void(replay::timeline::Timeline*)> running;
};

/// In the order of the facts. An Error: the trace is bad, or its replay diverges.
Result<std::vector<FactResult>> check_facts(const std::string& trace, const std::vector<Fact>& facts,
                                            const replay::timeline::MachineFactory& machines,
                                            const CheckOptions& options);

/// Whether the facts about consoles hold of these texts, in which \n alone ends a line; others are not looked
/// at.
[[nodiscard]] bool hold_of_consoles(const std::vector<Fact>& facts, const std::vector<std::string>& consoles);

}  // namespace hindsight::debugger::expect
