#include "debugger/cli/stop_signals.h"

#include <signal.h>

#include <array>
#include <atomic>

namespace hindsight::debugger::cli {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<engine::port::Machine*> stopped_by_signal{nullptr};
std::atomic<gdb::Server*> server_stopped_by_signal{nullptr};
constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, kSignals.size()> before;

// sigaction is async-signal-safe.
void put_back_handlers() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
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
  for (const int number : kSignals) sigaddset(&action.sa_mask, number);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before[i]);
    // Under nohup a terminal may go without ending anything.
    if (kSignals[i] == SIGHUP && before[i].sa_handler == SIG_IGN) sigaction(SIGHUP, &before[i], nullptr);
  }
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
