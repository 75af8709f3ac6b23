// The user's terminal, or whatever standard input and output are, as a console. In a terminal, raw mode lets
// every key reach the guest but the escape Ctrl-A: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A a sends Ctrl-A
// itself. The terminal's mode and attributes are restored by restore(), the destructor, on exit() and when a
// signal ends the process.
// The run loop's thread only; one at a time.
#pragma once

#include <functional>

#include "devices/hostio/backend.h"

namespace hindsight::devices::hostio {

class Terminal final : public ConsoleBackend {
 public:
  /// Takes over `in_fd` and `out_fd` (borrowed). `on_quit` is called from receive.
  Terminal(int in_fd, int out_fd, std::function<void()> on_quit);
  ~Terminal() override;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Gives the terminal back, at the start of a line. No key is special or read raw from then on.
  void restore();

  [[nodiscard]] int poll_fd() const override { return end_of_input_ ? -1 : in_fd_; }
  void receive(VirtualTime now, std::vector<std::byte>& out) override;
  void output(VirtualTime now, std::span<const std::byte> data) override;
  [[nodiscard]] VirtualTime next_time() const override { return VirtualTime::max(); }
  [[nodiscard]] bool input_possible() const override { return !end_of_input_; }

 private:
  void take_key(std::byte key, std::vector<std::byte>& out);

  int in_fd_;
  int out_fd_;
  std::function<void()> on_quit_;
  bool raw_ = false;
  bool escaped_ = false;
  bool end_of_input_ = false;
  bool output_gone_ = false;
  bool in_line_ = false;  ///< the last byte shown did not end a line
};

}  // namespace hindsight::devices::hostio
