#include "devices/hostio/script.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace hindsight::devices::hostio {
namespace {

// A position in one line of a script.
class LineParser {
 public:
  explicit LineParser(std::string_view line) : rest_(line) {}

  std::string_view word() {
    skip_space();
    std::size_t length = 0;
    while (length < rest_.size() && std::isspace(static_cast<unsigned char>(rest_[length])) == 0) ++length;
    return take(length);
  }

  /// A quoted string, or nothing and an explanation in `why`.
  std::optional<std::string> quoted(std::string& why) {
    skip_space();
    if (rest_.empty() || take(1) != "\"") {
      why = "expected a string in double quotes";
      return std::nullopt;
    }
    std::string text;
    while (!rest_.empty()) {
      const char c = take(1).front();
      if (c == '"') return text;
      if (c != '\\') {
        text += c;
        continue;
      }
      const std::optional<char> escaped = escape();
      if (!escaped) {
        why = "unknown escape in string; known are \\n \\r \\t \\e \\\\ \\\" \\xHH";
        return std::nullopt;
      }
      text += *escaped;
    }
    why = "the string has no closing quote";
    return std::nullopt;
  }

  /// Whether only space or a comment is left.
  bool at_end() {
    skip_space();
    return rest_.empty() || rest_.front() == '#';
  }

 private:
  std::string_view take(std::size_t length) {
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  void skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0)
      rest_.remove_prefix(1);
  }

  std::optional<char> escape() {
    const std::string_view kind = take(1);
    if (kind == "n") return '\n';
    if (kind == "r") return '\r';
    if (kind == "t") return '\t';
    if (kind == "e") return '\x1b';
    if (kind == "\\" || kind == "\"") return kind.front();
    if (kind != "x") return std::nullopt;
    const std::string_view digits = take(2);
    unsigned value = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || failure != std::errc{} || end != digits.data() + 2) return std::nullopt;
    return static_cast<char>(value);
  }

  std::string_view rest_;
};

std::optional<std::uint64_t> parse_duration(std::string_view word) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (failure != std::errc{}) return std::nullopt;
  const std::string_view unit = word.substr(static_cast<std::size_t>(end - word.data()));
  std::uint64_t scale = 0;
  if (unit == "ns") scale = 1;
  if (unit == "us") scale = 1'000;
  if (unit == "ms") scale = 1'000'000;
  if (unit == "s") scale = 1'000'000'000;
  constexpr std::uint64_t kLongest = 1'000'000'000'000'000;  // eleven days
  if (scale == 0 || number > kLongest / scale) return std::nullopt;
  return number * scale;
}

}  // namespace

Result<Script> parse_script(std::string_view name, std::string_view text) {
  Script script{std::string(name), {}};
  unsigned number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    LineParser parser(line);
    if (parser.at_end()) continue;
    const std::string_view verb = parser.word();
    ScriptStep step{ScriptStep::Kind::expect, {}, 0, number};
    std::string why;
    if (verb == "expect" || verb == "send") {
      step.kind = verb == "expect" ? ScriptStep::Kind::expect : ScriptStep::Kind::send;
      std::optional<std::string> string = parser.quoted(why);
      if (!string) return error("{}:{}: {}", name, number, why);
      if (string->empty()) return error("{}:{}: the string is empty", name, number);
      step.text = std::move(*string);
    } else if (verb == "delay") {
      step.kind = ScriptStep::Kind::delay;
      const std::string_view word = parser.word();
      const std::optional<std::uint64_t> duration = parse_duration(word);
      if (!duration)
        return error("{}:{}: expected a duration such as 500ms, found \"{}\"", name, number, word);
      step.nanoseconds = *duration;
    } else {
      return error("{}:{}: expected expect, send or delay, found \"{}\"", name, number, verb);
    }
    if (!parser.at_end()) return error("{}:{}: something follows the end of the step", name, number);
    script.steps.push_back(std::move(step));
  }
  return script;
}

Result<Script> load_script(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return error("{}: is a directory", path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return error("{}: cannot open the script: {}", path, std::strerror(errno));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return error("{}: cannot read the script", path);
  return parse_script(path, text);
}

ScriptedConsole::ScriptedConsole(Script script, int echo_fd)
    : script_(std::move(script)), echo_fd_(echo_fd) {}

// Carries out the steps that are due.
void ScriptedConsole::advance(VirtualTime now) {
  for (; next_ < script_.steps.size(); ++next_, step_began_ = now) {
    const ScriptStep& step = script_.steps[next_];
    switch (step.kind) {
      case ScriptStep::Kind::expect: {
        const std::size_t at = seen_.find(step.text);
        if (at == std::string::npos) {
          // Only a tail shorter than the pattern can still become part of a match.
          if (seen_.size() >= step.text.size()) seen_.erase(0, seen_.size() - step.text.size() + 1);
          return;
        }
        seen_.erase(0, at + step.text.size());
        break;
      }
      case ScriptStep::Kind::send:
        for (const char c : step.text) to_send_.push_back(static_cast<std::byte>(c));
        break;
      case ScriptStep::Kind::delay:
        if (now.value - step_began_.value < step.nanoseconds) return;
        break;
    }
  }
  seen_.clear();
}

void ScriptedConsole::receive(VirtualTime now, std::vector<std::byte>& out) {
  advance(now);
  out.insert(out.end(), to_send_.begin(), to_send_.end());
  to_send_.clear();
}

void ScriptedConsole::output(VirtualTime now, std::span<const std::byte> data) {
  if (echo_fd_ >= 0 && !write_all(echo_fd_, data)) echo_fd_ = -1;
  if (finished()) return;
  seen_.append(reinterpret_cast<const char*>(data.data()), data.size());
  advance(now);
}

VirtualTime ScriptedConsole::next_time() const {
  if (finished() || script_.steps[next_].kind != ScriptStep::Kind::delay) return VirtualTime::max();
  return step_began_ + script_.steps[next_].nanoseconds;
}

std::optional<std::string> ScriptedConsole::waiting_for() const {
  if (finished()) return std::nullopt;
  const ScriptStep& step = script_.steps[next_];
  switch (step.kind) {
    case ScriptStep::Kind::expect:
      return fmt::format("{}:{}: waiting for \"{}\"", script_.name, step.line, step.text);
    case ScriptStep::Kind::send:
      return fmt::format("{}:{}: not yet sent", script_.name, step.line);
    case ScriptStep::Kind::delay:
      break;
  }
  return fmt::format("{}:{}: waiting for a delay", script_.name, step.line);
}

}  // namespace hindsight::devices::hostio
