#include "debugger/cli/status_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace hindsight::debugger::cli {

bool understands_sequences(int file) {
  const char* kind = std::getenv("TERM");
  return isatty(file) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
}

StatusLine::StatusLine() : visible_(understands_sequences(STDERR_FILENO)) {}

void StatusLine::show(std::string text) {
  if (!visible_) return;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  // The last column stays free: a line that fills it may already have begun the next.
  const std::size_t most = known ? size.ws_col - 1u : 79u;
  if (text.size() > most) text.resize(most);
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
  open_ = true;
}

void StatusLine::clear() {
  if (open_) std::fputs("\r\033[K", stderr);
  open_ = false;
}

}  // namespace hindsight::debugger::cli
