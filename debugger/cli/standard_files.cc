#include "debugger/cli/standard_files.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hindsight::debugger::cli {

void occupy_standard_files() {
  // Input ends at once, output fails as it would have, and what would be said goes nowhere.
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const int way = number == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", way);
  }
}

std::optional<std::string> finish_standard_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return std::nullopt;
  const std::string why = errno != 0 ? std::string(": ") + std::strerror(errno) : std::string();
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0) return std::nullopt;
  return "standard output: cannot write" + why;
}

}  // namespace hindsight::debugger::cli
