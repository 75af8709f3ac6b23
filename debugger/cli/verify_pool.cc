#include "debugger/cli/verify_pool.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/look.h"
#include "debugger/cli/replay_command.h"

namespace hindsight::debugger::cli {
namespace {

/// How often clocks are looked at and progress is shown.
constexpr int kTickMs = 50;

/// Hears SIGINT and SIGTERM through a descriptor while in scope. Threads made meanwhile do not get them.
class HeardSignals final {
 public:
  HeardSignals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
    descriptor_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~HeardSignals() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  HeardSignals(const HeardSignals&) = delete;
  HeardSignals& operator=(const HeardSignals&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Whether one came. The next one does what it usually does: it kills.
  bool take() {
    signalfd_siginfo info;
    if (::read(descriptor_, &info, sizeof info) != sizeof info) return false;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    return true;
  }

 private:
  sigset_t before_;
  int descriptor_;
};

Verdict verdict_of(const std::string& trace, const Played& played) {
  Verdict verdict;
  verdict.trace = trace;
  verdict.line = played.line.starts_with(trace + ": ") ? played.line.substr(trace.size() + 2) : played.line;
  verdict.kind = played.interrupted         ? Verdict::Kind::interrupted
                 : played.code == kOk       ? Verdict::Kind::ok
                 : played.code == kBadInput ? Verdict::Kind::bad
                                            : Verdict::Kind::diverged;
  if (played.result) {
    verdict.instructions = played.result->end.icount.value;
    verdict.digests = played.result->digests_checked;
    verdict.divergence = played.result->divergence;
  }
  if (verdict.divergence) {
    verdict.details = fmt::format("to look: hindsight gdb {} --at {}\n{}\n", trace,
                                  verdict.divergence->since.value, played.registers);
  }
  return verdict;
}

}  // namespace

VerifyPool::VerifyPool(std::vector<std::string> traces, const VerifyOptions& options)
    : traces_(std::move(traces)),
      options_(options),
      jobs_(traces_.size()),
      verdicts_(traces_.size()),
      wake_(eventfd(0, EFD_CLOEXEC)) {
  CHECK(wake_ >= 0, "eventfd");
  for (std::size_t i = 0; i < traces_.size(); ++i) verdicts_[i].trace = traces_[i];
}

VerifyPool::~VerifyPool() {
  for (std::thread& worker : workers_) worker.join();
  ::close(wake_);
}

const std::vector<Verdict>& VerifyPool::run(const std::function<void(const Verdict&)>& done) {
  HeardSignals signals;
  const unsigned cores = std::max(std::thread::hardware_concurrency(), 1U);
  const std::size_t count =
      std::min<std::size_t>(options_.jobs == 0 ? cores : options_.jobs, verdicts_.size());
  for (std::size_t i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
  bool interrupted = false;
  for (std::size_t told = 0; told < verdicts_.size();) {
    pollfd waiting[] = {{wake_, POLLIN, 0}, {signals.descriptor(), POLLIN, 0}};
    const int ready = ::poll(waiting, 2, kTickMs);
    std::uint64_t ignored;
    if (ready > 0 && waiting[0].revents != 0) (void)!::read(wake_, &ignored, sizeof ignored);
    if (ready > 0 && waiting[1].revents != 0) interrupted = signals.take() || interrupted;
    stop_late(interrupted);
    const auto next_done = [&] {
      const std::lock_guard lock(mutex_);
      return told < jobs_.size() && jobs_[told].state == Job::State::done;
    };
    for (; next_done(); ++told) {
      status_.clear();
      if (verdicts_[told].kind != Verdict::Kind::not_run) done(verdicts_[told]);
    }
    show_progress();
  }
  status_.clear();
  return verdicts_;
}

void VerifyPool::work() {
  while (true) {
    std::size_t index;
    bool skip;
    {
      const std::lock_guard lock(mutex_);
      if (next_ == jobs_.size()) return;
      index = next_++;
      skip = interrupted_;
      jobs_[index].state = Job::State::running;
      jobs_[index].began = Clock::now();
    }
    if (!skip) verdicts_[index] = verify(index);
    {
      const std::lock_guard lock(mutex_);
      jobs_[index].state = Job::State::done;
    }
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }
}

Verdict VerifyPool::verify(std::size_t index) {
  const std::string& trace = traces_[index];
  Job& job = jobs_[index];
  PlayHooks hooks;
  hooks.running = [&](engine::port::Machine* machine) {
    set_stop(job, machine ? std::function<void()>([machine] { machine->request_stop(); }) : nullptr);
  };
  hooks.progress = [&](Icount now, Icount total) {
    const std::lock_guard lock(mutex_);
    job.now = now;
    job.total = total;
  };
  const Played played = play_trace(trace, options_.replay, hooks);
  Verdict verdict = verdict_of(trace, played);
  if (options_.expect && verdict.kind == Verdict::Kind::ok) check_facts(job, verdict);
  const std::lock_guard lock(mutex_);
  verdict.seconds = std::chrono::duration<double>(Clock::now() - job.began).count();
  if (verdict.kind == Verdict::Kind::interrupted && job.timed_out) {
    verdict.kind = Verdict::Kind::timed_out;
    verdict.line =
        fmt::format("not done within {} s: at icount {} of {}{}", options_.time_limit,
                    grouped(verdict.instructions), grouped(job.total.value),
                    verdict.instructions == job.total.value ? ", while its facts were checked" : "");
  }
  return verdict;
}

void VerifyPool::check_facts(Job& job, Verdict& verdict) {
  const std::string file = verdict.trace + ".expect";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;
  const auto facts = expect::load_facts(file);
  if (!facts) {
    verdict.kind = Verdict::Kind::bad;
    verdict.line = facts.failure().message;
    return;
  }
  expect::CheckOptions checking;
  checking.timeline.jobs = 1;
  checking.running = [&](replay::timeline::Timeline* line) {
    set_stop(job, line ? std::function<void()>([line] { line->interrupt(); }) : nullptr);
  };
  auto results = expect::check_facts(verdict.trace, *facts, machines(options_.replay.engine), checking);
  const std::lock_guard lock(mutex_);
  if (!results) {
    const bool stopped = interrupted_ || job.timed_out;
    verdict.kind = stopped ? Verdict::Kind::interrupted : Verdict::Kind::bad;
    verdict.line = stopped ? "while its facts were checked" : results.failure().message;
    return;
  }
  verdict.facts = std::move(*results);
  std::size_t failed = 0;
  for (const expect::FactResult& fact : verdict.facts) {
    if (fact.holds) continue;
    ++failed;
    verdict.details += fmt::format("{}:{}: {}: {}\n", file, fact.line, fact.text, fact.found);
  }
  if (failed != 0) verdict.kind = Verdict::Kind::unexpected;
  verdict.line += failed == 0
                      ? fmt::format("; {} hold", counted(verdict.facts.size(), "fact"))
                      : fmt::format("; {} of {} failed", failed, counted(verdict.facts.size(), "fact"));
}

void VerifyPool::set_stop(Job& job, std::function<void()> stop) {
  const std::lock_guard lock(mutex_);
  job.stop = std::move(stop);
}

void VerifyPool::stop_late(bool all) {
  const std::lock_guard lock(mutex_);
  interrupted_ = interrupted_ || all;
  for (Job& job : jobs_) {
    if (job.state != Job::State::running || !job.stop) continue;
    const std::chrono::duration<double> took = Clock::now() - job.began;
    if (!interrupted_ && options_.time_limit > 0 && took.count() > options_.time_limit) job.timed_out = true;
    // Asked again and again: a request made before the machine runs on is lost.
    if (interrupted_ || job.timed_out) job.stop();
  }
}

void VerifyPool::show_progress() {
  if (!status_.visible()) return;
  std::size_t finished = 0;
  std::string running;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const Job& job = jobs_[i];
      if (job.state == Job::State::done) ++finished;
      if (job.state != Job::State::running) continue;
      const double share = job.total.value == 0
                               ? 0
                               : static_cast<double>(job.now.value) / static_cast<double>(job.total.value);
      running += fmt::format(", {} {:.0f} %", traces_[i], 100 * share);
    }
  }
  status_.show(fmt::format("{} of {} done{}", finished, jobs_.size(), running));
}

}  // namespace hindsight::debugger::cli
