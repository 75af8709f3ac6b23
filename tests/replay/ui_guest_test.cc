// The window over a recorded boot of the stock kernel: a script visits every panel, walks both ways and takes
// pictures. Needs no display; skips where there is no OpenGL to draw with.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <png.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

/// How many colours a picture has, and its size.
struct Picture {
  unsigned width = 0, height = 0;
  std::size_t colours = 0;
};

Picture read_picture(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return {};
  image.format = PNG_FORMAT_RGBA;
  std::vector<std::uint32_t> pixels(static_cast<std::size_t>(image.width) * image.height);
  if (png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) == 0) return {};
  return {image.width, image.height, std::set<std::uint32_t>(pixels.begin(), pixels.end()).size()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

class WindowOnABoot : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", "600000000", "--seed", "7"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }

  Outcome show(const std::string& script, const std::string& trace = "boot.hst") {
    write("window.script", script);
    return run({"env", "-u", "DISPLAY", "-u", "WAYLAND_DISPLAY", "timeout", "300", HINDSIGHT_EXECUTABLE,
                "debug", path(trace), "--at", "begin", "--headless", "--script", path("window.script")});
  }
  /// The display may do no OpenGL.
  static bool cannot_draw(const Outcome& shown) {
    return shown.code != 0 && (shown.text.find("OpenGL") != std::string::npos ||
                               shown.text.find("no display") != std::string::npos ||
                               shown.text.find("no window") != std::string::npos);
  }
};

TEST_F(WindowOnABoot, EveryPanelIsVisitedAndPicturesAreTaken) {
  std::string script = "seek 500000000\nwait\n";
  for (const char* panel :
       {"timeline", "code", "registers", "system", "memory", "walk", "stack", "console", "log", "tasks",
        "modules", "devices", "events", "bookmarks", "query", "calls", "diff"})
    script += fmt::format("open {0}\nwait\nscreenshot {1}\n", panel, path(std::string(panel) + ".png"));
  script += fmt::format("theme light\nzoom 20%..60%\nselect 30%..40%\nscreenshot {}\n", path("light.png"));
  const Outcome shown = show(script);
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text;
  for (const char* name : {"timeline", "tasks", "devices", "bookmarks", "light"}) {
    const Picture picture = read_picture(path(std::string(name) + ".png"));
    EXPECT_EQ(picture.width, 1600U) << name;
    EXPECT_EQ(picture.height, 1000U) << name;
    EXPECT_GT(picture.colours, 200U) << name;  // text is drawn with many shades
  }
}

TEST_F(WindowOnABoot, StepsScrubsAndTheLastWriterAgreeWithThemselves) {
  const Outcome shown = show(
      "seek 500000000\nprint\nstep\nstep\nback 2\nprint\n"     // there and back
      "seek 10%\nseek 90%\nseek 30%\nseek 500000000\nprint\n"  // scrubbing
      "last-write rsp 8\nprint\nstep\nprint\nseek 500000000\nprint\n"
      "wait\nprint console\n");
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text;
  const auto lines = lines_of(shown.text);
  ASSERT_GT(lines.size(), 20U) << shown.text;
  EXPECT_THAT(lines[0], HasSubstr("at 500000000 pc ffffffff"));
  EXPECT_EQ(lines[1], lines[0]);
  EXPECT_EQ(lines[2], lines[0]);
  EXPECT_THAT(lines[3], MatchesRegex("at [0-9]+([+][0-9]+)? pc .* was last written here by [a-z_].*"));
  EXPECT_EQ(lines[5], lines[0]);
  EXPECT_THAT(shown.text, HasSubstr("Linux version"));
}

TEST_F(WindowOnABoot, QuestionsAreAnsweredAsOnTheCommandLine) {
  const Outcome shown = show(
      "seek 500000000\nquery changes jiffies/8 300000000..400000000\nprint answers\n"
      "profile 400000000..410000000\nprint profile\n"
      "diff 400000000\nprint diff\nprint\n");
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;
  ASSERT_EQ(shown.code, 0) << shown.text;
  const auto lines = lines_of(shown.text);

  const Outcome changes = hindsight({"query", path("boot.hst"), "changes", "jiffies/8", "--at", "500000000",
                                     "--from", "300000000", "--to", "400000000", "--limit", "0"});
  std::vector<std::string> expected, found;
  for (const std::string& line : lines_of(changes.text))
    if (const auto digit = line.find_first_not_of(' '); digit != std::string::npos)
      expected.push_back(line.substr(digit, line.find(' ', digit) - digit));
  for (const std::string& line : lines)
    if (line.find(" change ") != std::string::npos) found.push_back(line.substr(0, line.find(' ')));
  EXPECT_GT(found.size(), 10U);
  EXPECT_EQ(found, expected);

  EXPECT_THAT(lines, testing::Contains("10000000 instructions"));
  EXPECT_THAT(lines, testing::Contains(MatchesRegex("a 400000000 pc ffffffff.*")));
  EXPECT_THAT(lines, testing::Contains(MatchesRegex("register rip ffffffff[0-9a-f]* ffffffff[0-9a-f]*")));
  const Outcome difference =
      hindsight({"diff", path("boot.hst") + "@400000000", "@500000000", "--json", "--bytes", "0"});
  std::string memory;
  for (const std::string& line : lines_of(difference.text))
    if (line.starts_with("{\"kind\":\"memory\"")) memory = line;
  unsigned long pages = 0, bytes = 0;
  ASSERT_EQ(std::sscanf(memory.c_str(), "{\"kind\":\"memory\",\"pages\":%lu,\"bytes\":%lu", &pages, &bytes),
            2);
  EXPECT_THAT(lines, testing::Contains(fmt::format("memory {} pages {} bytes", pages, bytes)));
  // Asking moves nothing.
  EXPECT_THAT(lines.back(), HasSubstr("at 500000000 "));
}

