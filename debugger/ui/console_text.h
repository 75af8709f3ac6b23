// What a console has shown, with the instant of every character, so that it can be shown as it was at any
// instant. Terminal control sequences are left out. What was typed and echoed is marked. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"

namespace hindsight::debugger::ui {

class ConsoleText final {
 public:
  /// Bytes that arrived from outside, which the guest may echo from then on. In order, before the output that
  /// follows them.
  void typed(std::uint64_t icount, std::string_view bytes);
  void sent(std::uint64_t icount, char byte);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_typed(std::size_t index) const { return typed_[index] != 0; }
  [[nodiscard]] std::uint64_t icount(std::size_t index) const { return at_[index]; }
  /// Where each line begins.
  [[nodiscard]] const std::vector<std::size_t>& lines() const { return lines_; }
  /// How many characters had been shown at `icount`.
  [[nodiscard]] std::size_t shown_at(std::uint64_t icount) const;
  /// The line that a character is in.
  [[nodiscard]] std::size_t line_of(std::size_t index) const;

 private:
  void put(std::uint64_t icount, char byte);

  enum class Escape : std::uint8_t { none, begun, bracket };
  std::string text_;
  std::vector<std::uint64_t> at_;
  std::vector<std::uint8_t> typed_;
  std::vector<std::size_t> lines_{0};
  std::string expected_;  ///< typed and not yet echoed
  Escape escape_ = Escape::none;
  bool return_ = false;  ///< a carriage return came
};

}  // namespace hindsight::debugger::ui
