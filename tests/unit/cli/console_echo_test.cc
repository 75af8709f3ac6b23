#include "debugger/cli/console_echo.h"

#include <gtest/gtest.h>

namespace hindsight::tests {
namespace {

using debugger::cli::QueryFilter;

TEST(QueryFilter, LetsTextAndColoursThrough) {
  QueryFilter queries;
  EXPECT_EQ(queries.filter("\033[1;31mred\033[0m plain\r\n"), "\033[1;31mred\033[0m plain\r\n");
}

TEST(QueryFilter, DropsWhatTheTerminalWouldAnswer) {
  QueryFilter queries;
  EXPECT_EQ(queries.filter("a\033[6nb\033[cc\033[?1;2cd"), "abcd");
}

TEST(QueryFilter, SeesAQueryThatArrivesByteByByte) {
  QueryFilter queries;
  EXPECT_EQ(queries.filter("\033"), "");
  EXPECT_EQ(queries.filter("["), "");
  EXPECT_EQ(queries.filter("6"), "");
  EXPECT_EQ(queries.filter("nx"), "x");
}

TEST(QueryFilter, AnEscapeInsideASequenceStartsAnew) {
  QueryFilter queries;
  EXPECT_EQ(queries.filter("\033[3\033[6n!"), "\033[3!");
}

TEST(QueryFilter, OtherEscapesPassAtOnce) {
  QueryFilter queries;
  EXPECT_EQ(queries.filter("\033c"), "\033c");
  EXPECT_EQ(queries.filter("n"), "n");
}

}  // namespace
}  // namespace hindsight::tests
