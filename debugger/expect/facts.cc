#include "debugger/expect/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "debugger/session/positions.h"
#include "debugger/session/x86_registers.h"

namespace hindsight::debugger::expect {
namespace {

using traces::store::EndReason;

struct Word {
  std::string text;
  bool quoted = false;
};

constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations = {{{"==", Relation::equal},
                                                                              {"!=", Relation::unequal},
                                                                              {"<", Relation::less},
                                                                              {"<=", Relation::at_most},
                                                                              {">", Relation::greater},
                                                                              {">=", Relation::at_least}}};

constexpr std::array kEnds = {EndReason::reached,      EndReason::power_off,    EndReason::reset,
                              EndReason::triple_fault, EndReason::idle_forever, EndReason::interrupted};

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What a quoted text says: \n \t \e \" \\ and \xHH; every other backslash stays, for regular expressions.
Result<std::string> unquoted(std::string_view& rest) {
  std::string text;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '"') {
      rest.remove_prefix(i + 1);
      return text;
    }
    const char next = i + 1 < rest.size() ? rest[i + 1] : '\0';
    if (c != '\\' || next == '\0') {
      text += c;
      continue;
    }
    ++i;
    if (next == 'x') {
      const auto value = number(rest.substr(i + 1, 2), 16);
      if (!value || i + 2 >= rest.size()) return error("two hexadecimal digits expected after \\x");
      text += static_cast<char>(*value);
      i += 2;
      continue;
    }
    const std::size_t known = std::string_view("nte\"\\").find(next);
    if (known == std::string_view::npos) text += '\\';
    text += known == std::string_view::npos ? next : "\n\t\033\"\\"[known];
  }
  return error("a closing quotation mark expected");
}

Result<std::vector<Word>> words_of(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  std::vector<Word> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (line.empty() || line.front() == '#') return words;
    if (line.front() == '"') {
      Result<std::string> text = unquoted(line);
      if (!text) return text.failure();
      words.push_back({std::move(*text), true});
    } else {
      const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
      words.push_back({std::string(line.substr(0, end)), false});
      line.remove_prefix(end);
    }
  }
}

/// Reads the words of one line from left to right; the first thing that is wrong stays the complaint.
class Sentence final {
 public:
  explicit Sentence(std::vector<Word> words) : words_(std::move(words)) {}

  /// Whether the next word is this one, which is then read.
  bool accept(std::string_view word) {
    if (next_ == words_.size() || words_[next_].quoted || words_[next_].text != word) return false;
    ++next_;
    return true;
  }
  void need(std::string_view word) {
    if (!accept(word)) wrong(fmt::format("\"{}\"", word));
  }
  std::string word(const char* what) {
    if (next_ == words_.size()) {
      wrong(what);
      return {};
    }
    return words_[next_++].text;
  }
  std::string quoted() {
    if (next_ == words_.size() || !words_[next_].quoted) {
      wrong("a text in quotation marks");
      return {};
    }
    return words_[next_++].text;
  }
  Relation relation() {
    const std::string text = word("==, !=, <, <=, > or >=");
    for (const auto& [spelling, relation] : kRelations)
      if (text == spelling) return relation;
    back("==, !=, <, <=, > or >=");
    return {};
  }
  std::uint64_t decimal_or_hexadecimal(const char* what) { return value(what, false).second; }
  /// High and low halves; more than 64 bits only in hexadecimal.
  std::pair<std::uint64_t, std::uint64_t> value(const char* what, bool wide) {
    std::string text = word(what);
    std::erase(text, '_');
    std::optional<std::uint64_t> high = 0, low;
    if (text.starts_with("0x")) {
      const std::string_view digits = std::string_view(text).substr(2);
      const std::size_t split = digits.size() > 16 && wide ? digits.size() - 16 : 0;
      if (split != 0) high = number(digits.substr(0, split), 16);
      low = number(digits.substr(split), 16);
    } else {
      low = number(text, 10);
    }
    if (!high || !low) {
      back(what);
      return {};
    }
    return {*high, *low};
  }
  std::string position() {
    constexpr const char* kPosition = "a position (an icount, N%, begin, end, mark:NAME or event:N)";
    const std::string text = word(kPosition);
    // Names are looked up in the trace, later.
    const auto any = [](auto) { return std::optional(engine::port::Position{}); };
    if (!failure_ && !session::parse_position(text, {{}, {}, any, any})) back(kPosition);
    return text;
  }
  void done() {
    if (next_ < words_.size()) wrong("the end of the line");
  }
  /// The word before the next one is wrong.
  void back(const std::string& expected) {
    if (failure_) return;
    --next_;
    wrong(expected);
  }
  void wrong(const std::string& expected) {
    if (failure_) return;
    failure_ = error("{} expected, found {}", expected,
                     next_ < words_.size() ? fmt::format("\"{}\"", words_[next_].text) : "nothing more");
  }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  std::vector<Word> words_;
  std::size_t next_ = 0;
  std::optional<Error> failure_;
};

