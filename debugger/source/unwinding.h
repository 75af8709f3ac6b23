// From a frame to its caller, by call-frame information (DWARF 5, 6.4). Values; one thread.
#pragma once

#include <optional>

#include "debugger/source/location.h"

namespace hindsight::debugger::source {

struct Caller {
  GuestVirt pc;  ///< the return address
  RegisterFile registers;
};

/// Nothing where the file has no rules for this code, or they lead nowhere.
std::optional<Caller> caller_of(const FrameView& frame);

/// A frame's identity, told from registers alone: `register + offset`.
struct FrameRule {
  unsigned number = 0;  ///< of a register, as DWARF numbers them
  std::uint64_t offset = 0;
};
/// Nothing where the rule for this code is none so simple.
std::optional<FrameRule> frame_rule(DwarfFile& file, LinkAddress pc);

}  // namespace hindsight::debugger::source
