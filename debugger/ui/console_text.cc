#include "debugger/ui/console_text.h"

#include <algorithm>

namespace hindsight::debugger::ui {

void ConsoleText::typed(std::uint64_t, std::string_view bytes) {
  // What a terminal answers by itself is not echoed.
  if (bytes.starts_with('\x1B')) return;
  for (const char byte : bytes) expected_ += byte == '\r' ? '\n' : byte;
}

void ConsoleText::put(std::uint64_t icount, char byte) {
  bool echo = false;
  if (!expected_.empty() && expected_.front() == byte) {
    echo = true;
    expected_.erase(0, 1);
  }
  text_ += byte;
  at_.push_back(icount);
  typed_.push_back(echo ? 1 : 0);
  if (byte == '\n') lines_.push_back(text_.size());
}

void ConsoleText::sent(std::uint64_t icount, char byte) {
  // ECMA-48, 5.4: a control sequence is ESC [, parameters, and a final byte from 0x40 to 0x7e.
  if (escape_ == Escape::begun) {
    escape_ = byte == '[' ? Escape::bracket : Escape::none;
    return;
  }
  if (escape_ == Escape::bracket) {
    if (byte >= 0x40 && byte <= 0x7E) escape_ = Escape::none;
    return;
  }
  if (byte == 0x1B) {
    escape_ = Escape::begun;
    return;
  }
  if (byte == '\r') {
    return_ = true;
    return;
  }
  if (byte == '\b') {
    if (text_.size() > lines_.back() && text_.back() != '\n') put(icount, ' ');
    return;
  }
  if (byte == '\t') {
    do put(icount, ' ');
    while ((text_.size() - lines_.back()) % 8 != 0);
    return;
  }
  // A return in the middle of a line writes over it: what stood there stays, on a line of its own.
  if (return_ && byte != '\n' && text_.size() > lines_.back()) put(icount, '\n');
  return_ = false;
  if (byte == '\n' || (byte >= 0x20 && byte < 0x7F)) put(icount, byte);
}

std::size_t ConsoleText::shown_at(std::uint64_t icount) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(at_, icount) - at_.begin());
}

std::size_t ConsoleText::line_of(std::size_t index) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(lines_, index) - lines_.begin()) - 1;
}

}  // namespace hindsight::debugger::ui
