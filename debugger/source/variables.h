// What a frame's variables are worth. Values; one thread.
#pragma once

#include <vector>

#include "debugger/session/sources.h"
#include "debugger/source/c_text.h"
#include "debugger/source/location.h"

namespace hindsight::debugger::source {

/// Parameters and locals of a call that are in scope: `call` and the blocks in it, the outermost first.
std::vector<session::Variable> variables_of(const FrameView& frame, const ValueContext& context,
                                            std::span<const Dwarf_Die> call);
/// Those that the unit defines outside its functions, but what a compiler or a macro named.
std::vector<session::Variable> file_variables(const FrameView& frame, const ValueContext& context,
                                              Unit& unit);

}  // namespace hindsight::debugger::source
