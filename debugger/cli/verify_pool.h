// Verifies many traces side by side, each on a thread with a machine of its own. Owned by the verify command;
// used from the main thread, which waits for the workers, keeps the time and hears SIGINT and SIGTERM. What
// is found of a trace does not depend on how many are verified at once; only a time limit can.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "debugger/cli/commands.h"
#include "debugger/cli/status_line.h"
#include "debugger/cli/verify_report.h"
#include "engine/base/types.h"

namespace hindsight::debugger::cli {

class VerifyPool final {
 public:
  VerifyPool(std::vector<std::string> traces, const VerifyOptions& options);
  /// Waits for the workers.
  ~VerifyPool();
  VerifyPool(const VerifyPool&) = delete;
  VerifyPool& operator=(const VerifyPool&) = delete;

  /// Verifies all, and calls `done` for each in the order of the traces, as soon as those before it are done.
  /// After an interruption those that had not begun are not told.
  const std::vector<Verdict>& run(const std::function<void(const Verdict&)>& done);

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    enum class State { waiting, running, done } state = State::waiting;  // guarded, as is all here
    Clock::time_point began;
    std::function<void()> stop;  ///< asks it to; empty: nothing runs
    bool timed_out = false;
    Icount now, total;
  };

  void work();
  Verdict verify(std::size_t index);
  /// Checks what is expected of a trace that agrees.
  void check_facts(Job& job, Verdict& verdict);
  void set_stop(Job& job, std::function<void()> stop);
  /// Asks those to stop that are over their time, or all.
  void stop_late(bool all);
  void show_progress();

  const std::vector<std::string> traces_;
  const VerifyOptions& options_;
  std::mutex mutex_;
  std::vector<Job> jobs_;          // guarded by mutex_
  std::vector<Verdict> verdicts_;  // the worker's until its job is done
  std::size_t next_ = 0;           // guarded by mutex_
  bool interrupted_ = false;       // guarded by mutex_
  int wake_;                       ///< an eventfd: a job is done
  StatusLine status_;
  std::vector<std::thread> workers_;
};

}  // namespace hindsight::debugger::cli
