#include "debugger/cli/past_analyst.h"

#include <chrono>
#include <thread>

namespace hindsight::debugger::cli {

std::unique_lock<std::mutex> PastAnalyst::hold() {
  std::unique_lock held(asking_, std::try_to_lock);
  // An end that was asked for just before a search began goes unheard: it is said again.
  while (!held.owns_lock() && !held.try_lock()) {
    interrupt();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::lock_guard lock(mutex_);
  past_.reset();
  return held;
}

Result<session::InstantsDifference> PastAnalyst::diff(session::Position a, session::Position b) {
  return answer([&](session::Analyst& past) { return past.diff(a, b); });
}
Result<session::TracesDifference> PastAnalyst::diff_trace(const std::string& path) {
  return answer([&](session::Analyst& past) { return past.diff_trace(path); });
}
Result<session::Answers> PastAnalyst::ask(const session::Inquiry& inquiry) {
  return answer([&](session::Analyst& past) { return past.ask(inquiry); });
}
Result<session::Profile> PastAnalyst::profile(session::Position from, session::Position to) {
  return answer([&](session::Analyst& past) { return past.profile(from, to); });
}

void PastAnalyst::interrupt() {
  const std::lock_guard lock(mutex_);
  if (past_) past_->interrupt();
}

void PastAnalyst::on_progress(std::function<void(double)> progress) {
  const std::lock_guard lock(mutex_);
  progress_ = std::move(progress);
  if (past_) past_->on_progress(progress_);
}

template <class Question>
auto PastAnalyst::answer(const Question& question) -> decltype(question(std::declval<session::Analyst&>())) {
  const std::unique_lock asking(asking_, std::try_to_lock);
  if (!asking.owns_lock()) return error("the machine runs: its history can be searched when it stands");
  if (const Status opened = open(); !opened) return opened.failure();
  return question(*past_);
}

Status PastAnalyst::open() {
  if (past_) return Done{};
  auto opened = open_();
  if (!opened) return opened.failure();
  const std::lock_guard lock(mutex_);
  past_ = std::move(*opened);
  past_->on_progress(progress_);
  return Done{};
}

}  // namespace hindsight::debugger::cli
