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

}  // namespace
}  // namespace hindsight::tests