ConsoleFact console_fact(Sentence& said) {
  ConsoleFact fact;
  fact.shown = !said.accept("not");
  const bool matches = said.accept("matches");
  if (!matches && !said.accept("contains")) said.wrong("\"contains\", \"matches\" or \"not\"");
  fact.text = said.quoted();
  if (!said.failure() && fact.text.empty()) said.back("a text that is not empty");
  if (said.failure() || !matches) return fact;
  try {
    fact.expression.emplace(fact.text, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& wrong) {
    said.back(fmt::format("a regular expression ({})", wrong.what()));
  }
  return fact;
}

EndFact end_fact(Sentence& said) {
  said.need("with");
  std::string known;
  for (const EndReason reason : kEnds) {
    const std::string_view name = traces::store::name_of(reason);
    const std::size_t blank = name.find(' ');
    if (said.accept(name.substr(0, blank))) {
      if (blank != std::string_view::npos) said.need(name.substr(blank + 1));
      return {reason};
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  said.wrong(fmt::format("one of {}", known));
  return {};
}

RegisterFact register_fact(Sentence& said) {
  const std::string name = said.word("a register, such as rax or cr3");
  const auto table = session::x86_register_table();
  const auto row = std::ranges::find_if(table, [&](const auto& info) { return info.name == name; });
  if (row == table.end()) said.back("a register, such as rax or cr3");
  RegisterFact fact{static_cast<std::size_t>(row - table.begin()), {}, {}, 0, 0};
  said.need("at");
  fact.at = said.position();
  fact.relation = said.relation();
  std::tie(fact.high, fact.low) = said.value("a number", true);
  return fact;
}

MemoryFact memory_fact(Sentence& said) {
  MemoryFact fact{said.word("an address (0x…, phys:0x…, or a symbol)"), 0, {}, {}, 0};
  const std::uint64_t size = said.decimal_or_hexadecimal("a size of 1, 2, 4 or 8 bytes");
  if (size != 1 && size != 2 && size != 4 && size != 8) said.back("a size of 1, 2, 4 or 8 bytes");
  fact.size = static_cast<unsigned>(size);
  said.need("at");
  fact.at = said.position();
  fact.relation = said.relation();
  fact.value = said.decimal_or_hexadecimal("a number");
  return fact;
}

LengthFact length_fact(Sentence& said) {
  LengthFact fact{};
  said.need("between");
  fact.from = said.position();
  said.need("and");
  fact.to = said.position();
  fact.relation = said.relation();
  fact.instructions = said.decimal_or_hexadecimal("a number of instructions");
  return fact;
}

CallFact call_fact(Sentence& said) {
  CallFact fact;
  fact.function = said.word("a function");
  fact.called = !said.accept("not");
  said.need("called");
  if (!said.accept("between")) return fact;
  fact.from = said.position();
  said.need("and");
  fact.to = said.position();
  return fact;
}

Result<Fact> parse_fact(std::vector<Word> words) {
  Fact fact;
  Sentence said(std::move(words));
  if (said.accept("console")) {
    fact.what = console_fact(said);
  } else if (said.accept("no")) {
    said.need("oops");
    fact.what = NoOopsFact{};
  } else if (said.accept("ends")) {
    fact.what = end_fact(said);
  } else if (said.accept("register")) {
    fact.what = register_fact(said);
  } else if (said.accept("memory")) {
    fact.what = memory_fact(said);
  } else if (said.accept("instructions")) {
    fact.what = length_fact(said);
  } else if (said.accept("function")) {
    fact.what = call_fact(said);
  } else {
    said.wrong("console, no oops, ends, register, memory, instructions or function");
  }
  said.done();
  if (said.failure()) return *said.failure();
  return fact;
}

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r"), text.size()));
  while (!text.empty() && std::string_view(" \t\r").find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  return text;
}

}  // namespace

bool holds(Relation relation, std::uint64_t high, std::uint64_t low, std::uint64_t than_high,
           std::uint64_t than_low) {
  const auto order = std::pair(high, low) <=> std::pair(than_high, than_low);
  switch (relation) {
    case Relation::equal:
      return order == 0;
    case Relation::unequal:
      return order != 0;
    case Relation::less:
      return order < 0;
    case Relation::at_most:
      return order <= 0;
    case Relation::greater:
      return order > 0;
    case Relation::at_least:
      return order >= 0;
  }
  return false;
}

Result<std::vector<Fact>> parse_facts(std::string_view name, std::string_view text) {
  std::vector<Fact> facts;
  for (unsigned line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view written = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Result<std::vector<Word>> words = words_of(written);
    if (!words) return error("{}:{}: {}", name, line, words.failure().message);
    if (words->empty()) continue;
    Result<Fact> fact = parse_fact(std::move(*words));
    if (!fact) return error("{}:{}: {}", name, line, fact.failure().message);
    fact->line = line;
    fact->text = trimmed(written);
    facts.push_back(std::move(*fact));
  }
  return facts;
}

Result<std::vector<Fact>> load_facts(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return error("{}: is a directory", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) return error("{}: cannot open: {}", path, std::strerror(errno));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return error("{}: cannot read", path);
  Result<std::vector<Fact>> facts = parse_facts(path, text);
  if (facts && facts->empty()) return error("{}: at least one fact expected, found none", path);
  return facts;
}

}  // namespace hindsight::debugger::expect
