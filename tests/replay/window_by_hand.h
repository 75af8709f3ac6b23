// The window on a recorded boot, on a screen that nobody sees: keys, mouse and a window manager's requests
// come through an X server; where they lead is asked of the gdb server beside the window, and of what the
// window leaves for the next one. Skips where there is no Xvfb or no OpenGL.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "debugger/gdb/packet.h"
#include "tests/replay/guest_harness.h"
#include "tests/support/gdb_wire.h"
#include "tests/support/x_screen.h"

namespace hindsight::tests {

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

/// A window, and the hands of whoever uses it.
class WindowByHand : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    if (!screen_.why().empty()) GTEST_SKIP() << screen_.why();
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", "600000000", "--seed", "7"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
    write("nothing.script", "");
    const Outcome drawn =
        hindsight({"debug", path("boot.hst"), "--headless", "--script", path("nothing.script")});
    if (drawn.text.find("OpenGL") != std::string::npos || drawn.text.find("no display") != std::string::npos)
      GTEST_SKIP() << drawn.text;
  }
  /// Opens the window at instant 500,000,000; `state` is what the last one is to have left. Skips where it
  /// cannot draw.
  void open(const std::string& state,
            const std::vector<std::string>& look = {"--size", "1280x900", "--scale", "1"}) {
    std::filesystem::create_directories(path("state/hindsight"));
    if (!state.empty()) write("state/hindsight/window", state);
    std::filesystem::remove(path("gdb"));
    std::vector<std::string> command{"env",
                                     "-u",
                                     "WAYLAND_DISPLAY",
                                     "DISPLAY=" + screen_.name(),
                                     "XDG_STATE_HOME=" + path("state"),
                                     "timeout",
                                     "300",
                                     HINDSIGHT_EXECUTABLE,
                                     "debug",
                                     path("boot.hst"),
                                     "--at",
                                     "500000000",
                                     "--gdb",
                                     "unix:" + path("gdb")};
    command.insert(command.end(), look.begin(), look.end());
    window_ = std::make_unique<Process>(command);
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

  /// Waits until it is about there, which takes a while where the mouse is dragged.
  double until_near(double expected, double tolerance) {
    double at = 0;
    for (int i = 0; i < 60; ++i) {
      at = static_cast<double>(icount());
      if (std::abs(at - expected) <= tolerance) break;
      std::this_thread::sleep_for(kBetween);
    }
    return at;
  }

  struct Place {
    int left = 0, top = 0, right = 0, bottom = 0;
    [[nodiscard]] int x() const { return (left + right) / 2; }
    [[nodiscard]] int y() const { return (top + bottom) / 2; }
  };
  /// Where what has a name is, in a window of that layout: what a script's `print places` says.
  std::map<std::string, Place> places(const std::string& layout, const std::string& size = "1280x900",
                                      const std::string& scale = "1") {
    write("places.script", "layout " + layout + "\nwait\nprint places\n");
    const Outcome shown = hindsight({"debug", path("boot.hst"), "--at", "500000000", "--headless", "--size",
                                     size, "--scale", scale, "--script", path("places.script")});
    EXPECT_EQ(shown.code, 0) << shown.text;
    std::map<std::string, Place> all;
    std::istringstream lines(shown.text);
    for (std::string line; std::getline(lines, line);) {
      const auto colon = line.find(": ");
      Place place;
      if (colon != std::string::npos && std::sscanf(line.c_str() + colon, ": %d %d %d %d", &place.left,
                                                    &place.top, &place.right, &place.bottom) == 4)
        all[line.substr(0, colon)] = place;
    }
    return all;
  }
  void drag(const Place& from, int x, int y) { screen_.drag(from.x(), from.y(), x, y); }
  void click(const Place& place, unsigned button = 1) { screen_.click(place.x(), place.y(), button); }
  void palette(const std::string& line) {
    screen_.key("Ctrl+P");
    screen_.type(line);
    screen_.key("Return");
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
  static constexpr int kScreenWidth = 1700, kScreenHeight = 1100;
  XScreen screen_{kScreenWidth, kScreenHeight};
  std::unique_ptr<Process> window_;
  std::unique_ptr<MonitorLine> gdb_;
};

}  // namespace hindsight::tests
