#include <gtest/gtest.h>

#include "debugger/ui/console_text.h"

namespace hindsight::debugger::ui {
namespace {

void send(ConsoleText& console, std::string_view text, std::uint64_t from = 0) {
  for (const char byte : text) console.sent(from++, byte);
}

TEST(UiConsoleText, WhatWasShownAtAnInstantIsWhatWasSentBefore) {
  ConsoleText console;
  send(console, "abc", 100);

  EXPECT_EQ(console.shown_at(100), 0U);
  EXPECT_EQ(console.shown_at(102), 2U);
  EXPECT_EQ(console.shown_at(1000), 3U);
}

TEST(UiConsoleText, TerminalControlSequencesAreLeftOut) {
  ConsoleText console;
  send(console, "a\x1B[6nb\x1B[1;31mc");

  EXPECT_EQ(console.text(), "abc");
}

TEST(UiConsoleText, TheEchoOfWhatWasTypedIsMarked) {
  ConsoleText console;
  send(console, "# ");
  console.typed(5, "ls\n");
  send(console, "ls\r\nls", 6);

  EXPECT_EQ(console.text(), "# ls\nls");
  EXPECT_FALSE(console.is_typed(1));
  EXPECT_TRUE(console.is_typed(2));
  EXPECT_TRUE(console.is_typed(3));
  EXPECT_FALSE(console.is_typed(5));
}

TEST(UiConsoleText, WhatATerminalAnswersByItselfIsNoTyping) {
  ConsoleText console;
  console.typed(1, "\x1B[9;5R");
  console.typed(2, "x");
  send(console, "x", 3);

  EXPECT_TRUE(console.is_typed(0));
}

TEST(UiConsoleText, LinesBeginAfterNewlines) {
  ConsoleText console;
  send(console, "one\r\ntwo\r\n");

  ASSERT_EQ(console.lines().size(), 3U);
  EXPECT_EQ(console.lines()[1], 4U);
  EXPECT_EQ(console.line_of(5), 1U);
}

TEST(UiConsoleText, TabsReachTheNextColumnOfEight) {
  ConsoleText console;
  send(console, "ab\tc");

  EXPECT_EQ(console.text(), "ab      c");
}

}  // namespace
}  // namespace hindsight::debugger::ui
