#include "debugger/cli/console_echo.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "debugger/cli/status_line.h"

namespace hindsight::debugger::cli {

using engine::port::Channel;

std::string QueryFilter::filter(std::string_view text) {
  constexpr std::size_t kLongest = 32;  // more than any query has; a longer sequence is let through
  std::string out;
  for (const char c : text) {
    if (held_.empty() && c != '\033') {
      out += c;
      continue;
    }
    if (c == '\033') {  // starts anew, whatever came before
      out += std::exchange(held_, "\033");
      continue;
    }
    held_ += c;
    const bool introducer = held_.size() == 2;
    if (introducer ? c == '[' : c >= 0x20 && c < 0x40 && held_.size() < kLongest) continue;
    const bool query = !introducer && (c == 'n' || c == 'c');
    if (!query) out += held_;
    held_.clear();
  }
  return out;
}

ConsoleEcho::ConsoleEcho() : terminal_(isatty(STDOUT_FILENO) != 0) {}

void ConsoleEcho::output(engine::port::Instant, Channel channel, std::span<const std::byte> data) {
  if (channel != Channel::serial0 && channel != Channel::virtio_console) return;
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  terminal_ ? write(queries_.filter(text)) : write(text);
}

void ConsoleEcho::finish() {
  if (!terminal_ || !shown_) return;
  if (std::exchange(in_line_, false)) write("\n");
  if (understands_sequences(STDOUT_FILENO)) write("\033[0m\033[?25h");
  shown_ = in_line_ = false;
}

std::optional<std::string> ConsoleEcho::failure() const {
  if (gone_ == 0 || gone_ == EPIPE) return std::nullopt;
  return std::string("standard output: cannot write: ") + std::strerror(gone_);
}

void ConsoleEcho::write(std::string_view text) {
  if (text.empty()) return;
  shown_ = true;
  in_line_ = text.back() != '\n';
  while (!text.empty() && gone_ == 0) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) gone_ = errno;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace hindsight::debugger::cli
