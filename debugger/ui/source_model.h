// What the source panel shows, and how it is built from a session's Sources. The model is immutable once
// published, any thread; the builder is the engine's thread's, which alone uses it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "debugger/session/sources.h"

namespace hindsight::debugger::ui {

struct VariableRow {
  session::Variable::Kind kind = session::Variable::Kind::local;
  unsigned depth = 0;  ///< 1: a part of the row before that is not
  std::string name, type, value;
  bool known = false;
  bool changed = false;
  std::string before;                ///< where changed
  std::optional<GuestVirt> address;  ///< if it lies in memory
  std::uint64_t size = 0;            ///< bytes there
  std::size_t parts = 0;             ///< rows that follow and belong to it
};

struct SourceModel {
  std::vector<session::SourceFrame> frames;  ///< the innermost first
  std::size_t shown = 0;                     ///< of them
  std::shared_ptr<const session::SourceText> text;
  std::vector<VariableRow> variables;
  std::vector<std::string> troubles;
  session::Position at;

  [[nodiscard]] const session::SourceFrame& frame() const { return frames[shown]; }
  /// 0: none is known.
  [[nodiscard]] unsigned line() const { return frame().place ? frame().place->line : 0; }
};

class SourceBuilder final {
 public:
  explicit SourceBuilder(session::Session& session, session::Sources* sources)
      : session_(session), sources_(sources) {}

  [[nodiscard]] session::Sources* sources() const { return sources_; }
  /// Shows that frame until the cursor moves.
  void choose(std::size_t frame) { chosen_ = frame; }
  void forget_choice() { chosen_.reset(); }
  [[nodiscard]] std::optional<std::size_t> choice() const { return chosen_; }
  /// Nothing where there are no sources. Marks what changed since `before`.
  std::shared_ptr<const SourceModel> build(const SourceModel* before);

 private:
  session::Session& session_;
  session::Sources* const sources_;
  std::optional<std::size_t> chosen_;
};

/// The row that "ring.fill", "batch->capacity" or "text[3]" means; nullptr: there is none of that name.
[[nodiscard]] const VariableRow* find_variable(const SourceModel& source, std::string name);

/// Whether a place to break at is a line, as in "ring.c:114".
[[nodiscard]] bool names_a_line(const std::string& text);

}  // namespace hindsight::debugger::ui
