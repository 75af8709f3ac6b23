#include "debugger/cli/stop_signals.h"

#include <signal.h>

#include <atomic>

namespace hindsight::debugger::cli {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<engine::port::Machine*> stopped_by_signal{nullptr};
std::atomic<gdb::Server*> server_stopped_by_signal{nullptr};
struct sigaction before_int, before_term;

// sigaction is async-signal-safe.
void put_back_handlers() {
  sigaction(SIGINT, &before_int, nullptr);
  sigaction(SIGTERM, &before_term, nullptr);
}

void on_signal(int) {
  // The second signal meets whoever was there before, such as the terminal that restores itself.
  put_back_handlers();
  if (engine::port::Machine* machine = stopped_by_signal.load()) machine->request_stop();
  if (gdb::Server* server = server_stopped_by_signal.load()) server->stop();
}

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = 0;  // not restarted: a wait for input must end
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  sigaction(SIGINT, &action, &before_int);
  sigaction(SIGTERM, &action, &before_term);
}

}  // namespace

StopSignals::StopSignals(engine::port::Machine& machine) {
  stopped_by_signal = &machine;
  install_handlers();
}

StopSignals::StopSignals(gdb::Server& server) {
  server_stopped_by_signal = &server;
  install_handlers();
}

StopSignals::~StopSignals() {
  put_back_handlers();
  stopped_by_signal = nullptr;
  server_stopped_by_signal = nullptr;
}

}  // namespace hindsight::debugger::cli
