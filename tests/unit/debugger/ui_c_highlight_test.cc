#include <fmt/format.h>
#include <gmock/gmock.h>

#include "debugger/ui/c_highlight.h"

namespace hindsight::debugger::ui {
namespace {

/// "k:int |p:x = |n:3|p:;", kinds by their first letters.
std::string told(std::string_view line, bool in_comment = false) {
  std::string text;
  for (const Highlight& part : highlight(line, in_comment))
    text += fmt::format("{}{}:{}", text.empty() ? "" : "|", "pctnkd"[static_cast<std::size_t>(part.kind)],
                        line.substr(part.begin, part.size));
  return text;
}

TEST(CHighlight, TellsKeywordsAndNumbersFromNames) {
  EXPECT_EQ(told("int index = 0x10;"), "k:int|p: index = |n:0x10|p:;");
}

TEST(CHighlight, AStringEndsAtItsQuoteAndNotAtOneThatIsEscaped) {
  EXPECT_EQ(told(R"(say("a\"b", 'c'))"), R"(p:say(|t:"a\"b"|p:, |t:'c'|p:))");
}

TEST(CHighlight, ACommentGoesOnToTheLinesAfterIt) {
  bool comment = false;
  EXPECT_EQ(highlight("x; /* one", comment).size(), 2U);
  EXPECT_TRUE(comment);
  EXPECT_EQ(told("two */ y", true), "c:two */|p: y");
  EXPECT_EQ(told("z; // int"), "p:z; |c:// int");
}

TEST(CHighlight, ADirectiveIsOne) { EXPECT_EQ(told("#include <a.h>"), "d:#include <a.h>"); }

TEST(CHighlight, TabsGoToTheNextEighthColumn) {
  EXPECT_EQ(expanded("a\tb\t\tc"), "a       b               c");
}

}  // namespace
}  // namespace hindsight::debugger::ui
