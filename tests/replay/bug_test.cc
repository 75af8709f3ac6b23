// A kernel module that fails under some timings only: caught by recording until it fails, with the seed that
// is known to fail, and not failing with one that is known to be good.
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// For the kernel and the RAM disk that `prepare` calls pinned.
constexpr const char* kGoodSeed = "14";
constexpr const char* kBadSeed = "15";

class RingModule : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const Outcome prepared = run({HINDSIGHT_GUESTS "/bug/prepare"});
    if (prepared.code == 77) GTEST_SKIP() << prepared.text;
    ASSERT_EQ(prepared.code, 0) << prepared.text;
    initrd_ = value(prepared.text, "BUG_INITRD");
    pinned_ = value(prepared.text, "BUG_PINNED") == "yes";
  }

  /// The RAM disk with the bug mended.
  static std::string fixed_initrd() {
    const Outcome prepared = run({HINDSIGHT_GUESTS "/bug/prepare", "fixed"});
    EXPECT_EQ(prepared.code, 0) << prepared.text;
    return value(prepared.text, "BUG_INITRD");
  }

  [[nodiscard]] Outcome recorded(const std::vector<std::string>& more) const {
    return run(record("t.trace", "oops=panic quiet", more));
  }

  void expect_pinned() const {
    if (!pinned_) GTEST_SKIP() << "another kernel or compiler than the one that the seeds were found with";
  }

  static auto panic() {
    return AllOf(HasSubstr("RIP: 0010:ring_show+0x"),
                 HasSubstr("Kernel panic - not syncing: Fatal exception"),
                 HasSubstr("the guest asked for a reset at icount "));
  }

 private:
  static std::string value(const std::string& lines, const std::string& name) {
    const std::size_t at = lines.find("\n" + name + "=") + name.size() + 2;
    return lines.substr(at, lines.find('\n', at) - at);
  }

  bool pinned_ = false;
};

TEST_F(RingModule, PanicsFarFromItsBugWithABadSeed) {
  expect_pinned();
  if (IsSkipped()) return;
  const Outcome failed = recorded({"--seed", kBadSeed});
  EXPECT_THAT(failed.text, panic());
  expect_verified(path("t.trace"));
}

TEST_F(RingModule, PowersOffWithAGoodSeed) {
  expect_pinned();
  if (IsSkipped()) return;
  const Outcome passed = recorded({"--seed", kGoodSeed});
  EXPECT_EQ(passed.code, 0);
  EXPECT_THAT(passed.text,
              AllOf(HasSubstr("RING-OK"), HasSubstr("reboot: Power down"), Not(HasSubstr("BUG:"))));
}

TEST_F(RingModule, RecordedUntilItFailsPanicsAndTheTraceVerifies) {
  const Outcome failed = recorded({"--seed", kGoodSeed, "--until-fail", "200"});
  EXPECT_EQ(failed.code, 0);
  EXPECT_THAT(failed.text,
              AllOf(HasSubstr("reboot: Power down"), HasSubstr("Kernel panic - not syncing: Fatal"),
                    HasSubstr("the guest failed in attempt ")));
  expect_verified(path("t.trace"));
}

TEST_F(RingModule, TheFixSurvivesTheVeryRunThatFailed) {
  expect_pinned();
  if (IsSkipped()) return;
  ASSERT_EQ(recorded({"--seed", kBadSeed}).code, 0);
  write("bad.expect",
        "console contains \"Kernel panic - not syncing: Fatal exception\"\n"
        "ends with reset\n"
        "function panic not called between begin and 50%\n"
        "function panic called between 50% and end\n"
        "function ring:ring_swap called\n"
        "memory jiffies_64 8 at end > 0\n");
  const Outcome bad = hindsight({"expect", path("t.trace"), path("bad.expect")});
  EXPECT_EQ(bad.code, 0) << bad.text;

  const Outcome again = hindsight({"rerun", path("t.trace"), "-o", path("again.hst")});
  EXPECT_EQ(end_of(path("again.hst")), end_of(path("t.trace"))) << again.text;
  const Outcome same = hindsight({"diff", path("t.trace"), path("again.hst")});
  EXPECT_EQ(same.code, 0) << same.text;

  const Outcome fixed =
      hindsight({"rerun", path("t.trace"), "--initrd", fixed_initrd(), "-o", path("fixed.hst")});
  EXPECT_EQ(fixed.code, 0);
  EXPECT_THAT(fixed.text, AllOf(HasSubstr("the recording: reset at icount "),
                                HasSubstr("the rerun:     power-off at icount "), HasSubstr("RING-OK")));
  const Outcome diff = hindsight({"diff", path("t.trace"), path("fixed.hst")});
  EXPECT_THAT(diff.text, AllOf(HasSubstr("different machines:\n  initrd\n"), HasSubstr("\n  -BUG: "),
                               HasSubstr("(reset)\nb ends at icount "), HasSubstr("(power-off)\n")));
  write("good.expect",
        "console contains \"RING-OK\"\nno oops\nends with power-off\nfunction panic not called\n");
  const Outcome good = hindsight({"expect", path("fixed.hst"), path("good.expect")});
  EXPECT_EQ(good.code, 0) << good.text;
  expect_verified(path("fixed.hst"));
}

}  // namespace
}  // namespace hindsight::tests
