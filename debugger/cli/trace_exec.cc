#include "debugger/cli/trace_exec.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>
#include <vector>

namespace hindsight::debugger::cli {
namespace {

using engine::port::StopReason;

/// "rax=…", "rbx=…", …: one word a register. Where the CPU is stands in the instruction's own line.
std::vector<std::string> register_words(const BuiltMachine& built) {
  std::vector<std::string> words;
  std::istringstream text(built.registers());
  for (std::string word; text >> word;)
    if (!word.starts_with("rip=")) words.push_back(word);
  return words;
}

std::string changed(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::string text;
  for (std::size_t i = 0; i < after.size(); ++i)
    if (i >= before.size() || after[i] != before[i]) text += " " + after[i];
  return text;
}

}  // namespace

std::optional<IcountRange> parse_range(const std::string& text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return std::nullopt;
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const auto from = number(std::string_view(text).substr(0, dots));
  const auto to = number(std::string_view(text).substr(dots + 2));
  if (!from || !to || *from >= *to) return std::nullopt;
  return IcountRange{Icount(*from), Icount(*to)};
}

StopReason trace_execution(BuiltMachine& built, const IcountRange& range,
                           const std::function<bool()>& go_on) {
  engine::port::Machine& machine = built.machine();
  StopReason reason = machine.now().icount < range.from ? machine.run(range.from) : StopReason::reached;
  if (reason != StopReason::reached || !go_on()) return reason;
  fmt::print("{}", built.registers());
  std::vector<std::string> before = register_words(built);
  while (reason == StopReason::reached && machine.now().icount < range.to && go_on()) {
    const Icount at = machine.now().icount;
    const std::string instruction = built.instruction();
    reason = machine.run(at + 1);
    const std::vector<std::string> after = register_words(built);
    fmt::print("{:>12}  {:<64}{}\n", at.value, instruction, changed(before, after));
    before = after;
  }
  return reason;
}

}  // namespace hindsight::debugger::cli
