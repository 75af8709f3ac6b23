// Questions that take all of history, as commands: "diff", "diff-trace", "query" and "profile". Puts what the
// analyst answers into the view-model. Owned by the engine's thread, which alone uses it.
#pragma once

#include <string>

#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/ui/model_builder.h"
#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

class Inquiries final {
 public:
  /// `analyst` may be nullptr: then every question is refused. All are borrowed.
  Inquiries(session::Session& session, session::Analyst* analyst, ModelBuilder& builder)
      : session_(session), analyst_(analyst), builder_(builder) {}

  /// Whether `name` is a question at all.
  [[nodiscard]] static bool knows(const std::string& name);
  /// Carries it out; `model.message` says what came of it.
  Status carry_out(const std::string& name, const std::string& rest, ViewModel& model);

 private:
  struct Range {
    session::Position from, to;
  };
  Status diff(const std::string& rest, ViewModel& model);
  Status diff_trace(const std::string& path, ViewModel& model);
  Status query(const std::string& rest, ViewModel& model);
  Status profile(const std::string& rest, ViewModel& model);
  /// "A..B", or everything where the text is empty.
  Result<Range> range(const std::string& text);
  /// The analyst knows no registers: "rsp+8/4" becomes a number.
  std::string subject(const std::string& kind, const std::string& text);

  session::Session& session_;
  session::Analyst* analyst_;
  ModelBuilder& builder_;
};

}  // namespace hindsight::debugger::ui
