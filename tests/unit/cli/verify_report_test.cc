#include "debugger/cli/verify_report.h"

#include <gmock/gmock.h>

namespace hindsight::tests {
namespace {

using debugger::cli::exit_code;
using debugger::cli::json_of;
using debugger::cli::junit_of;
using debugger::cli::summary_of;
using debugger::cli::text_of;
using debugger::cli::Verdict;
using testing::HasSubstr;
using testing::Not;

Verdict verdict(Verdict::Kind kind, std::string line = "a line", std::string details = "") {
  Verdict made;
  made.trace = "some.trace";
  made.kind = kind;
  made.line = std::move(line);
  made.details = std::move(details);
  return made;
}

TEST(VerifyReport, TheExitCodeIsThatOfTheWorst) {
  const Verdict ok = verdict(Verdict::Kind::ok), late = verdict(Verdict::Kind::timed_out),
                bad = verdict(Verdict::Kind::bad), skipped = verdict(Verdict::Kind::not_run);
  EXPECT_EQ(exit_code({ok, ok}), 0);
  EXPECT_EQ(exit_code({ok, verdict(Verdict::Kind::diverged)}), 1);
  EXPECT_EQ(exit_code({late, ok}), 1);
  EXPECT_EQ(exit_code({ok, skipped}), 1);
  EXPECT_EQ(exit_code({late, bad, ok}), 3);
}

TEST(VerifyReport, DetailsStandIndentedBelowTheLine) {
  EXPECT_EQ(text_of(verdict(Verdict::Kind::diverged, "rax differs", "one\n\ntwo\n")),
            "some.trace: DIVERGED: rax differs\n    one\n    two\n");
}

TEST(VerifyReport, TheSummaryCountsWhatThereIs) {
  EXPECT_EQ(
      summary_of({verdict(Verdict::Kind::ok), verdict(Verdict::Kind::timed_out), verdict(Verdict::Kind::ok)}),
      "3 traces: 2 ok, 1 timed out");
}

TEST(VerifyReport, JUnitTellsFailuresFromErrorsAndSkips) {
  const std::string xml = junit_of(
      {verdict(Verdict::Kind::ok), verdict(Verdict::Kind::diverged), verdict(Verdict::Kind::timed_out),
       verdict(Verdict::Kind::bad), verdict(Verdict::Kind::not_run)},
      1.5);
  EXPECT_THAT(xml, HasSubstr("tests=\"5\" failures=\"2\" errors=\"1\" skipped=\"1\" time=\"1.500\""));
  EXPECT_THAT(xml, HasSubstr("<failure type=\"timed out\" message=\"a line\">"));
  EXPECT_THAT(xml, HasSubstr("<error type=\"bad trace\" message=\"a line\"/>"));
}

TEST(VerifyReport, JUnitStaysWellFormedWhateverATraceIsCalled) {
  Verdict named = verdict(Verdict::Kind::ok, "\x1b[1m");
  named.trace = "a<b>&\"c\xff\xc3\xa4.trace";
  const std::string xml = junit_of({named}, 0);
  EXPECT_THAT(xml, HasSubstr("name=\"a&lt;b&gt;&amp;&quot;c\\xff\xc3\xa4.trace\""));
  EXPECT_THAT(xml, HasSubstr("<system-out>\\x1b[1m</system-out>"));
}

TEST(VerifyReport, JsonNamesTheComponentThatDiverged) {
  Verdict parted = verdict(Verdict::Kind::diverged);
  replay::play::Divergence divergence;
  divergence.at = {Icount{7}, VirtualTime{9}};
  divergence.component = "cpu0";
  divergence.field = "rax";
  divergence.expected = "1";
  divergence.got = "2";
  divergence.also = {"ram"};
  divergence.since = Icount{5};
  parted.divergence = divergence;
  EXPECT_THAT(json_of({parted}, 0),
              HasSubstr("\"divergence\":{\"icount\":7,\"time\":9,\"component\":\"cpu0\",\"field\":\"rax\","
                        "\"expected\":\"1\",\"got\":\"2\",\"also\":[\"ram\"],\"agreed\":5}"));
  EXPECT_THAT(json_of({verdict(Verdict::Kind::ok)}, 0), Not(HasSubstr("divergence\"")));
}

}  // namespace
}  // namespace hindsight::tests
