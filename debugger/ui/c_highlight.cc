#include "debugger/ui/c_highlight.h"

#include <algorithm>
#include <cctype>

namespace hindsight::debugger::ui {
namespace {

using Kind = Highlight::Kind;

// C17 6.4.1, and what the kernel uses as such.
constexpr std::string_view kKeywords[] = {
    "asm",     "auto",   "bool",   "break",  "case",     "char",     "const",    "continue",
    "default", "do",     "double", "else",   "enum",     "extern",   "float",    "for",
    "goto",    "if",     "inline", "int",    "long",     "noinline", "register", "return",
    "short",   "signed", "sizeof", "static", "struct",   "switch",   "typedef",  "u16",
    "u32",     "u64",    "u8",     "union",  "unsigned", "void",     "volatile", "while",
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::size_t end_of_quoted(std::string_view line, std::size_t begin) {
  for (std::size_t i = begin + 1; i < line.size(); ++i) {
    if (line[i] == '\\')
      ++i;
    else if (line[i] == line[begin])
      return i + 1;
  }
  return line.size();
}

}  // namespace

std::string expanded(std::string_view line) {
  constexpr std::size_t kTab = 8;
  std::string out;
  for (const char c : line) {
    if (c == '\t')
      out.append(kTab - out.size() % kTab, ' ');
    else
      out += c;
  }
  return out;
}

std::vector<Highlight> highlight(std::string_view line, bool& in_comment) {
  std::vector<Highlight> all;
  const auto put = [&](Kind kind, std::size_t begin, std::size_t end) {
    if (end <= begin) return;
    if (!all.empty() && all.back().kind == kind)
      all.back().size += end - begin;
    else
      all.push_back({kind, begin, end - begin});
  };
  const bool directive = !in_comment && line.find_first_not_of(" \t") != std::string_view::npos &&
                         line[line.find_first_not_of(" \t")] == '#';
  for (std::size_t at = 0; at < line.size();) {
    if (in_comment) {
      const std::size_t end = line.find("*/", at);
      in_comment = end == std::string_view::npos;
      const std::size_t to = in_comment ? line.size() : end + 2;
      put(Kind::comment, at, to);
      at = to;
    } else if (line.substr(at, 2) == "/*") {
      put(Kind::comment, at, at + 2);
      in_comment = true;
      at += 2;
    } else if (line.substr(at, 2) == "//") {
      put(Kind::comment, at, line.size());
      at = line.size();
    } else if (line[at] == '"' || line[at] == '\'') {
      const std::size_t end = end_of_quoted(line, at);
      put(Kind::text, at, end);
      at = end;
    } else if (is_word(line[at])) {
      std::size_t end = at;
      while (end < line.size() && is_word(line[end])) ++end;
      const std::string_view word = line.substr(at, end - at);
      const bool number = std::isdigit(static_cast<unsigned char>(word.front())) != 0;
      const bool keyword = std::ranges::find(kKeywords, word) != std::end(kKeywords);
      put(number      ? Kind::number
          : directive ? Kind::directive
          : keyword   ? Kind::keyword
                      : Kind::plain,
          at, end);
      at = end;
    } else {
      put(directive ? Kind::directive : Kind::plain, at, at + 1);
      ++at;
    }
  }
  return all;
}

}  // namespace hindsight::debugger::ui
