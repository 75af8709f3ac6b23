// Shows what a replayed guest printed on standard output. On a terminal, what asks the terminal to answer (a
// cursor position, a device's identity) is left out: nobody would read the answer but the user's own shell.
// The run loop's thread. Nothing flows back into the machine.
#pragma once

#include <optional>
#include <string>

#include "engine/port/nondet.h"

namespace hindsight::debugger::cli {

/// Removes control sequences that ask for an answer: DSR (CSI … n) and DA (CSI … c), ECMA-48. Sequences may
/// be cut anywhere between calls.
class QueryFilter final {
 public:
  std::string filter(std::string_view text);

 private:
  std::string held_;  ///< the start of a sequence that may turn out to be a query
};

class ConsoleEcho final : public engine::port::OutputSink {
 public:
  ConsoleEcho();
  /// Leaves a terminal at the start of a line with plain attributes.
  ~ConsoleEcho() override { finish(); }
  ConsoleEcho(const ConsoleEcho&) = delete;
  ConsoleEcho& operator=(const ConsoleEcho&) = delete;

  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;
  void finish();
  /// Why the rest is not shown; a reader who has read enough is no reason.
  [[nodiscard]] std::optional<std::string> failure() const;

 private:
  void write(std::string_view text);

  const bool terminal_;
  int gone_ = 0;          ///< an error number, which ends the echo, not the replay
  bool shown_ = false;    ///< anything
  bool in_line_ = false;  ///< the last byte did not end a line
  QueryFilter queries_;
};

}  // namespace hindsight::debugger::cli
