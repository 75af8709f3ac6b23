// All of the window's threads over a real recording at once: the one that draws and takes actions, the
// engine's, the one that asks, gdb's, and those that interrupt. The thread sanitizer watches; without it the
// test says that nobody was kept waiting for ever, and that the cursor still tells what is so.
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "debugger/cli/look.h"
#include "debugger/cli/replay_analyst.h"
#include "debugger/ui/actions.h"
#include "debugger/ui/app.h"
#include "debugger/ui/shared_session.h"
#include "tests/support/unseen_frames.h"

namespace hindsight::debugger::ui {
namespace {

using session::Direction;
using std::chrono::milliseconds;

/// A copy of a recording, for marks and snapshots go into it.
class Recording {
 public:
  Recording() { std::filesystem::copy_file(HINDSIGHT_GOLDEN "/serial_v1.trace", path()); }
  ~Recording() { std::filesystem::remove(path()); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  [[nodiscard]] static std::string path() {
    return testing::TempDir() + "hindsight_ui_threads_" + std::to_string(getpid()) + ".trace";
  }
};

replay::timeline::TimelineOptions two_at_once() { return {.jobs = 2}; }

std::unique_ptr<session::Session> open_session() {
  auto opened = session::open_replay(Recording::path(), cli::machines("jit"), two_at_once());
  EXPECT_TRUE(opened) << opened.failure().message;
  return std::move(*opened);
}

/// What somebody does with a debugger behind the session.
void as_gdb(session::Session& shared, const std::atomic<bool>& over) {
  std::array<std::byte, 64> bytes;
  for (std::uint64_t i = 0; !over; ++i) {
    (void)shared.seek({Icount{i * 7919 % 341'377}, 0});
    (void)shared.registers();
    (void)shared.read(shared.pc(), bytes);
    const int id = shared.add({.breakpoint = replay::timeline::Breakpoint{shared.pc()}});
    (void)shared.step(Direction::backward, 3);
    (void)shared.run(i % 2 == 0 ? Direction::forward : Direction::backward);
    shared.remove(id);
    (void)shared.set_mark("gdb", std::to_string(i));
  }
}

TEST(UiThreads, WhoDrawsMovesAsksAndInterruptsAtOnceLeavesTheCursorTrue) {
  constexpr std::array<std::string_view, 22> kActions = {
      "seek 90%",       "step",           "profile",          "seek 10%",
      "continue",       "snapshot",       "query events",     "back 2",
      "last-write rsp", "diff 0",         "next-event",       "memory rsp",
      "watch rsp",      "seek end",       "cancel",           "query calls 100000",
      "mark here",      "previous-event", "reverse-continue", "watch rsp",
      "begin",          "step 1000"};
  const Recording recording;
  const auto session = open_session();
  const auto analyst = cli::make_analyst(Recording::path(), "jit", two_at_once());
  tests::UnseenFrames frames;
  {
    EngineWorker worker(*session, nullptr, analyst.get());
    App app(worker, "test");
    const auto shared = share_session(worker, "gdb");
    std::atomic<bool> over = false;
    std::thread gdb([&] { as_gdb(*shared, over); });
    std::thread interrupts([&] {
      for (; !over; std::this_thread::sleep_for(milliseconds(7))) shared->interrupt();
    });
    for (std::size_t taken = 0; taken < kActions.size();) {
      if (worker.status().waiting < 4) {
        app.perform(std::string(kActions[taken]));
        app.perform(fmt::format("open {}", panel_names()[taken % panel_names().size()].name));
        ++taken;
      }
      frames.draw(app);
    }
    over = true;
    gdb.join();
    interrupts.join();
  }
  const auto fresh = open_session();
  const session::Position middle{Icount{170'000}, 0};
  ASSERT_TRUE(session->seek(middle));
  ASSERT_TRUE(fresh->seek(middle));
  EXPECT_EQ(session->registers(), fresh->registers());
}

}  // namespace
}  // namespace hindsight::debugger::ui