TEST_F(WindowOnABoot, AnotherTraceIsComparedAndTheirPartingShown) {
  const auto record_other = [&](const std::string& name, std::vector<std::string> options) {
    options.insert(options.end(), {"--stop-at", "300000000"});
    const Outcome recorded = run(record(name, "", options));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  };
  record_other("same.hst", {"--seed", "1"});
  record_other("again.hst", {"--seed", "1"});
  record_other("later.hst", {});
  const Outcome same = show(fmt::format("diff-trace {}\nprint diff\n", path("again.hst")), "same.hst");
  if (cannot_draw(same)) GTEST_SKIP() << same.text;
  ASSERT_EQ(same.code, 0) << same.text;
  EXPECT_THAT(same.text, testing::StartsWith("equal: "));

  // Another boot of the same machine, at another time of day.
  const Outcome parted = show(fmt::format("diff-trace {}\nprint diff\n", path("later.hst")), "same.hst");
  ASSERT_EQ(parted.code, 0) << parted.text;
  EXPECT_THAT(parted.text, testing::StartsWith("they part: 0 events and "));
  EXPECT_THAT(parted.text, HasSubstr("event a 0 0 sample wall_clock, 8 bytes: "));
  EXPECT_THAT(parted.text, HasSubstr("parting at power-on\n"));
  EXPECT_THAT(parted.text, HasSubstr("field rtc."));
}

