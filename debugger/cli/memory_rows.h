// The bytes in which two machines differ, cut into rows to be shown, with names. Free functions over borrowed
// sides; the thread of the machines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "debugger/cli/memory_names.h"
#include "replay/diff/machine_diff.h"

namespace hindsight::debugger::cli {

/// At most 16 bytes that differ, in the order of memory.
struct MemoryRow {
  GuestPhys at;
  std::vector<std::byte> a, b;
  std::string name;
};
struct MemoryRows {
  std::vector<MemoryRow> all;                         ///< what is at hand, the places with a name first
  std::vector<std::vector<std::string>> range_names;  ///< for each of the difference's ranges, a few
};
[[nodiscard]] MemoryRows memory_rows(const replay::diff::MachineDifference& difference,
                                     const replay::diff::Side& a, const replay::diff::Side& b,
                                     const MemoryNames& names);

}  // namespace hindsight::debugger::cli
