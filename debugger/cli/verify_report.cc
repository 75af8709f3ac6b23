#include "debugger/cli/verify_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "debugger/cli/commands.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"

namespace hindsight::debugger::cli {
namespace {

using Kind = Verdict::Kind;

constexpr std::array kKinds = {Kind::ok,          Kind::diverged, Kind::unexpected, Kind::timed_out,
                               Kind::interrupted, Kind::bad,      Kind::not_run};

/// How a kind is called in JSON and in counts.
std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::not_run:
      return "not run";
    case Kind::ok:
      return "ok";
    case Kind::diverged:
      return "diverged";
    case Kind::unexpected:
      return "unexpected";
    case Kind::timed_out:
      return "timed out";
    case Kind::interrupted:
      return "interrupted";
    case Kind::bad:
      return "bad";
  }
  return "";
}

std::size_t count(const std::vector<Verdict>& verdicts, Kind kind) {
  return static_cast<std::size_t>(
      std::ranges::count_if(verdicts, [&](const Verdict& verdict) { return verdict.kind == kind; }));
}

/// The bytes of a UTF-8 sequence that begins `text`, 0 if none does (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = at(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  // Longer than needed, surrogates, beyond U+10FFFF, and what XML bars: U+FFFE, U+FFFF.
  if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) >= 0xa0)) return 0;
  if ((first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) >= 0x90)) return 0;
  if (first == 0xef && at(1) == 0xbf && at(2) >= 0xbe) return 0;
  return length;
}

/// Text within XML 1.0, which knows no way to write most control characters: they become \xNN.
std::string xml_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (c == '<' || c == '>' || c == '&' || c == '"') {
      out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : "&quot;";
    } else if (length == 0 || (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) &&
                               c != '\n' && c != '\t')) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      text.remove_prefix(1);
      continue;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) out += fmt::format("    {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string test_case(const std::string& trace, const expect::FactResult& fact) {
  const std::string name = fmt::format("{}.expect:{}: {}", trace, fact.line, fact.text);
  const std::string failure =
      fact.holds ? "" : fmt::format("<failure type=\"fact\" message=\"{}\"/>", xml_text(fact.found));
  return fmt::format("    <testcase classname=\"hindsight.expect\" name=\"{}\" time=\"0\">{}</testcase>\n",
                     xml_text(name), failure);
}

std::string test_case(const Verdict& verdict) {
  std::string text =
      fmt::format("    <testcase classname=\"hindsight.verify\" name=\"{}\" time=\"{:.3f}\">\n",
                  xml_text(verdict.trace), verdict.seconds);
  const std::string message = xml_text(verdict.line);
  switch (verdict.kind) {
    case Kind::ok:
    case Kind::unexpected:
      text += fmt::format("      <system-out>{}</system-out>\n", message);
      break;
    case Kind::diverged:
    case Kind::timed_out:
    case Kind::interrupted:
      text += fmt::format("      <failure type=\"{}\" message=\"{}\">{}</failure>\n", name_of(verdict.kind),
                          message, xml_text(verdict.line + "\n" + verdict.details));
      break;
    case Kind::bad:
      text += fmt::format("      <error type=\"bad trace\" message=\"{}\"/>\n", message);
      break;
    case Kind::not_run:
      text += "      <skipped message=\"interrupted before its turn\"/>\n";
      break;
  }
  text += "    </testcase>\n";
  for (const expect::FactResult& fact : verdict.facts) text += test_case(verdict.trace, fact);
  return text;
}

std::string json_of(const Verdict& verdict) {
  std::string text = fmt::format(
      "{{\"trace\":{},\"result\":{},\"seconds\":{:.3f},\"instructions\":{},\"digests\":{},\"text\":{}",
      json_string(verdict.trace), json_string(name_of(verdict.kind)), verdict.seconds, verdict.instructions,
      verdict.digests, json_string(verdict.line));
  if (const auto& divergence = verdict.divergence) {
    std::vector<std::string> also;
    for (const std::string& name : divergence->also) also.push_back(json_string(name));
    text += fmt::format(
        ",\"divergence\":{{\"icount\":{},\"time\":{},\"component\":{},\"field\":{},\"expected\":{},\"got\":{}"
        ","
        "\"also\":[{}],\"agreed\":{}}}",
        divergence->at.icount.value, divergence->at.time.value, json_string(divergence->component),
        json_string(divergence->field), json_string(divergence->expected), json_string(divergence->got),
        fmt::join(also, ","), divergence->since.value);
  }
  if (!verdict.facts.empty()) {
    std::vector<std::string> facts;
    for (const expect::FactResult& fact : verdict.facts)
      facts.push_back(fmt::format("{{\"line\":{},\"text\":{},\"holds\":{},\"found\":{}}}", fact.line,
                                  json_string(fact.text), fact.holds, json_string(fact.found)));
    text += fmt::format(",\"facts\":[{}]", fmt::join(facts, ","));
  }
  return text + "}";
}

}  // namespace

int exit_code(const std::vector<Verdict>& verdicts) {
  if (count(verdicts, Kind::bad) != 0) return kBadInput;
  return count(verdicts, Kind::ok) == verdicts.size() ? kOk : kFailed;
}

std::string_view word_of(Kind kind) {
  switch (kind) {
    case Kind::not_run:
      return "NOT RUN";
    case Kind::ok:
      return "ok";
    case Kind::diverged:
      return "DIVERGED";
    case Kind::unexpected:
      return "UNEXPECTED";
    case Kind::timed_out:
      return "TIMEOUT";
    case Kind::interrupted:
      return "INTERRUPTED";
    case Kind::bad:
      return "BAD";
  }
  return "";
}

std::string text_of(const Verdict& verdict) {
  return fmt::format("{}: {}: {}\n{}", verdict.trace, word_of(verdict.kind), verdict.line,
                     indented(verdict.details));
}

std::string summary_of(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> counts;
  for (const Kind kind : kKinds)
    if (const std::size_t some = count(verdicts, kind); some != 0)
      counts.push_back(fmt::format("{} {}", some, name_of(kind)));
  return fmt::format("{}: {}", counted(verdicts.size(), "trace"), fmt::join(counts, ", "));
}

std::string junit_of(const std::vector<Verdict>& verdicts, double seconds) {
  std::size_t facts = 0, failed = 0;
  for (const Verdict& verdict : verdicts) {
    facts += verdict.facts.size();
    failed += static_cast<std::size_t>(std::ranges::count(verdict.facts, false, &expect::FactResult::holds));
  }
  const std::string counts = fmt::format(
      "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\"", verdicts.size() + facts,
      failed + count(verdicts, Kind::diverged) + count(verdicts, Kind::timed_out) +
          count(verdicts, Kind::interrupted),
      count(verdicts, Kind::bad), count(verdicts, Kind::not_run), seconds);
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite name=\"hindsight verify\" "
      "{0}>\n",
      counts);
  for (const Verdict& verdict : verdicts) text += test_case(verdict);
  return text + "  </testsuite>\n</testsuites>\n";
}

std::string json_of(const std::vector<Verdict>& verdicts, double seconds) {
  std::vector<std::string> traces, counts;
  for (const Verdict& verdict : verdicts) traces.push_back(json_of(verdict));
  for (const Kind kind : kKinds)
    counts.push_back(fmt::format("{}:{}", json_string(name_of(kind)), count(verdicts, kind)));
  return fmt::format("{{\"seconds\":{:.3f},\"counts\":{{{}}},\"traces\":[\n{}\n]}}\n", seconds,
                     fmt::join(counts, ","), fmt::join(traces, ",\n"));
}

}  // namespace hindsight::debugger::cli
