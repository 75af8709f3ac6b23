// Where a walk from line to line may stop. Values; one thread.
#pragma once

#include <optional>
#include <vector>

#include "debugger/source/dwarf_file.h"
#include "debugger/source/unwinding.h"

namespace hindsight::debugger::source {

struct LineStop {
  GuestVirt address;
  std::optional<FrameRule> rule;  ///< what tells there whether it is the same frame
};

/// The instructions of a function at which a line's statements begin, but those of calls that are inlined
/// into the one at hand: `calls` are its scopes, the function first. `but`: not of that line.
std::vector<LineStop> line_stops(DwarfFile& file, Unit& unit, const Scopes& calls, const Line* but);

/// What begins a stretch of another line than the one before it, ascending.
std::vector<const Line*> line_begins(DwarfFile& file, Unit& unit);

}  // namespace hindsight::debugger::source
