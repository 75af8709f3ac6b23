// The live host: scripts, images, consoles through pipes, pacing. Nothing here needs a terminal.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

#include "devices/hostio/disk_image.h"
#include "devices/hostio/host_nondet.h"
#include "devices/hostio/script.h"
#include "devices/hostio/terminal.h"

namespace hindsight::tests {
namespace {

using devices::hostio::DiskImage;
using devices::hostio::host_now;
using devices::hostio::HostNondet;
using devices::hostio::HostOptions;
using devices::hostio::NetworkBackend;
using devices::hostio::Pacing;
using devices::hostio::parse_script;
using devices::hostio::ScriptedConsole;
using devices::hostio::Terminal;
using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;

constexpr std::uint64_t kMillisecond = 1'000'000;

Instant at(std::uint64_t nanoseconds) { return {Icount(nanoseconds), VirtualTime(nanoseconds)}; }

std::span<const std::byte> bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string text_of(const std::vector<std::byte>& data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

struct TemporaryFile {
  explicit TemporaryFile(std::string_view content) {
    const int fd = mkstemp(path.data());
    EXPECT_GE(fd, 0);
    EXPECT_TRUE(devices::hostio::write_all(fd, bytes(content)));
    close(fd);
  }
  ~TemporaryFile() { unlink(path.c_str()); }
  std::string path = testing::TempDir() + "hostio_test.XXXXXX";
};

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends.data()), 0); }
  ~Pipe() {
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
  }
  void write(std::string_view text) const { EXPECT_TRUE(devices::hostio::write_all(ends[1], bytes(text))); }
  void close_writer() {
    close(ends[1]);
    ends[1] = -1;
  }
  std::array<int, 2> ends{};
};

TEST(ScriptParser, ReadsStepsCommentsAndEscapes) {
  const auto script = parse_script("s", "# hi\n\nexpect \"a\\\"\\x41\"\n  send \"b\\n\" # x\ndelay 5ms\n");
  ASSERT_TRUE(script.ok()) << script.failure().message;
  ASSERT_EQ(script->steps.size(), 3U);
  EXPECT_EQ(script->steps[0].text, "a\"A");
  EXPECT_EQ(script->steps[1].text, "b\n");
  EXPECT_EQ(script->steps[2].nanoseconds, 5'000'000U);
}

TEST(ScriptParser, ErrorsNameFileAndLine) {
  const auto message = [](std::string_view text) { return parse_script("f", text).failure().message; };
  EXPECT_THAT(message("\nwait 5"), testing::StartsWith("f:2: expected expect, send or delay"));
  EXPECT_THAT(message("send hello"), testing::StartsWith("f:1: expected a string in double quotes"));
  EXPECT_THAT(message("send \"x"), testing::StartsWith("f:1: the string has no closing quote"));
  EXPECT_THAT(message("send \"\\q\""), testing::StartsWith("f:1: unknown escape"));
  EXPECT_THAT(message("send \"\\x4\""), testing::StartsWith("f:1: unknown escape"));
  EXPECT_THAT(message("send \"a\" b"), testing::StartsWith("f:1: something follows"));
  EXPECT_THAT(message("delay 5"), testing::StartsWith("f:1: expected a duration"));
  EXPECT_THAT(message("expect \"\""), testing::StartsWith("f:1: the string is empty"));
}

TEST(ScriptParser, MissingFileIsNamed) {
  EXPECT_THAT(devices::hostio::load_script("/no/such/script").failure().message,
              testing::HasSubstr("/no/such/script"));
}

std::string received(ScriptedConsole& console, std::uint64_t now) {
  std::vector<std::byte> out;
  console.receive(VirtualTime(now), out);
  return text_of(out);
}

TEST(ScriptedConsole, AnswersOnceThePatternIsCompleteHoweverItWasCut) {
  ScriptedConsole console(parse_script("s", "expect \"login:\"\nsend \"root\\n\"").value());
  console.output(VirtualTime(1), bytes("... log"));
  EXPECT_EQ(received(console, 2), "");
  console.output(VirtualTime(3), bytes("in: "));
  EXPECT_EQ(received(console, 4), "root\n");
  EXPECT_TRUE(console.finished());
}

TEST(ScriptedConsole, SecondExpectWantsNewOutput) {
  ScriptedConsole console(parse_script("s", "expect \"$ \"\nsend \"1\"\nexpect \"$ \"\nsend \"2\"").value());
  console.output(VirtualTime(1), bytes("$ "));
  EXPECT_EQ(received(console, 2), "1");
  EXPECT_EQ(console.waiting_for(), "s:3: waiting for \"$ \"");
  console.output(VirtualTime(3), bytes("$ "));
  EXPECT_EQ(received(console, 4), "2");
}

