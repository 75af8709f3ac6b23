// A part's state as a flat list of fields, by reflection over its schema. Free functions; any thread.
#pragma once

#include <vector>

#include "debugger/session/session.h"
#include "engine/port/stateful.h"

namespace hindsight::debugger::session {

/// Appends every field of the part's state as it is now.
void append_state(const engine::port::Stateful& part, std::vector<StateField>& out);

}  // namespace hindsight::debugger::session
