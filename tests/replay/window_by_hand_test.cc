// The window as a person uses it: keys, mouse and a window manager's requests come through an X server; where
// they lead is asked of the gdb server beside the window, and compared with what the same actions do in a
// script. Skips where there is no Xvfb or no OpenGL.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "debugger/gdb/packet.h"
#include "tests/replay/guest_harness.h"
#include "tests/support/gdb_wire.h"
#include "tests/support/x_screen.h"

namespace hindsight::tests {
namespace {

using testing::HasSubstr;

/// gdb's side of a connection, for its monitor commands.
class MonitorLine final {
 public:
  ~MonitorLine() {
    if (socket_ >= 0) close(socket_);
  }
  bool connect(const std::string& path) {
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un place{};
    place.sun_family = AF_UNIX;
    path.copy(place.sun_path, sizeof place.sun_path - 1);
    return ::connect(socket_, reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0;
  }
  /// What the command prints; empty when the connection ends.
  std::string ask(const std::string& command) {
    const std::string request = debugger::gdb::frame("qRcmd," + debugger::gdb::to_hex(command));
    if (send(socket_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
    std::string text;
    for (;;) {
      const auto reply = payload();
      if (!reply || *reply == "OK" || reply->starts_with('E')) return text;
      if (reply->starts_with('O')) text += debugger::gdb::from_hex(reply->substr(1)).value_or("");
    }
  }

 private:
  std::optional<std::string> payload() {
    for (;;) {
      const auto dollar = bytes_.find('$');
      const auto hash = dollar == std::string::npos ? dollar : bytes_.find('#', dollar);
      if (hash != std::string::npos && hash + 2 < bytes_.size()) {
        const auto found = payload_of(std::string_view(bytes_).substr(dollar, hash + 3 - dollar));
        bytes_.erase(0, hash + 3);
        if (send(socket_, "+", 1, MSG_NOSIGNAL) < 0) return std::nullopt;
        return found;
      }
      char buffer[4096];
      const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) return std::nullopt;
      bytes_.append(buffer, static_cast<std::size_t>(got));
    }
  }

  int socket_ = -1;
  std::string bytes_;
};

class WindowByHand : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    if (!screen_.why().empty()) GTEST_SKIP() << screen_.why();
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", "600000000", "--seed", "7"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }
  /// Opens the window at instant 500,000,000; `state` is what the last one is to have left. Skips where it
  /// cannot draw.
  void open(const std::string& state, const std::string& size = "1280x900") {
    std::filesystem::create_directories(path("state/hindsight"));
    if (!state.empty()) write("state/hindsight/window", state);
    std::filesystem::remove(path("gdb"));
    window_ = std::make_unique<Process>(std::vector<std::string>{
        "env", "-u", "WAYLAND_DISPLAY", "DISPLAY=" + screen_.name(), "XDG_STATE_HOME=" + path("state"),
        "timeout", "300", HINDSIGHT_EXECUTABLE, "debug", path("boot.hst"), "--at", "500000000", "--size",
        size, "--scale", "1", "--gdb", "unix:" + path("gdb")});
    if (!window_->wait_for("target remote")) {
      const Outcome ended = window_->wait();
      window_.reset();
      if (ended.text.find("OpenGL") != std::string::npos) GTEST_SKIP() << ended.text;
      FAIL() << ended.text;
    }
    gdb_ = std::make_unique<MonitorLine>();
    ASSERT_TRUE(gdb_->connect(path("gdb")));
    ASSERT_TRUE(screen_.find_window("Hindsight: boot.hst"));
    ASSERT_EQ(until_at("500000000"), "500000000");
  }
  /// Closes it as its frame's cross does, and returns what it left for the next one.
  std::string close() {
    screen_.ask_to_close();
    return closed();
  }
  /// It is about to close by itself.
  std::string closed() {
    gdb_.reset();
    const Outcome ended = window_->wait();
    window_.reset();
    EXPECT_EQ(ended.code, 0) << ended.text;
    std::ifstream in(path("state/hindsight/window"));
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// Where the cursor is, as gdb sees it: "500000000".
  std::string now() {
    const std::string text = gdb_->ask("when");
    unsigned long icount = 0;
    char delivery[16] = "";
    std::sscanf(text.c_str(), "icount %lu%15[+0-9]", &icount, delivery);
    return fmt::format("{}{}", icount, delivery);
  }
  std::uint64_t icount() { return std::stoull(now()); }
  /// Waits until it is there; what it is after a while if it does not get there.
  std::string until_at(const std::string& expected) {
    std::string at;
    for (int i = 0; i < 60 && (at = now()) != expected; ++i) std::this_thread::sleep_for(kBetween);
    return at;
  }
  /// Waits until it is elsewhere, and has come to rest.
  std::uint64_t after_leaving(std::uint64_t before) {
    std::uint64_t at = before;
    for (int i = 0; i < 60 && (at = icount()) == before; ++i) std::this_thread::sleep_for(kBetween);
    return at;
  }

  /// Where a script of actions leads: what each `print` says.
  std::vector<std::string> printed(const std::string& script) {
    write("window.script", script);
    const Outcome shown = hindsight(
        {"debug", path("boot.hst"), "--at", "500000000", "--headless", "--script", path("window.script")});
    EXPECT_EQ(shown.code, 0) << shown.text;
    std::vector<std::string> places;
    for (std::size_t at = 0; (at = shown.text.find("at ", at)) != std::string::npos;
         at = shown.text.find('\n', at)) {
      at += 3;
      places.push_back(shown.text.substr(at, shown.text.find(' ', at) - at));
    }
    return places;
  }

  std::uint32_t pixel(int x, int y) {
    const auto all = screen_.picture();
    return all.at(static_cast<std::size_t>(y * screen_.size().width + x));
  }

  /// Whoever asks interrupts what the window does in the background.
  static constexpr std::chrono::milliseconds kBetween{100};
  XScreen screen_{1700, 1100};
  std::unique_ptr<Process> window_;
  std::unique_ptr<MonitorLine> gdb_;
};

TEST_F(WindowByHand, KeysLeadWhereTheirActionsDo) {
  const auto expected = printed(
      "back\nprint\nback 3\nprint\nstep 2\nprint\nprevious-event\nprint\nnext-event\nprint\nend\nprint\n");
  ASSERT_EQ(expected.size(), 6U);
  ASSERT_NO_FATAL_FAILURE(open(""));
  if (IsSkipped()) return;

  screen_.key("Shift+F10");
  EXPECT_EQ(until_at(expected[0]), expected[0]);
  for (int i = 0; i < 3; ++i) screen_.key("Shift+F10");
  EXPECT_EQ(until_at(expected[1]), expected[1]);
  for (int i = 0; i < 2; ++i) screen_.key("F10");
  EXPECT_EQ(until_at(expected[2]), expected[2]);
  screen_.key("Shift+F8");
  EXPECT_EQ(until_at(expected[3]), expected[3]);
  screen_.key("F8");
  EXPECT_EQ(until_at(expected[4]), expected[4]);
  screen_.key("Ctrl+End");
  EXPECT_EQ(until_at(expected[5]), expected[5]);
  screen_.key("Ctrl+Home");
  EXPECT_EQ(until_at("0"), "0");
  screen_.key("Ctrl+Q");
  closed();
}

TEST_F(WindowByHand, ThePaletteTakesWhatIsTyped) {
  const auto expected =
      printed("seek 37%\nprint\nbreak pc\nstep\nreverse-continue\nprint\ncontinue\nprint\n");
  ASSERT_EQ(expected.size(), 3U);
  ASSERT_NO_FATAL_FAILURE(open(""));
  if (IsSkipped()) return;

  screen_.key("Ctrl+P");
  screen_.type("seek 37%");
  screen_.key("Return");
  EXPECT_EQ(until_at(expected[0]), expected[0]);
  screen_.key("F9");  // a breakpoint where it stands
  screen_.key("F10");
  ASSERT_NE(after_leaving(std::stoull(expected[0])), std::stoull(expected[0]));
  screen_.key("Shift+F5");
  EXPECT_EQ(until_at(expected[1]), expected[1]);
  screen_.key("F5");
  EXPECT_EQ(until_at(expected[2]), expected[2]);
  // A key that needs to know more asks for it.
  screen_.key("Ctrl+G");
  screen_.type("123456789");
  screen_.key("Return");
  EXPECT_EQ(until_at("123456789"), "123456789");
  // Found by its title, chosen with the arrows: "Go to power-on" is followed by "Go to the end of history".
  screen_.key("Ctrl+P");
  screen_.type("go to");
  screen_.key("Down");
  screen_.key("Return");
  EXPECT_EQ(until_at("600000000"), "600000000");
  // What Escape closes does nothing, and keys are the window's again.
  screen_.key("Ctrl+P");
  screen_.type("seek 5");
  screen_.key("Escape");
  screen_.key("Shift+F10");
  EXPECT_EQ(until_at("599999999"), "599999999");
  close();
}

/// A window of a timeline and, below it, the bytes of the stack.
constexpr const char* kTwoPanels = "theme dark\nlayout (column 0.450 [timeline*] [memory*])\n";

// Places in it: the ruler, below the rows of the lanes, and three on the strip.
constexpr int kRuler = 88, kLanes = 380, kLeft = 300, kMiddle = 700, kRight = 1100;

TEST_F(WindowByHand, TheTimelineIsClickedDraggedAndWheeled) {
  ASSERT_NO_FATAL_FAILURE(open(kTwoPanels));
  if (IsSkipped()) return;
  const auto click = [&](int x, int y = kRuler) {
    const std::uint64_t before = icount();
    screen_.click(x, y);
    return static_cast<double>(after_leaving(before));
  };
  // Two clicks say how places and instants go together.
  const double left = click(kLeft), right = click(kRight);
  ASSERT_LT(left, right);
  double pixel = (right - left) / (kRight - kLeft);
  EXPECT_NEAR(click(kMiddle), left + (kMiddle - kLeft) * pixel, pixel);

  // Below the rows of the lanes a click goes to the instant, as on the ruler.
  EXPECT_EQ(click(kLeft, kLanes), left);

  // The wheel zooms about the mouse: each notch to four fifths.
  const double middle = left + (kMiddle - kLeft) * pixel;
  screen_.move(kMiddle, kLanes);
  screen_.wheel(3);
  pixel *= 0.8 * 0.8 * 0.8;
  EXPECT_NEAR(click(kLeft), middle - (kMiddle - kLeft) * pixel, 2 * pixel);
  EXPECT_NEAR(click(kRight), middle + (kRight - kMiddle) * pixel, 2 * pixel);

  // Dragging selects, and moves nothing.
  const std::uint64_t stood = icount();
  screen_.drag(kMiddle - 200, kLanes, kMiddle + 200, kLanes);
  EXPECT_EQ(icount(), stood);
  screen_.key("Ctrl+P");
  screen_.type("zoom selection");
  screen_.key("Return");
  const double from = click(kLeft), to = click(kRight);
  const double zoomed = (to - from) / (kRight - kLeft);
  // The strip's 400 selected pixels fill what all of it filled.
  EXPECT_GT(zoomed, pixel * 0.3);
  EXPECT_LT(zoomed, pixel * 0.4);
  EXPECT_GT(from, middle - 200 * pixel);
  EXPECT_LT(to, middle + 201 * pixel);
  close();
}

TEST_F(WindowByHand, TheByteThatIsClickedTellsItsLastWriter) {
  const auto expected = printed(
      "memory rsp\nlast-write rsp+16\nprint\nseek 500000000\nlast-write rsp+16\nseek 500000000\nnext-write "
      "rsp+8\nprint\n");
  ASSERT_EQ(expected.size(), 2U);
  ASSERT_NO_FATAL_FAILURE(open(kTwoPanels));
  if (IsSkipped()) return;
  // Rows of 16 bytes behind an address of 16 digits and two blanks; letters are about 8.4 wide, lines 21
  // high.
  const int x = 10 + static_cast<int>(19 * 8.4), y = 44 + static_cast<int>(0.45 * (900 - 75)) + 28 + 50;

  screen_.click(x, y + 21);
  screen_.key("Ctrl+W");
  EXPECT_EQ(until_at(expected[0]), expected[0]);
  close();
}

TEST_F(WindowByHand, ItIsResizedRearrangedAndClosedAndTheNextOneLooksAlike) {
  ASSERT_NO_FATAL_FAILURE(open("theme dark\nlayout standard\n"));
  if (IsSkipped()) return;
  for (const auto& [width, height] : {std::pair(1000, 600), std::pair(1600, 1000)}) {
    screen_.resize(width, height);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_EQ(screen_.size().width, width);
    // The bars reach into the corners: toolbar above, status below.
    EXPECT_EQ(pixel(width - 3, 3), 0x1B1E24U) << width;
    EXPECT_EQ(pixel(width - 3, height - 3), 0x1B1E24U) << width;
  }
  screen_.key("Ctrl+T");
  screen_.key("Ctrl+P");
  screen_.type("open tasks");
  screen_.key("Return");
  const std::string left = close();
  EXPECT_THAT(left, HasSubstr("theme light\n"));
  EXPECT_THAT(left, HasSubstr("[devices tasks* modules events]"));

  ASSERT_NO_FATAL_FAILURE(open(""));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(pixel(1277, 3), 0xFBFBFCU);
  EXPECT_EQ(close(), left);
}

}  // namespace
}  // namespace hindsight::tests