TEST(ScriptedConsole, DelayIsVirtualTimeAfterTheStepBefore) {
  ScriptedConsole console(parse_script("s", "expect \"x\"\ndelay 10ns\nsend \"y\"").value());
  console.output(VirtualTime(100), bytes("x"));
  EXPECT_EQ(console.next_time(), VirtualTime(110));
  EXPECT_EQ(received(console, 109), "");
  EXPECT_EQ(received(console, 110), "y");
}

TEST(DiskImageFile, ReadsSectorsAndRefusesBeyondTheEnd) {
  const TemporaryFile file(std::string(512, 'a') + std::string(512, 'b'));
  const auto image = DiskImage::open(file.path);
  ASSERT_TRUE(image.ok()) << image.failure().message;
  EXPECT_EQ((*image)->sectors(), 2U);
  std::vector<std::byte> out(512);
  EXPECT_TRUE((*image)->read(1, out).ok());
  EXPECT_EQ(out[0], std::byte{'b'});
  EXPECT_THAT((*image)->read(2, out).failure().message, testing::HasSubstr("beyond the end (2 sectors)"));
}

TEST(DiskImageFile, RefusesWhatIsNoImage) {
  EXPECT_THAT(DiskImage::open("/no/such/image").failure().message, testing::HasSubstr("No such file"));
  EXPECT_THAT(DiskImage::open("/tmp").failure().message,
              testing::HasSubstr("regular file or a block device"));
  const TemporaryFile odd(std::string(513, 'a'));
  EXPECT_THAT(DiskImage::open(odd.path).failure().message, testing::HasSubstr("513 bytes"));
  const TemporaryFile empty("");
  EXPECT_THAT(DiskImage::open(empty.path).failure().message, testing::HasSubstr("empty"));
}

TEST(TerminalOnPipes, PassesBytesThroughIncludingTheEscapeAndSeesTheEnd) {
  Pipe in;
  Pipe out;
  Terminal terminal(in.ends[0], out.ends[1], [] { FAIL() << "a pipe cannot quit"; });
  in.write("a\x01x");
  std::vector<std::byte> got;
  terminal.receive(VirtualTime(0), got);
  EXPECT_EQ(text_of(got), "a\x01x");
  in.close_writer();
  terminal.receive(VirtualTime(0), got);
  EXPECT_FALSE(terminal.input_possible());
  terminal.output(VirtualTime(0), bytes("hi"));
  std::array<char, 2> shown{};
  EXPECT_EQ(read(out.ends[0], shown.data(), 2), 2);
  EXPECT_EQ(shown[1], 'i');
}

// A pseudo-terminal stands in for the user's.
struct TerminalOnTty : testing::Test {
  void SetUp() override {
    setenv("TERM", "xterm", 1);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) GTEST_SKIP() << "no pseudo-terminals";
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ASSERT_GE(slave, 0);
  }
  void TearDown() override {
    close(slave);
    close(master);
  }
  void expect_shown(const std::string& expected) const {
    std::string shown;  // the line discipline hands it over in pieces
    pollfd readable{master, POLLIN, 0};
    while (shown.size() < expected.size() && ::poll(&readable, 1, 5000) == 1) {
      char piece[200];
      const ssize_t count = read(master, piece, sizeof piece);
      ASSERT_GT(count, 0);
      shown.append(piece, static_cast<std::size_t>(count));
    }
    EXPECT_EQ(shown, expected);
  }
  int master = -1;
  int slave = -1;
};

TEST_F(TerminalOnTty, CtrlAxQuitsAndCtrlAaSendsCtrlA) {
  int quits = 0;
  Terminal terminal(slave, slave, [&] { ++quits; });
  ASSERT_EQ(write(master,
                  "\x03\x01"
                  "ab\x01x",
                  6),
            6);
  std::vector<std::byte> got;
  terminal.receive(VirtualTime(0), got);
  EXPECT_EQ(text_of(got),
            "\x03\x01"
            "b")
      << "Ctrl-C is the guest's";
  EXPECT_EQ(quits, 1);
}

TEST_F(TerminalOnTty, CtrlAhTellsTheKeysAndSendsNothing) {
  Terminal terminal(slave, slave, [] {});
  ASSERT_EQ(write(master, "\x01h", 2), 2);
  std::vector<std::byte> got;
  terminal.receive(VirtualTime(0), got);
  EXPECT_TRUE(got.empty());
  char shown[200] = {};
  ASSERT_GT(read(master, shown, sizeof shown - 1), 0);
  EXPECT_NE(std::string(shown).find("Ctrl-A x: quit"), std::string::npos);
}

TEST_F(TerminalOnTty, IsLeftAtTheStartOfALineWithPlainAttributesAndACursor) {
  {
    Terminal terminal(slave, slave, [] {});
    terminal.output(VirtualTime(0), bytes("\033[31m# "));
  }
  expect_shown("\033[31m# \r\n\033[0m\033[?25h");
}

