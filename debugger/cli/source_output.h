// The guest's source lines and variables on the command line. Used on the main thread.
#pragma once

#include <memory>
#include <vector>

#include "debugger/cli/commands.h"
#include "debugger/session/sources.h"

namespace hindsight::debugger::cli {

/// Nothing where no files were named.
Result<std::unique_ptr<session::Sources>> open_sources(session::Session& session,
                                                       const SourceOptions& options);
/// "#0  ffffffff81000123  ring_show at ring.c:184", a line for each call.
void print_frames(const std::vector<session::SourceFrame>& frames);
/// "batch = 0xffff888004d3a000  (struct batch *)", what it holds below it.
void print_variables(const std::vector<session::Variable>& variables);

}  // namespace hindsight::debugger::cli
