#include "debugger/cli/stop_signals.h"

#include <signal.h>

#include <atomic>

namespace hindsight::debugger::cli {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<engine::port::Machine*> stopped_by_signal{nullptr};

void on_signal(int) {
  if (engine::port::Machine* machine = stopped_by_signal.load()) machine->request_stop();
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  // Not restarted: a wait for input must end. Reset: the second signal is final.
  action.sa_flags = handler == SIG_DFL ? 0 : static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals(engine::port::Machine& machine) {
  stopped_by_signal = &machine;
  handle(on_signal);
}

StopSignals::~StopSignals() {
  handle(SIG_DFL);
  stopped_by_signal = nullptr;
}

}  // namespace hindsight::debugger::cli
