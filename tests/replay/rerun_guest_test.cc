// What was typed at a Linux shell, given to a machine that boots at another pace.
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class GuestRerun : public GuestTest {};

TEST_F(GuestRerun, WhatWasTypedAtThePromptComesAtThePromptHoweverLateThatIs) {
  write("typed",
        "expect \"# \"\nsend \"echo one-$((6*7))\\n\"\nexpect \"# \"\nsend \"echo two-$((6*8)); poweroff "
        "-f\\n\"\n");
  const Outcome recorded = run(record("t.trace", "quiet", {"--script", path("typed"), "--seed", "7"}));
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  ASSERT_THAT(recorded.text, HasSubstr("two-48"));

  // Much more is printed now, and takes its time.
  const Outcome again = hindsight({"rerun", path("t.trace"), "--append",
                                   "console=ttyS0 panic=-1 loglevel=8 initcall_debug", "-o", path("n.hst")});
  EXPECT_EQ(again.code, 0);
  const std::size_t prompt = again.text.find("/ # ");
  ASSERT_NE(prompt, std::string::npos);
  EXPECT_THAT(again.text.substr(prompt),
              AllOf(StartsWith("/ # \x1b[6necho one-$((6*7))\r\none-42\r\n/ # \x1b[6necho two-"),
                    HasSubstr("\r\ntwo-48\r\n"), HasSubstr("the rerun:     power-off at icount "),
                    Not(HasSubstr("came without")), Not(HasSubstr("did not come"))));
  EXPECT_GT(end_of(path("n.hst")), end_of(path("t.trace")) + 10'000'000);
  expect_verified(path("n.hst"));
  const Outcome diff = hindsight({"diff", path("t.trace"), path("n.hst")});
  EXPECT_THAT(diff.text,
              AllOf(HasSubstr("different machines:\n  command line\n"),
                    HasSubstr("2 in a, 2 in b; in order, 0 with other contents, 2 only at another time")));
}

}  // namespace
}  // namespace hindsight::tests
