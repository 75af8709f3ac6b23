// The window's session for somebody else, such as a server for gdb on a thread of its own: every call is
// carried out on the engine's thread, between the window's commands, and the window follows the cursor.
// Borrowed by one other thread; interrupt() on any. on_progress() does nothing: the window shows it.
#pragma once

#include <memory>
#include <string>

#include "debugger/session/session.h"

namespace hindsight::debugger::ui {

class EngineWorker;

/// `worker` outlives it. `name` is what the window calls who asks: "gdb".
[[nodiscard]] std::unique_ptr<session::Session> share_session(EngineWorker& worker, std::string name);

}  // namespace hindsight::debugger::ui
