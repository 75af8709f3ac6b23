// The stock kernel with every device: recorded, then replayed in every way that must not matter.
#include <signal.h>

#include <filesystem>
#include <random>
#include <thread>

#include "engine/port/nondet.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Every line that the guest's full mode has to print.
void expect_all_devices_worked(const std::string& text, const std::string& typed) {
  for (const char* what : {"disk-mount", "disk-read", "disk-write", "disk-unmount", "net-link",
                           "net-http hello from the host", "hwrng", "hvc0", "sleep", "date"})
    EXPECT_THAT(text, HasSubstr(std::string("HS-OK ") + what));
  EXPECT_THAT(text, HasSubstr("HS-HELLO from hvc0"));
  EXPECT_THAT(text, HasSubstr("HS-OK input " + typed + "\r\n"));
  EXPECT_THAT(text, HasSubstr("HINDSIGHT-POWEROFF"));
  EXPECT_THAT(text, Not(HasSubstr("HS-FAIL")));
}

class FullGuest : public GuestTest {
 protected:
  /// Records with a script at the console.
  Outcome record_with_script(const std::string& trace) {
    write("script", "expect \"HS-READY\"\ndelay 20ms\nsend \"typed\\n\"\n");
    std::vector<std::string> options = full_machine();
    options.insert(options.end(), {"--script", path("script")});
    return run(record(trace, full_append(), options));
  }
};

TEST_F(FullGuest, TypedToAtATerminalReplaysAfterItsFilesAndItsServerAreGone) {
  const std::vector<std::string> options = full_machine();
  for (std::string* file : {&kernel_, &initrd_}) {
    const std::string copy = path(std::filesystem::path(*file).filename());
    std::filesystem::copy_file(*file, copy);
    *file = copy;
  }
  Process recording(record("t.trace", full_append(), options), Process::Input::terminal);
  ASSERT_TRUE(recording.wait_for("HS-READY"));
  std::mt19937 random{std::random_device{}()};
  for (const char key : std::string("typed by hand\n")) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    recording.type(std::string(1, key));
  }
  const Outcome recorded = recording.wait();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  expect_all_devices_worked(recorded.text, "typed by hand");

  stop_web_server();
  for (const std::string& file : {kernel_, initrd_, path("disk.img")}) std::filesystem::remove(file);
  const Outcome replayed = hindsight({"replay", path("t.trace")});
  EXPECT_EQ(replayed.code, 0) << replayed.text;
  expect_all_devices_worked(replayed.text, "typed by hand");
  expect_verified(path("t.trace"));
}

TEST_F(FullGuest, TheInterpreterAgreesAtBothEndsOfARecording) {
  const Outcome recorded = record_with_script("t.trace");
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  const std::uint64_t start = repetitions(15'000'000, 1'000'000'000);
  const Outcome verified =
      hindsight({"verify", "--engine", "interp", "--stop-at", std::to_string(start), path("t.trace")});
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("stopped at icount"));
  // The last part has the disk's, the network's and the console's interrupts in it.
  const std::uint64_t end = repetitions(30'000'000, 1'000'000'000);
  expect_verified(path("t.trace"), "jit:interp-from=" + std::to_string(end_of(path("t.trace")) - end));
}

TEST_F(FullGuest, HowCachesAreCutCannotBeSeen) {
  const Outcome recorded = record_with_script("t.trace");
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  expect_all_devices_worked(recorded.text, "typed");
  std::vector<std::string> engines{"jit:plain,max-insns=3", "jit:max-insns=1", "jit:max-insns=7",
                                   "jit:cache=2M"};
  if (repetitions(0, 1) == 1)
    engines.insert(engines.end(), {"jit:plain", "jit:plain,max-insns=1", "jit:max-insns=3",
                                   "jit:cache=256K,max-insns=7", "jit:plain,cache=512K"});
  for (const std::string& engine : engines) expect_verified(path("t.trace"), engine);
}

TEST_F(FullGuest, RecordedUnderLoadReplaysWithoutADivergence) {
  const Process busy[] = {Process({"sh", "-c", "while :; do :; done"}),
                          Process({"sh", "-c", "while :; do :; done"})};
  for (int i = 10; i > 0; --i) {
    const Outcome recorded = record_with_script("t.trace");
    ASSERT_EQ(recorded.code, 0) << recorded.text;
    expect_all_devices_worked(recorded.text, "typed");
    expect_verified(path("t.trace"));
  }
}

using engine::port::Channel;

class AlteredInput : public FullGuest {
 protected:
  /// Records, flips a bit of byte `at` in the last event of `channel` that is larger than that, and verifies.
  Outcome verify_with_flip(Channel channel, std::size_t at) {
    const Outcome recorded = record_with_script("t.trace");
    EXPECT_EQ(recorded.code, 0) << recorded.text;
    const auto wanted = [&](const traces::store::Event& event) {
      return event.channel == static_cast<std::uint16_t>(channel) && event.size > at;
    };
    int last = 0, seen = 0;
    copy_trace(path("t.trace"), path("same.trace"),
               [&](const auto& event, auto&) { last += wanted(event) ? 1 : 0; });
    EXPECT_GT(last, 0);
    expect_verified(path("same.trace"));
    copy_trace(path("t.trace"), path("flipped.trace"), [&](const auto& event, auto& payload) {
      if (wanted(event) && ++seen == last) payload[at] ^= std::byte{1};
    });
    return hindsight({"verify", path("flipped.trace")});
  }
};

TEST_F(AlteredInput, AKeyIsFoundInTheEchoOnTheSerialPort) {
  const Outcome verified = verify_with_flip(Channel::serial0, 0);
  EXPECT_EQ(verified.code, 1) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("DIVERGED"));
  EXPECT_THAT(verified.text, HasSubstr("output serial0"));
  EXPECT_THAT(verified.text, testing::ContainsRegex("icount [0-9,]+"));
  EXPECT_THAT(verified.text, testing::ContainsRegex("byte [0-9]+"));
  EXPECT_THAT(verified.text, HasSubstr("'t'"));
  EXPECT_THAT(verified.text, HasSubstr("'u'"));
}

TEST_F(AlteredInput, AByteOfEntropyIsFoundWhereItFirstShows) {
  const Outcome verified = verify_with_flip(Channel::entropy, 3);
  EXPECT_EQ(verified.code, 1) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("DIVERGED"));
  // In RAM, in a process's registers, printed, sent, or as another time of the next input or of the end:
  // whichever is compared first.
  EXPECT_THAT(verified.text, testing::ContainsRegex(
                                 "diverged at icount [0-9]+ [^:]*: [a-z0-9 ]+, [^:]*: expected [^,]*, got "));
}

TEST_F(AlteredInput, ABitOfTheWallClockIsFoundInADeviceOrInTheOutput) {
  const Outcome verified = verify_with_flip(Channel::wall_clock, 6);
  EXPECT_EQ(verified.code, 1) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("DIVERGED"));
  EXPECT_THAT(verified.text, HasSubstr("rtc, epochOffset"));
  EXPECT_THAT(verified.text, testing::ContainsRegex("icount [0-9,]+"));
}

}  // namespace
}  // namespace hindsight::tests
