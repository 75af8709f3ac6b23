// The analyst of a machine that is being recorded: while the machine stands it answers from a replay of the
// trace so far, on machines of their own. When the machine is to run on, a question under way ends, and what
// it was asked of is thrown away: the next commit may change any page of the file. Owned by who runs the
// machine; see session/analyst.h for who asks.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "debugger/session/analyst.h"

namespace hindsight::debugger::cli {

class PastAnalyst final : public session::Analyst {
 public:
  /// The analyst of all that was recorded so far. Called on the asker's thread while the machine stands.
  using Open = std::function<Result<std::unique_ptr<session::Analyst>>()>;
  explicit PastAnalyst(Open open) : open_(std::move(open)) {}

  /// Ends a question that is under way. As long as what is returned lives, nothing is asked and nothing read.
  [[nodiscard]] std::unique_lock<std::mutex> hold();

  Result<session::InstantsDifference> diff(session::Position a, session::Position b) override;
  Result<session::TracesDifference> diff_trace(const std::string& path) override;
  Result<session::Answers> ask(const session::Inquiry& inquiry) override;
  Result<session::Profile> profile(session::Position from, session::Position to) override;
  void interrupt() override;
  void on_progress(std::function<void(double)> progress) override;

 private:
  template <class Question>
  auto answer(const Question& question) -> decltype(question(std::declval<session::Analyst&>()));
  Status open();

  const Open open_;
  std::mutex asking_;  ///< held while a question is answered, and while the machine runs
  std::mutex mutex_;   ///< guards what follows; never held while one waits for asking_
  std::unique_ptr<session::Analyst> past_;
  std::function<void(double)> progress_;
};

}  // namespace hindsight::debugger::cli
