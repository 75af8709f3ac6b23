// Recording a machine while gdb is attached to it: `record --gdb`. Called on the main thread.
#pragma once

#include "debugger/cli/live_run.h"
#include "debugger/cli/recording.h"

namespace hindsight::debugger::cli {

/// The machine waits where it begins until gdb has connected to `listen`, and runs to its end as gdb drives
/// it.
Outcome record_under_gdb(LiveRecording& recording, LiveHost& host, const RunOptions& options, Quitter& quit);

}  // namespace hindsight::debugger::cli
