// The debugger's window on a session: opens it, draws it until it is closed, or carries out a script without
// anybody looking. One at a time; the main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/session/sources.h"
#include "engine/base/result.h"

namespace hindsight::debugger::ui {

struct WindowOptions {
  std::string title;  ///< the trace
  // May be nullptr; outlive the call. Without an analyst questions over all of history are refused.
  session::Sources* sources = nullptr;
  session::Analyst* analyst = nullptr;
  std::string script;     ///< a file of actions, one a line; not empty: carry them out and end
  bool live = false;      ///< the machine is being recorded: a move past the end of history lets it run on
  bool headless = false;  ///< nobody looks: no window is mapped, no state is kept
  int width = 0, height = 0;  ///< 0: as it was left the last time, else as suits the display
  float scale = 0;            ///< 0: as the display says
  /// Given the session to be shared with somebody else, on a thread of its own; what it returns is destroyed
  /// before the window ends, and must be done with the session by then. May be empty.
  std::function<Result<std::shared_ptr<void>>(session::Session& shared)> companion = {};
};

/// Needs OpenGL 3.2, in software if need be, and a display; headless no display. `session` outlives the call.
Status run_window(session::Session& session, const WindowOptions& options);

}  // namespace hindsight::debugger::ui
