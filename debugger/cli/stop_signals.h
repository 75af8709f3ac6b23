// SIGINT, SIGTERM and a terminal that goes (SIGHUP) stop a machine in order, or a server: the trace is
// closed, the terminal restored. A second one meets the handlers that were there before. One at a time, on
// the main thread.
#pragma once

#include "debugger/gdb/server.h"
#include "engine/port/machine.h"

namespace hindsight::debugger::cli {

class StopSignals final {
 public:
  explicit StopSignals(engine::port::Machine& machine);
  explicit StopSignals(gdb::Server& server);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
};

}  // namespace hindsight::debugger::cli
