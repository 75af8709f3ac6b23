// Recording a machine in the debugger's window: `debug --record`. Called on the main thread.
#pragma once

#include "debugger/cli/live_run.h"
#include "debugger/cli/recording.h"

namespace hindsight::debugger::cli {

/// The machine waits where it begins; it runs as the window lets it, and its recording ends with the window.
Outcome record_in_window(LiveRecording& recording, LiveHost& host, const RunOptions& options, Quitter& quit);

}  // namespace hindsight::debugger::cli