TEST_F(WindowOnABoot, GdbAndTheWindowMoveOneCursor) {
  if (std::system("gdb --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "gdb is not installed";
  // Each waits for what the other did: gdb for pictures, the window for words and positions.
  const std::string stepped = path("stepped.png"), seen = path("seen.png"), socket = path("gdb.socket");
  write("both.script", fmt::format("until at 500000100 \nprint\nstep\nprint\nscreenshot {}\n"
                                   "until moved by gdb\nprint\nscreenshot {}\nuntil at 500000000 \n",
                                   stepped, seen));
  const auto wait_for = [](const std::string& file) {
    return fmt::format("shell while ! test -e {}; do sleep 0.05; done\n", file);
  };
  write("both.gdb", fmt::format("set pagination off\ntarget remote {}\nmonitor seek 500000100\n{}"
                                "maintenance flush register-cache\np/x $rip\nreverse-stepi\np/x $rip\n{}"
                                "monitor seek 500000000\n",
                                socket, wait_for(stepped), wait_for(seen)));
  Outcome shown;
  std::thread window([&] {
    shown = run({"env", "-u", "DISPLAY", "-u", "WAYLAND_DISPLAY", "timeout", "200", HINDSIGHT_EXECUTABLE,
                 "debug", path("boot.hst"), "--at", "begin", "--headless", "--script", path("both.script"),
                 "--gdb", "unix:" + socket});
  });
  const Outcome gdb =
      run({"sh", "-c",
           fmt::format("while ! test -S {}; do sleep 0.05; done; timeout 100 gdb -nx -batch -x {}", socket,
                       path("both.gdb"))});
  window.join();
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text << gdb.text;
  std::vector<std::string> by_gdb, by_window, positions;
  for (const std::string& line : lines_of(gdb.text))
    if (const auto at = line.find(" = 0x"); line.starts_with('$') && at != std::string::npos)
      by_gdb.push_back(line.substr(at + 5));
  for (const std::string& line : lines_of(shown.text))
    if (const auto at = line.find(" pc "); line.starts_with("at ")) {
      positions.push_back(line.substr(3, at - 3));
      by_window.push_back(line.substr(at + 4, line.find(' ', at + 4) - at - 4));
    }
  ASSERT_EQ(by_gdb.size(), 2U) << gdb.text;
  EXPECT_THAT(positions, testing::ElementsAre("500000100", testing::StartsWith("50000010"), "500000100"));
  EXPECT_NE(positions[1], positions[0]);
  EXPECT_THAT(by_window, testing::ElementsAre(by_gdb[1], by_gdb[0], by_gdb[1])) << shown.text << gdb.text;
}

TEST_F(WindowOnABoot, AMachineThatIsRecordedInItHasTheTraceOfOneThatIsNot) {
  write("window.script",
        "seek 100000000\nprint\nseek 250000000\nback 3\nseek 100000000\nprint\ncontinue\nprint\n"
        "wait\nprint console\nback 2\n");
  std::vector<std::string> command = record(
      "live.hst", "", {"--stop-at", "400000000", "--seed", "7", "--digest-every", "10000000", "--force"});
  const std::vector<std::string> plain = command;
  const std::vector<std::string> window = {"debug", "--headless", "--script", path("window.script"),
                                           "--record"};
  const auto verb = std::find(command.begin(), command.end(), "record");
  ASSERT_NE(verb, command.end());
  command.insert(command.erase(verb), window.begin(), window.end());
  const Outcome shown = run(command);
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text;
  std::vector<std::string> stops;
  for (const std::string& line : lines_of(shown.text))
    if (line.starts_with("at ")) stops.push_back(line);
  ASSERT_EQ(stops.size(), 3U) << shown.text;
  EXPECT_EQ(stops[1], stops[0]);
  EXPECT_THAT(stops[2], HasSubstr("at 400000000 pc ffffffff"));
  EXPECT_THAT(shown.text, HasSubstr("Linux version"));
  expect_verified(path("live.hst"));
  const std::string digests = hindsight({"events", "--kind", "digest", path("live.hst")}).text;
  ASSERT_EQ(run(plain).code, 0);
  EXPECT_EQ(hindsight({"events", "--kind", "digest", path("live.hst")}).text, digests);
}

TEST_F(WindowOnABoot, AMachineThatIsRecordedInItTellsItsPastWhereItStands) {
  write("window.script",
        "seek 400000000\nquery last-write jiffies/8\nprint answers\n"
        "query changes jiffies/8 380000000..400000000\nprint answers\n"
        "last-write jiffies 8\nprint\nnext-write jiffies 8\nprint\nseek end\nprint\n"
        "profile 390000000..400000000\nprint profile\ndiff 390000000\nprint\n"
        "seek 500000000\nquery last-write jiffies/8\nprint answers\n"
        "continue\nsnapshot\nquery calls schedule 0..600000000\nprint\n");
  std::vector<std::string> command = record("live.hst", "", {"--stop-at", "600000000", "--seed", "7"});
  const std::vector<std::string> window = {"debug", "--headless", "--script", path("window.script"),
                                           "--record"};
  const auto verb = std::find(command.begin(), command.end(), "record");
  command.insert(command.erase(verb), window.begin(), window.end());
  const Outcome shown = run(command);
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text;
  std::vector<std::string> lines;  // without the guest's own
  for (const std::string& line : lines_of(shown.text))
    if (!line.starts_with("[")) lines.push_back(line);
  const auto last_write = [&](const std::string& at) {
    const Outcome asked = hindsight({"query", path("boot.hst"), "last-write", "jiffies/8", "--at", at});
    return lines_of(asked.text).front().substr(std::strlen("at       "));
  };
  const std::string written = last_write("400000000");
  EXPECT_THAT(lines[0], testing::StartsWith(written + " write ")) << shown.text;
  EXPECT_THAT(lines, testing::Contains(testing::StartsWith(written + " change ")));
  EXPECT_THAT(lines, testing::Contains(testing::StartsWith(last_write("500000000") + " write ")));
  std::vector<std::string> stops;
  for (const std::string& line : lines)
    if (line.starts_with("at ")) stops.push_back(line);
  ASSERT_EQ(stops.size(), 5U) << shown.text;
  EXPECT_THAT(stops[0],
              AllOf(testing::StartsWith("at " + written + " "), HasSubstr("was last written here")));
  EXPECT_THAT(stops[1], AllOf(testing::StartsWith("at " + std::to_string(std::stoull(written) + 1) + " "),
                              HasSubstr("was written just now")));
  EXPECT_THAT(stops[2], testing::StartsWith("at 400000000 "));
  EXPECT_THAT(stops[3], HasSubstr("of memory differ"));
  EXPECT_THAT(stops[4], AllOf(testing::StartsWith("at 600000000 "), HasSubstr("calls schedule: ")));
  EXPECT_THAT(lines, testing::Contains("10000000 instructions"));
  expect_verified(path("live.hst"));
  EXPECT_EQ(hindsight({"events", "--kind", "digest", path("live.hst")}).text,
            hindsight({"events", "--kind", "digest", path("boot.hst")}).text);
}

TEST_F(WindowOnABoot, AScriptThatCannotBeCarriedOutSaysWhere) {
  const Outcome shown = show("seek 1000\nopen cellar\n");
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  EXPECT_EQ(shown.code, 3);
  EXPECT_THAT(shown.text, HasSubstr("window.script:2: open cellar: no such panel: cellar"));
}

}  // namespace
}  // namespace hindsight::tests
