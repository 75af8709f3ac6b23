// What differs between two traces, told from the traces alone: the machines they are of, what came from
// outside, what came out, the digests, how each ended. A machine is a function of its configuration and of
// the events that it took in, so up to the first event that differs two machines of one configuration agree;
// the digests that the traces have in common say whether they did. Owned by the caller; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "replay/diff/console_diff.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::diff {

/// A field of the configuration that decides what the machine does.
struct ConfigDifference {
  std::string field;
  std::string a, b;
};
/// None: both traces are of the same machine. Files are compared by contents, not by name.
[[nodiscard]] std::vector<ConfigDifference> config_differences(const traces::store::MachineConfig& a,
                                                               const traces::store::MachineConfig& b);

/// The first event that is not the same in both.
struct EventDifference {
  std::uint64_t number = 0;                       ///< in both traces, counting from 0
  std::optional<traces::store::Event> a, b;       ///< none: there are no more
  std::vector<traces::store::Event> last_common;  ///< the last ones before, in order
  /// Until here nothing differed.
  [[nodiscard]] Icount icount() const;
};

/// Events of one kind on one channel, from the first event that differs on.
struct EventCount {
  traces::store::EventKind kind = traces::store::EventKind::input;
  std::uint16_t channel = 0;
  std::uint64_t a = 0, b = 0;
  /// Of the first min(a, b), taken in order: what arrived or was asked differs; or else only when.
  std::uint64_t other_contents = 0, other_instant = 0;
};

struct DigestDifference {
  traces::store::Instant at;
  std::vector<std::string> components;  ///< "cpu0", "ram", "output serial0"
};

enum class Relation : std::uint8_t {
  equal,
  a_is_prefix,  ///< equal up to where a ends, which was stopped there
  b_is_prefix,
  different,
  unexplained,  ///< digests or ends differ though all that came in is the same: no machine of ours does that
};

struct TraceDifference {
  Relation relation = Relation::equal;
  std::uint64_t events = 0;   ///< equal ones, up to the first difference
  std::uint64_t digests = 0;  ///< equal ones that both traces have, likewise
  std::optional<EventDifference> event;
  std::optional<DigestDifference> digest;  ///< the first that differs
  std::vector<EventCount> later;
  std::vector<ConsoleDifference> consoles;
};

/// Where the trace ends, or the recorder was interrupted.
[[nodiscard]] traces::store::Instant end_of(const traces::store::TraceReader& trace);

/// Of traces of the same machine (CHECK). Fails when a trace is damaged.
Result<TraceDifference> compare(traces::store::TraceReader& a, traces::store::TraceReader& b);
/// Of traces of different machines: what came from outside from power-on on, and what the consoles showed,
/// without the kernel's times. Always Relation::different.
Result<TraceDifference> compare_outcomes(traces::store::TraceReader& a, traces::store::TraceReader& b);

}  // namespace hindsight::replay::diff
