// One line on the terminal's standard error that is written over and over, such as how far a command has
// come. Silent where standard error is no terminal, or one that cannot go back in a line (TERM=dumb). The
// main thread.
#pragma once

#include <string>

namespace hindsight::debugger::cli {

/// The file is a terminal that understands control sequences (ECMA-48).
[[nodiscard]] bool understands_sequences(int file);

class StatusLine final {
 public:
  StatusLine();
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  [[nodiscard]] bool visible() const { return visible_; }
  /// Instead of what was shown before; cut where the terminal's line ends.
  void show(std::string text);
  /// Takes the line away.
  void clear();

 private:
  const bool visible_;
  bool open_ = false;
};

}  // namespace hindsight::debugger::cli
