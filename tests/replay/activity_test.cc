// What the window's timeline is made of, on the boot of a stock kernel.
#include <gmock/gmock.h>

#include "debugger/cli/look.h"
#include "debugger/session/replay_session.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

namespace session = debugger::session;
using session::Happening;
using session::Position;

class ActivityOfABoot : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    const Outcome recorded = run(record("boot.hst", "hs.mode=poweroff"));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
    auto opened = session::open_replay(path("boot.hst"), debugger::cli::machines("jit"), {.jobs = 2}, {});
    ASSERT_TRUE(opened) << opened.failure().message;
    session_ = std::move(*opened);
  }
  /// Where a breakpoint on the function is met.
  std::vector<Position> arrivals(const char* function, Position from, Position to) {
    const auto entry = session_->resolve(function);
    EXPECT_TRUE(entry) << entry.failure().message;
    session::Condition breakpoint;
    breakpoint.breakpoint.emplace().address = *entry;
    const auto hits = session_->hits({breakpoint}, from, to, 1'000'000);
    EXPECT_TRUE(hits) << hits.failure().message;
    std::vector<Position> at;
    for (const session::Hit& hit : *hits) at.push_back(hit.before);
    return at;
  }

  std::unique_ptr<session::Session> session_;
};

TEST_F(ActivityOfABoot, HoldsEverySystemCallAndEverySwitch) {
  const Position to = session_->last(), from{Icount{to.icount.value - 300'000'000}, 0};
  const auto activity = session_->activity(from, to);
  ASSERT_TRUE(activity) << activity.failure().message;
  std::vector<Position> calls, switches;
  std::uint64_t execs = 0;
  for (const Happening& what : activity->all) {
    if (what.kind == Happening::Kind::system_call) {
      calls.push_back(what.at);
      execs += what.value == 59 ? 1 : 0;
    }
    if (what.kind == Happening::Kind::context_switch) {
      switches.push_back(what.at);
      EXPECT_GE(what.value, 0xffff'8000'0000'0000) << "no task lies there";
    }
  }
  EXPECT_GT(calls.size(), 100U);
  EXPECT_GT(switches.size(), 10U);
  EXPECT_EQ(calls, arrivals("entry_SYSCALL_64", from, to));
  EXPECT_EQ(switches, arrivals("__switch_to", from, to));
  EXPECT_EQ(execs, arrivals("__x64_sys_execve", from, to).size());
}

}  // namespace
}  // namespace hindsight::tests
