// What came of verifying traces: for people, as JUnit XML for continuous integration, as JSON. Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/expect/check.h"
#include "replay/play/divergence.h"

namespace hindsight::debugger::cli {

struct Verdict {
  enum class Kind : std::uint8_t {
    not_run,      ///< interrupted before its turn
    ok,           ///< the replay agrees with the recording
    diverged,     ///< it does not
    unexpected,   ///< it agrees, but a fact that is stated of it does not hold
    timed_out,    ///< not done within the time limit
    interrupted,  ///< by the user, before its end
    bad,          ///< no trace, or a damaged one
  };
  std::string trace;  ///< its path
  Kind kind = Kind::not_run;
  std::string line;     ///< what came of it, in one line
  std::string details;  ///< more of it, several lines; may be empty
  double seconds = 0;
  std::uint64_t instructions = 0, digests = 0;
  std::optional<replay::play::Divergence> divergence;
  std::vector<expect::FactResult> facts;  ///< those checked
};

[[nodiscard]] int exit_code(const std::vector<Verdict>& verdicts);
/// "ok", "DIVERGED", …
[[nodiscard]] std::string_view word_of(Verdict::Kind kind);
/// A line for people, and below it what there is to say of a divergence; ends with a newline.
[[nodiscard]] std::string text_of(const Verdict& verdict);
/// "3 traces: 2 ok, 1 diverged".
[[nodiscard]] std::string summary_of(const std::vector<Verdict>& verdicts);
/// A test case for each trace and each fact; a divergence or timeout is a failure, a bad trace an error.
[[nodiscard]] std::string junit_of(const std::vector<Verdict>& verdicts, double seconds);
/// One JSON object.
[[nodiscard]] std::string json_of(const std::vector<Verdict>& verdicts, double seconds);

}  // namespace hindsight::debugger::cli