TEST_F(TerminalOnTty, ThatKnowsNoEscapesGetsNone) {
  setenv("TERM", "dumb", 1);
  {
    Terminal terminal(slave, slave, [] {});
    terminal.output(VirtualTime(0), bytes("# "));
  }
  ASSERT_EQ(write(slave, ".", 1), 1);
  expect_shown("# \r\n.");
}

TEST_F(TerminalOnTty, ModeIsRestored) {
  termios before{};
  tcgetattr(slave, &before);
  {
    const Terminal terminal(slave, slave, [] {});
    termios during{};
    tcgetattr(slave, &during);
    EXPECT_EQ(during.c_lflag & ICANON, 0U);
  }
  termios after{};
  tcgetattr(slave, &after);
  EXPECT_EQ(after.c_lflag, before.c_lflag);
}

std::uint64_t wall_clock(HostNondet& host) {
  std::array<std::byte, 8> out{};
  host.sample(at(0), Channel::wall_clock, 0, out);
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(out[i]) << (8 * i);
  return value;
}

TEST(HostNondetSamples, SeededHostsGiveTheSameEntropyAndClock) {
  HostNondet one({.pacing = Pacing::batch, .seed = 7});
  HostNondet two({.pacing = Pacing::batch, .seed = 7});
  std::array<std::byte, 64> a{};
  std::array<std::byte, 64> b{};
  one.sample(at(0), Channel::entropy, 0, a);
  two.sample(at(5), Channel::entropy, 0, b);
  EXPECT_EQ(a, b);
  one.sample(at(6), Channel::entropy, 0, b);
  EXPECT_NE(a, b);
  EXPECT_EQ(wall_clock(one), HostNondet::kSeededWallClock);
}

TEST(HostNondetSamples, LiveHostGivesRealTime) {
  HostNondet host(HostOptions{});
  EXPECT_GT(wall_clock(host), HostNondet::kSeededWallClock);
}

TEST(HostNondetSamples, UnreadableDiskGivesZerosAndIsReported) {
  HostNondet host(HostOptions{});
  std::array<std::byte, 512> out{};
  out[3] = std::byte{9};
  host.sample(at(0), Channel::disk0, 0, out);
  EXPECT_EQ(out[3], std::byte{0});
  EXPECT_TRUE(host.failure().has_value());
}

TEST(HostNondetInput, SerialInputComesAtTheLineRate) {
  HostNondet host(HostOptions{});
  Pipe in;
  host.add_console(std::make_unique<Terminal>(in.ends[0], 1, [] {}), Channel::serial0, {});
  in.write(std::string(256, 'a') + "XYZ");
  std::vector<Input> got;
  host.drain(at(1000), got);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(text_of(got[0].payload), std::string(256, 'a'));
  host.drain(at(2000), got);
  EXPECT_EQ(got.size(), 1U) << "too early";
  EXPECT_EQ(host.idle(at(3000), VirtualTime::max()), VirtualTime(24'001'000))
      << "idle warps to the next bytes";
  host.drain(at(24'001'000), got);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(text_of(got[1].payload), "XYZ");
}

TEST(HostNondetInput, ScriptIsDrivenByTheOutputsItIsGiven) {
  HostNondet host(HostOptions{});
  host.add_console(std::make_unique<ScriptedConsole>(parse_script("s", "expect \"?\"\nsend \"!\"").value()),
                   Channel::serial0, {Channel::serial0});
  host.output(at(1), Channel::virtio_console, bytes("?"));
  std::vector<Input> got;
  host.drain(at(2), got);
  EXPECT_TRUE(got.empty()) << "another console's output";
  host.output(at(3), Channel::serial0, bytes("?"));
  host.drain(at(4), got);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(text_of(got[0].payload), "!");
}

