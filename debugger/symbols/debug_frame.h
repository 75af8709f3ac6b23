// ORC data said again as DWARF call frame information, so that debuggers without debug information unwind
// kernel code (DWARF 4, 6.4; register numbers of the System V ABI for x86-64, figure 3.36). Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "debugger/symbols/orc.h"

namespace hindsight::debugger::symbols {

/// Consecutive places, the last of which reaches to `end`.
struct FrameRegion {
  std::vector<OrcPlace> places;
  GuestVirt end;
};

/// A .debug_frame section. Rows of one description reach to the next start in `functions` (ascending). What
/// is interrupted by code in `from_user` is user space: debuggers need not call that a signal handler.
[[nodiscard]] std::vector<std::byte> write_debug_frame(std::span<const FrameRegion> regions,
                                                       std::span<const GuestVirt> functions,
                                                       std::span<const Range> from_user);

}  // namespace hindsight::debugger::symbols
