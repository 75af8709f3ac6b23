// Which stretches of a line of C are comments, strings, numbers and keywords: enough to read it by colour.
// Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hindsight::debugger::ui {

struct Highlight {
  enum class Kind : std::uint8_t { plain, comment, text, number, keyword, directive } kind = Kind::plain;
  std::size_t begin = 0, size = 0;
};

/// With tabs as blanks up to the next eighth column.
[[nodiscard]] std::string expanded(std::string_view line);
/// In order, without gaps. `in_comment`: a comment of lines before goes on; set for the line after.
[[nodiscard]] std::vector<Highlight> highlight(std::string_view line, bool& in_comment);

}  // namespace hindsight::debugger::ui