TEST(HostNondetIdle, BatchWarpsAtOnce) {
  HostNondet host(HostOptions{});
  const std::uint64_t start = host_now();
  EXPECT_EQ(host.idle(at(5), VirtualTime(3600'000 * kMillisecond)), VirtualTime(3600'000 * kMillisecond));
  EXPECT_LT(host_now() - start, 1000 * kMillisecond);
}

TEST(HostNondetIdle, NothingToWaitForIsForever) {
  HostNondet host(HostOptions{});
  EXPECT_EQ(host.idle(at(5), VirtualTime::max()), VirtualTime::max());
}

TEST(HostNondetIdle, UnfinishedScriptThatWaitsForOutputIsForever) {
  HostNondet host(HostOptions{});
  host.add_console(std::make_unique<ScriptedConsole>(parse_script("s", "expect \"never\"").value()),
                   Channel::serial0, {Channel::serial0});
  EXPECT_EQ(host.idle(at(5), VirtualTime::max()), VirtualTime::max());
}

TEST(HostNondetIdle, ScriptDelayBoundsTheWarp) {
  HostNondet host(HostOptions{});
  host.add_console(std::make_unique<ScriptedConsole>(parse_script("s", "delay 50ns\nsend \"x\"").value()),
                   Channel::serial0, {});
  EXPECT_EQ(host.idle(at(5), VirtualTime(1000)), VirtualTime(50));
  EXPECT_EQ(host.idle(at(50), VirtualTime(1000)), VirtualTime(50)) << "input is ready";
}

TEST(HostNondetIdle, OpenPipeIsWaitedForInRealTime) {
  HostNondet host(HostOptions{});
  Pipe in;
  host.add_console(std::make_unique<Terminal>(in.ends[0], 1, [] {}), Channel::serial0, {});
  const VirtualTime after = host.idle(at(5), VirtualTime::max());
  EXPECT_GE(after.value, HostNondet::kLongestWait);
  EXPECT_LT(after, VirtualTime::max());
  in.write("x");
  EXPECT_EQ(host.idle(at(5), VirtualTime::max()), VirtualTime(5));
}

TEST(HostNondetIdle, InteractiveWaitsAsLongAsTheWarpIsWide) {
  HostNondet host({.pacing = Pacing::interactive, .seed = {}});
  const std::uint64_t start = host_now();
  EXPECT_EQ(host.idle(at(0), VirtualTime(20 * kMillisecond)), VirtualTime(20 * kMillisecond));
  EXPECT_GE(host_now() - start, 19 * kMillisecond);
}

TEST(HostNondetIdle, InteractiveMachineThatFellBehindCatchesUp) {
  HostNondet host({.pacing = Pacing::interactive, .seed = {}});
  host.idle(at(0), VirtualTime(kMillisecond));
  usleep(30'000);
  const std::uint64_t start = host_now();
  EXPECT_EQ(host.idle(at(2 * kMillisecond), VirtualTime(12 * kMillisecond)), VirtualTime(12 * kMillisecond));
  EXPECT_LT(host_now() - start, 8 * kMillisecond);
}

/// A network that answers when told to.
class FakeNetwork final : public NetworkBackend {
 public:
  void prepare_poll(std::vector<pollfd>& fds, std::uint64_t& /*timeout_ns*/) override {
    fds.push_back({wake_fd, POLLIN, 0});
  }
  void dispatch(std::span<const pollfd> fds) override {
    if (!fds.empty() && fds.back().revents != 0) frames.emplace_back(60);
  }
  void send(std::span<const std::byte> frame) override { sent += frame.size(); }
  std::vector<std::vector<std::byte>> take() override { return std::exchange(frames, {}); }
  [[nodiscard]] bool frames_waiting() const override { return !frames.empty(); }
  [[nodiscard]] bool active() override { return busy; }
  [[nodiscard]] bool input_possible() override { return busy; }
  std::vector<std::vector<std::byte>> frames;
  std::size_t sent = 0;
  bool busy = true;
  int wake_fd = -1;
};

struct NetworkIdle : testing::Test {
  NetworkIdle() {
    auto owned = std::make_unique<FakeNetwork>();
    network = owned.get();
    network->wake_fd = wake.ends[0];
    host.set_network(std::move(owned));
  }
  Pipe wake;
  HostNondet host{HostOptions{}};
  FakeNetwork* network;
};

TEST_F(NetworkIdle, BusyNetworkKeepsBatchTimeAtRealTime) {
  const std::uint64_t start = host_now();
  const VirtualTime after = host.idle(at(0), VirtualTime(30 * kMillisecond));
  EXPECT_EQ(after, VirtualTime(30 * kMillisecond));
  EXPECT_GE(host_now() - start, 29 * kMillisecond);
}

TEST_F(NetworkIdle, FrameEndsTheWaitBeforeTheDeadline) {
  wake.write("x");
  EXPECT_EQ(host.idle(at(0), VirtualTime(10'000 * kMillisecond)), VirtualTime(0)) << "found without waiting";
  std::vector<Input> got;
  host.drain(at(0), got);
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got[0].channel, Channel::net0);
}

TEST_F(NetworkIdle, QuietNetworkDoesNotSlowBatchTime) {
  network->busy = false;
  EXPECT_EQ(host.idle(at(0), VirtualTime(10'000 * kMillisecond)), VirtualTime(10'000 * kMillisecond));
}

TEST_F(NetworkIdle, FramesGoOut) {
  host.output(at(0), Channel::net0, std::vector<std::byte>(60));
  EXPECT_EQ(network->sent, 60U);
}

}  // namespace
}  // namespace hindsight::tests
