// What the tests on stock kernels stand on: the guest's files from tests/guests/fetch, the hindsight
// executable as a process with a terminal or none, a web server, and a copier that alters a trace.
// One test per process; the main thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "traces/store/records.h"

namespace hindsight::tests {

/// Runs with HINDSIGHT_SOAK=1 repeat what is random `soak` times instead of `usual` times.
[[nodiscard]] int repetitions(int usual, int soak);

struct Outcome {
  int code = -1;     ///< exit code; 128 + signal
  std::string text;  ///< standard output and standard error
};

/// A child process in its own process group; killed when it goes out of scope.
class Process final {
 public:
  enum class Input { none, terminal };

  explicit Process(std::vector<std::string> words, Input input = Input::none);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t id() const { return id_; }
  /// Waits until the output holds `text`; false at its end or after `patience`.
  bool wait_for(const std::string& text, std::chrono::seconds patience = std::chrono::seconds(60));
  void type(const std::string& text);
  void signal(int number) const;
  Outcome wait();

 private:
  bool read_some(std::chrono::milliseconds patience);

  pid_t id_ = -1;
  int terminal_ = -1, output_ = -1;
  std::string text_;
};

/// The trace `from` as `to`, each event as `edit` leaves it.
void copy_trace(const std::string& from, const std::string& to,
                const std::function<void(traces::store::Event&, traces::store::Bytes& payload)>& edit);

class GuestTest : public testing::Test {
 protected:
  GuestTest();
  ~GuestTest() override;
  /// Skips where the guest's packages cannot be had.
  void SetUp() override;

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& contents) const;
  /// What `fetch` said, as kernel, initrd, disk.
  [[nodiscard]] std::string guest(const std::string& name) const;
  /// `hindsight record -o TRACE` of a guest with `append` on the kernel command line, and what `more` says.
  [[nodiscard]] std::vector<std::string> record(const std::string& trace, const std::string& append,
                                                const std::vector<std::string>& more = {}) const;
  /// Options for the guest's full mode: disk, network, and a web server that runs until the test ends.
  [[nodiscard]] std::vector<std::string> full_machine();
  /// A web server for `folder` that runs until the test ends; its port on 10.0.2.2.
  unsigned serve(const std::string& folder);
  /// The command line for it.
  [[nodiscard]] std::string full_append() const;
  /// A console script that types `line` at the shell's prompt.
  [[nodiscard]] std::string shell_script(const std::string& line) const;
  void stop_web_server() { server_.reset(); }

  static Outcome run(std::vector<std::string> words);
  static Outcome hindsight(std::vector<std::string> words);
  /// Expects `verify` with `engine` to agree.
  static void expect_verified(const std::string& trace, const std::string& engine = "jit");
  static std::uint64_t end_of(const std::string& trace);

  std::string kernel_, initrd_;  ///< what to boot; the fetched ones unless a test changes them

 private:
  std::string folder_, fetched_;
  std::unique_ptr<Process> server_;
  unsigned port_ = 0;
};

}  // namespace hindsight::tests
