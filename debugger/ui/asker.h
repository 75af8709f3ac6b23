// A thread that waits for the answers to questions over all of history, so that moves need not. One question
// at a time: a newer one ends the older. Owned by the engine's thread; the public functions on any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "debugger/session/analyst.h"
#include "debugger/ui/inquiries.h"

namespace hindsight::debugger::ui {

class Asker final {
 public:
  /// What came of a question, by its number; on the asker's thread.
  using Deliver = std::function<void(std::uint64_t number, Result<Answer> answer)>;

  /// `analyst` may be nullptr: then nothing is ever asked. It outlives the asker.
  Asker(session::Analyst* analyst, Deliver deliver);
  ~Asker();
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  void ask(std::uint64_t number, Question question);
  /// Ends what is asked; its answer is an Error then.
  void cancel();
  /// An end that was asked for just before the question began went unheard: says it again. To be called now
  /// and then.
  void insist();
  /// Of the question under way, 0 to 1.
  [[nodiscard]] double progress() const;

 private:
  struct Asked {
    std::uint64_t number;
    Question question;
  };
  void run();

  session::Analyst* analyst_;
  const Deliver deliver_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Asked> next_;  // guarded by mutex_, as is all below
  double progress_ = 0;
  bool asking_ = false, ending_ = false, closing_ = false;
  std::thread thread_;
};

}  // namespace hindsight::debugger::ui
