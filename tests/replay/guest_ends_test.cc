// How recordings of the stock kernel end: as the guest wants it, by kill -9, by a full disk.
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <ostream>
#include <random>
#include <thread>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::HasSubstr;

struct Ending {
  const char* name;
  const char* typed;    ///< at the shell's prompt
  const char* append;   ///< to the kernel command line
  int code;             ///< of record
  const char* message;  ///< of record
  const char* verdict;  ///< of verify
};

void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.typed; }

class GuestEnds : public GuestTest, public testing::WithParamInterface<Ending> {};

TEST_P(GuestEnds, WithItsMessageAndExitCodeInRecordAndVerify) {
  const Ending& ending = GetParam();
  const Outcome recorded = run(record("t.trace", ending.append, {"--script", shell_script(ending.typed)}));
  EXPECT_EQ(recorded.code, ending.code) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr(ending.message));
  const Outcome verified = hindsight({"verify", path("t.trace")});
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr(ending.verdict));
}

INSTANTIATE_TEST_SUITE_P(
    By, GuestEnds,
    testing::Values(
        Ending{"PowerOff", "poweroff -f", "", 0, "reboot: Power down", "ends with power-off"},
        Ending{"Reboot", "reboot -f", "", 0, "the guest asked for a reset at icount ", "ends with reset"},
        Ending{"Panic", "echo c > /proc/sysrq-trigger", "", 0, "Kernel panic - not syncing: sysrq",
               "ends with reset"},
        Ending{"TripleFault", "reboot -f", "reboot=triple", 1, "the guest's CPU shut down at icount ",
               "ends with triple fault"},
        Ending{"Halt", "halt -f", "", 1, "the guest waits for ever at icount ", "ends with idle forever"}),
    [](const auto& ending) { return std::string(ending.param.name); });

class BrokenOff : public GuestTest {};

TEST_F(BrokenOff, ByKillTheTraceVerifiesUpToItsLastCommit) {
  write("script", "expect \"HS-READY\"\nsend \"typed\\n\"\n");
  std::vector<std::string> options = full_machine();
  options.insert(options.end(), {"--script", path("script")});
  std::mt19937 random{std::random_device{}()};
  for (int i = repetitions(3, 15); i > 0; --i) {
    Process recording(record("t.trace", full_append(), options));
    ASSERT_TRUE(recording.wait_for(i % 2 == 0 ? "Linux version" : "HINDSIGHT-INIT"));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1'000'000));
    recording.signal(SIGKILL);
    const Outcome killed = recording.wait();
    if (killed.code == 0) continue;  // it was faster
    const Outcome verified = hindsight({"verify", path("t.trace")});
    EXPECT_EQ(verified.code, 0) << verified.text;
    EXPECT_THAT(verified.text, HasSubstr(": ok: "));
  }
}

TEST_F(BrokenOff, ByAFullDiskTheRecorderSaysSoAndTheTraceVerifies) {
  Process recording(record("t.trace", "hs.mode=poweroff"));
  ASSERT_TRUE(recording.wait_for("Linux version"));
  // The limit stands in for the disk's size. It is set this late so that it is met while the machine runs,
  // not while its kernel is stored.
  const rlimit64 limit{std::filesystem::file_size(path("t.trace")) + 40'000, RLIM64_INFINITY};
  ASSERT_EQ(prlimit64(recording.id(), RLIMIT_FSIZE, &limit, nullptr), 0);
  const Outcome stopped = recording.wait();
  EXPECT_EQ(stopped.code, 3) << stopped.text;
  EXPECT_THAT(stopped.text, HasSubstr("t.trace: cannot write: "));
  EXPECT_THAT(stopped.text, HasSubstr("usable up to its last commit"));
  const Outcome verified = hindsight({"verify", path("t.trace")});
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("the recorder was interrupted"));
}

}  // namespace
}  // namespace hindsight::tests
