// The analyst of a trace: it answers by replaying the trace on a timeline of its own, made with the first
// question. Owned by a front end; see session/analyst.h.
#pragma once

#include <memory>
#include <optional>

#include "debugger/cli/commands.h"
#include "debugger/session/analyst.h"

namespace hindsight::debugger::cli {

/// `options.at` does not matter. `last` as in TimelineOptions.
[[nodiscard]] std::unique_ptr<session::Analyst> make_analyst(const LookOptions& options,
                                                             std::optional<session::Position> last = {});

}  // namespace hindsight::debugger::cli
