// The guest's program as its source says it: lines, functions, variables, for the code whose debug
// information was given. What the window and the command line use; whoever opens the session hands it in.
// Goes with one session, whose cursor it shares and whose thread it lives on. Looks only, but for
// step_line(). What is read from the guest and from files is never trusted: what cannot be told is left out,
// or said why.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "debugger/session/session.h"

namespace hindsight::debugger::session {

struct SourcePlace {
  std::string file;  ///< as debug information names it
  unsigned line = 0;
  friend bool operator==(const SourcePlace&, const SourcePlace&) = default;
};

/// A call that has not returned. One that the compiler inlined is a frame of its own.
struct SourceFrame {
  GuestVirt pc;
  std::string function = {};  ///< "ring_show"; without debug information as FrameInfo::where
  std::optional<SourcePlace> place = {};
  bool inlined = false;      ///< into the frame after it
  bool interrupted = false;  ///< an exception or interrupt came here
};

struct Variable {
  enum class Kind : std::uint8_t { parameter, local, file, part };
  Kind kind = Kind::local;
  std::string name = {};   ///< of an array's element "[3]"
  std::string type = {};   ///< as C spells it
  std::string value = {};  ///< or why there is none: "optimized out"
  bool known = false;
  /// Where it lies, if in memory and in one piece, and its bytes.
  std::optional<GuestVirt> address = {};
  std::uint64_t size = 0;
  std::vector<Variable> parts = {};  ///< fields and elements, of a pointer those of what it points to
};

/// The text of a file, and which addresses begin a line's statements.
struct SourceText {
  std::string file;                ///< as debug information names it
  std::string path;                ///< where it was read
  std::vector<std::string> lines;  ///< the first line is lines[0]; empty: see trouble
  std::string trouble;
  std::vector<std::pair<GuestVirt, unsigned>> statements;  ///< ascending
};

class Sources {
 public:
  virtual ~Sources() = default;
  /// At the cursor, the innermost first; at least one.
  [[nodiscard]] virtual std::vector<SourceFrame> frames() = 0;
  /// Of one of the frames() of this cursor: parameters, locals, and what the file keeps for itself.
  [[nodiscard]] virtual std::vector<Variable> variables(std::size_t frame) = 0;
  [[nodiscard]] virtual std::shared_ptr<const SourceText> text(const std::string& file) = 0;
  /// Where to break for "ring.c:114": one address for each place that the compiler put the line to. The next
  /// line with code where that one has none.
  [[nodiscard]] virtual Result<std::vector<GuestVirt>> addresses(std::string_view file_and_line) = 0;
  /// Which hits at them count: in a program's code those of that program, not of another one at the same
  /// addresses. Empty: all.
  [[nodiscard]] virtual Question when(std::string_view file_and_line) = 0;
  /// To where the next line begins, or the last one began, in one of the frames() (if none is said: the
  /// innermost that has lines) or in its caller; calls are run through. The session's own conditions stop it
  /// too.
  virtual Result<Stop> step_line(Direction direction, std::optional<std::size_t> frame = {}) = 0;
  /// Files that are of no use at this cursor, one line each.
  [[nodiscard]] virtual std::vector<std::string> troubles() = 0;
};

}  // namespace hindsight::debugger::session
