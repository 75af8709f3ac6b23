// Questions that take all of history, as commands: "diff", "diff-trace", "query" and "profile". Owned by the
// engine's thread, which alone uses it; what it prepares is asked on another.
#pragma once

#include <functional>
#include <string>

#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/ui/model_builder.h"
#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

/// Puts what was answered into the view-model, with a message that says what came of it.
using Answer = std::function<void(ViewModel& model)>;
/// Asks the analyst; on any thread.
using Question = std::function<Result<Answer>()>;

class Inquiries final {
 public:
  /// `analyst` may be nullptr: then every question is refused. All are borrowed.
  Inquiries(session::Session& session, session::Analyst* analyst, ModelBuilder& builder)
      : session_(session), analyst_(analyst), builder_(builder) {}

  /// Whether `name` is a question at all.
  [[nodiscard]] static bool knows(const std::string& name);
  /// What is to be asked. Positions and registers in it are those of the cursor as it stands.
  Result<Question> prepare(const std::string& name, const std::string& rest);

 private:
  struct Range {
    session::Position from, to;
  };
  Result<Question> diff(const std::string& rest);
  Result<Question> diff_trace(const std::string& path);
  Result<Question> query(const std::string& rest);
  Result<Question> profile(const std::string& rest);
  /// "A..B", or everything where the text is empty.
  Result<Range> range(const std::string& text);
  /// The analyst knows no registers: "rsp+8/4" becomes a number.
  std::string subject(const std::string& kind, const std::string& text);

  session::Session& session_;
  session::Analyst* analyst_;
  ModelBuilder& builder_;
};

}  // namespace hindsight::debugger::ui
