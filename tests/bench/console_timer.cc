// Runs a command and takes the host's time when marker lines arrive on its standard output: the clock of an
// emulated guest counts instructions, so a benchmark's seconds can only be taken from outside.
//
//   console_timer [--timeout SECONDS] [--log FILE] -- COMMAND...
//
// Prints "NAME SECONDS CHECKSUM" for each pair BENCH-BEGIN NAME, BENCH-END NAME [CHECKSUM]; "boot SECONDS"
// from the start of the command to HINDSIGHT-INIT; "total SECONDS" to its end. Ends the command when it has
// said HINDSIGHT-POWEROFF and does not end by itself. Exit status: 0, or 1 when no HINDSIGHT-POWEROFF came in
// time.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kGraceAfterPoweroff = 10.0;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Arguments {
  double timeout = 600;
  std::string log;
  std::vector<char*> command;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  int i = 1;
  for (; i + 1 < argc && std::string_view(argv[i]) != "--"; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--timeout") arguments.timeout = std::atof(argv[i + 1]);
    if (option == "--log") arguments.log = argv[i + 1];
  }
  for (++i; i < argc; ++i) arguments.command.push_back(argv[i]);
  arguments.command.push_back(nullptr);
  return arguments;
}

/// What the lines have said so far. A line counts from the moment its end arrives.
class Markers {
 public:
  explicit Markers(Clock::time_point start) : start_(start) {}

  void line(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    if (const auto name = after(text, "BENCH-BEGIN "); !name.empty()) {
      begun_[std::string(name)] = Clock::now();
    } else if (const auto rest = after(text, "BENCH-END "); !rest.empty()) {
      end(rest);
    } else if (text.ends_with("HINDSIGHT-INIT")) {
      std::printf("boot %.4f\n", seconds_since(start_));
    } else if (text.ends_with("HINDSIGHT-POWEROFF")) {
      powered_off_ = true;
    }
    std::fflush(stdout);
  }

  bool powered_off() const { return powered_off_; }

 private:
  static std::string_view after(std::string_view text, std::string_view marker) {
    const auto at = text.find(marker);
    return at == std::string_view::npos ? std::string_view() : text.substr(at + marker.size());
  }

  void end(std::string_view rest) {
    const auto space = rest.find(' ');
    const std::string name(rest.substr(0, space));
    const std::string checksum(space == std::string_view::npos ? "-" : rest.substr(space + 1));
    const auto begun = begun_.find(name);
    if (begun == begun_.end()) return;
    std::printf("%s %.4f %s\n", name.c_str(), seconds_since(begun->second), checksum.c_str());
  }

  Clock::time_point start_;
  std::map<std::string, Clock::time_point> begun_;
  bool powered_off_ = false;
};

pid_t start(const std::vector<char*>& command, int& output) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    execvp(command[0], command.data());
    std::perror(command[0]);
    _exit(127);
  }
  close(ends[1]);
  output = ends[0];
  return child;
}

/// Feeds the lines that come from `output` to `markers` until its end or the time limit.
void follow(int output, Markers& markers, std::FILE* log, Clock::time_point begun, double timeout) {
  std::string pending;
  char buffer[4096];
  double limit = timeout;
  while (seconds_since(begun) < limit) {
    pollfd waiting = {output, POLLIN, 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    const ssize_t count = read(output, buffer, sizeof buffer);
    if (count <= 0) return;
    if (log != nullptr) std::fwrite(buffer, 1, static_cast<std::size_t>(count), log);
    pending.append(buffer, static_cast<std::size_t>(count));
    std::size_t at = 0;
    for (std::size_t end; (end = pending.find('\n', at)) != std::string::npos; at = end + 1) {
      markers.line(std::string_view(pending).substr(at, end - at));
    }
    pending.erase(0, at);
    if (markers.powered_off()) limit = std::min(limit, seconds_since(begun) + kGraceAfterPoweroff);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (arguments.command.size() < 2) {
    std::fprintf(stderr, "usage: console_timer [--timeout SECONDS] [--log FILE] -- COMMAND...\n");
    return 2;
  }
  std::FILE* log = arguments.log.empty() ? nullptr : std::fopen(arguments.log.c_str(), "w");
  const auto begun = Clock::now();
  int output = -1;
  const pid_t child = start(arguments.command, output);
  if (child < 0) return 2;
  Markers markers(begun);
  follow(output, markers, log, begun, arguments.timeout);
  std::printf("total %.4f\n", seconds_since(begun));
  kill(-child, SIGTERM);
  int status = 0;
  for (int tries = 0; waitpid(child, &status, WNOHANG) == 0; ++tries) {
    usleep(100'000);
    if (tries == 50) kill(-child, SIGKILL);
  }
  if (log != nullptr) std::fclose(log);
  if (!markers.powered_off())
    std::fprintf(stderr, "console_timer: the guest did not say HINDSIGHT-POWEROFF\n");
  return markers.powered_off() ? 0 : 1;
}
