// The analyst of a trace: it answers by replaying the trace on a timeline of its own, made with the first
// question. Owned by a front end; see session/analyst.h.
#pragma once

#include <memory>
#include <string>

#include "debugger/session/analyst.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::cli {

/// `line.ladder_bytes` does not matter.
[[nodiscard]] std::unique_ptr<session::Analyst> make_analyst(std::string trace, std::string engine,
                                                             replay::timeline::TimelineOptions line);

}  // namespace hindsight::debugger::cli
