// The debugger's window, over a trace (`debug`) or a machine that is being recorded (`debug --record`). The
// main thread.
#pragma once

#include <string>

#include "debugger/cli/commands.h"
#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/ui/window.h"

namespace hindsight::debugger::cli {

struct WindowSize {
  int width = 0, height = 0;
};
/// "1600x1000"; nothing is no size: 0 by 0.
Result<WindowSize> read_window_size(const std::string& text);

/// Opens the window on `session`, and returns when it is closed or its script is done. `analyst` answers
/// questions over all of history. `live`: the machine is being recorded.
Status show_window(session::Session& session, const DebugOptions& options, const std::string& trace,
                   session::Analyst& analyst, bool live);

}  // namespace hindsight::debugger::cli
