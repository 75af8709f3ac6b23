// A console that answers by itself, for unattended runs. A script is a text of one step per line:
//
//   # a comment
//   expect "login: "        wait until the guest has printed this since the last match
//   send "root\n"           type this
//   delay 500ms             let this much virtual time pass (ns, us, ms or s)
//
// Strings know \n \r \t \e \\ \" and \xHH. What a script does depends on the guest's output and on virtual
// time only, so that with a fixed seed two recordings are alike. The run loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/hostio/backend.h"
#include "engine/base/result.h"

namespace hindsight::devices::hostio {

struct ScriptStep {
  enum class Kind { expect, send, delay };
  Kind kind;
  std::string text;               // expect, send
  std::uint64_t nanoseconds = 0;  // delay
  unsigned line = 0;
};

struct Script {
  std::string name;
  std::vector<ScriptStep> steps;
};

/// Errors say "name:line: what".
Result<Script> parse_script(std::string_view name, std::string_view text);
Result<Script> load_script(const std::string& path);

class ScriptedConsole final : public ConsoleBackend {
 public:
  /// Copies the guest's output to `echo_fd` (borrowed), or nowhere if that is -1.
  explicit ScriptedConsole(Script script, int echo_fd = -1);

  [[nodiscard]] int poll_fd() const override { return -1; }
  void receive(VirtualTime now, std::vector<std::byte>& out) override;
  void output(VirtualTime now, std::span<const std::byte> data) override;
  [[nodiscard]] VirtualTime next_time() const override;
  [[nodiscard]] bool input_possible() const override { return false; }

  [[nodiscard]] bool finished() const { return next_ == script_.steps.size(); }
  /// Where the script stands, as "name:line: waiting for …"; nothing once it is finished.
  [[nodiscard]] std::optional<std::string> waiting_for() const;

 private:
  void advance(VirtualTime now);

  Script script_;
  int echo_fd_;
  std::size_t next_ = 0;
  VirtualTime step_began_{0};
  std::string seen_;  // output since the last match, only as much as a match can still use
  std::vector<std::byte> to_send_;
};

}  // namespace hindsight::devices::hostio
