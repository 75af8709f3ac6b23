#include "devices/hostio/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/log.h"

namespace hindsight::devices::hostio {
namespace {

constexpr std::byte kEscape{0x01};  // Ctrl-A

// A signal handler can reach nothing but globals. These describe the one terminal in raw mode.
std::atomic<int> raw_fd{-1};
std::atomic<int> shown_fd{-1};  // the same terminal as output, if it is one
termios saved_mode;

// What a guest may have left behind: colours (ECMA-48, SGR 0) and a hidden cursor (DECTCEM).
constexpr std::string_view kResetAttributes = "\033[0m\033[?25h";
constexpr std::string_view kHelp = "\n[Ctrl-A x: quit   Ctrl-A a: send Ctrl-A   Ctrl-A h: this help]\n";

constexpr std::array kFatalSignals{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT};

// Async-signal-safe: tcsetattr and write are on POSIX's list.
void restore_terminal() {
  const int fd = raw_fd.exchange(-1);
  if (fd < 0) return;
  const int out = shown_fd.exchange(-1);
  if (out >= 0) [[maybe_unused]]
    const ssize_t ignored = ::write(out, kResetAttributes.data(), kResetAttributes.size());
  tcsetattr(fd, TCSANOW, &saved_mode);
}

void on_fatal_signal(int number) {
  if (const int out = shown_fd.load(); out >= 0) [[maybe_unused]]
    const ssize_t ignored = ::write(out, "\n", 1);
  restore_terminal();
  // The handler was installed with SA_RESETHAND: this ends the process the way it would have ended.
  raise(number);
}

void install_restore_handlers() {
  static const bool at_exit_installed = std::atexit(restore_terminal) == 0;
  if (!at_exit_installed) log::warn("hostio", "the terminal will not be restored on exit()");
  for (const int number : kFatalSignals) {
    struct sigaction present {};
    sigaction(number, nullptr, &present);
    // A program that handles the signal unwinds, and the destructor restores.
    if (present.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_handler = on_fatal_signal;
    ours.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&ours.sa_mask);
    sigaction(number, &ours, nullptr);
  }
}

bool understands_sequences() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && std::string_view(kind) != "dumb";
}

}  // namespace

Terminal::Terminal(int in_fd, int out_fd, std::function<void()> on_quit)
    : in_fd_(in_fd), out_fd_(out_fd), on_quit_(std::move(on_quit)) {
  if (isatty(in_fd_) == 0) return;
  CHECK(raw_fd.load() < 0, "two terminals in raw mode");
  if (tcgetattr(in_fd_, &saved_mode) != 0) return;
  termios raw = saved_mode;
  cfmakeraw(&raw);
  raw.c_oflag |= OPOST;  // the guest's line feeds and our own messages still start at the left
  if (tcsetattr(in_fd_, TCSANOW, &raw) != 0) return;
  raw_fd = in_fd_;
  shown_fd = isatty(out_fd_) != 0 && understands_sequences() ? out_fd_ : -1;
  raw_ = true;
  install_restore_handlers();
}

Terminal::~Terminal() { restore(); }

void Terminal::restore() {
  if (!raw_) return;
  raw_ = false;
  if (in_line_ && isatty(out_fd_) != 0) write_all(out_fd_, std::as_bytes(std::span(std::string_view("\n"))));
  restore_terminal();
}

void Terminal::receive(VirtualTime /*now*/, std::vector<std::byte>& out) {
  if (end_of_input_) return;
  pollfd ready{in_fd_, POLLIN, 0};
  if (::poll(&ready, 1, 0) <= 0) return;
  std::array<std::byte, 4096> buffer{};
  const ssize_t count = ::read(in_fd_, buffer.data(), buffer.size());
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) end_of_input_ = true;
  for (ssize_t i = 0; i < count; ++i) take_key(buffer[static_cast<std::size_t>(i)], out);
}

void Terminal::take_key(std::byte key, std::vector<std::byte>& out) {
  // What comes through a pipe is data, escapes included.
  if (!raw_) return out.push_back(key);
  if (!escaped_ && key == kEscape) {
    escaped_ = true;
    return;
  }
  if (escaped_) {
    escaped_ = false;
    if (key == std::byte{'x'}) return on_quit_();
    if (key == std::byte{'a'}) return out.push_back(kEscape);
    if (key == std::byte{'h'}) write_all(out_fd_, std::as_bytes(std::span(kHelp)));
    return;  // other escapes mean nothing
  }
  out.push_back(key);
}

void Terminal::output(VirtualTime /*now*/, std::span<const std::byte> data) {
  if (output_gone_ || data.empty()) return;
  in_line_ = data.back() != std::byte{'\n'};
  output_gone_ = !write_all(out_fd_, data);
  if (output_gone_)
    log::warn("hostio", "the console's output cannot be written: {}; the guest goes on without it",
              std::strerror(errno));
}

}  // namespace hindsight::devices::hostio
