// The window over a recorded boot of the stock kernel: a script visits every panel, walks both ways and takes
// pictures. Needs no display; skips where there is no OpenGL to draw with.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <png.h>

#include <set>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

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
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", "600000000"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }

  Outcome show(const std::string& script) {
    write("window.script", script);
    return run({"env", "-u", "DISPLAY", "-u", "WAYLAND_DISPLAY", "timeout", "300", HINDSIGHT_EXECUTABLE,
                "debug", path("boot.hst"), "--at", "begin", "--headless", "--script", path("window.script")});
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
  for (const char* panel : {"timeline", "code", "registers", "system", "memory", "walk", "stack", "console",
                            "log", "tasks", "modules", "devices", "events", "bookmarks"})
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
  EXPECT_THAT(lines[3], MatchesRegex("at [0-9]+ pc .* was last written here by [a-z].*"));
  EXPECT_EQ(lines[5], lines[0]);
  EXPECT_THAT(shown.text, HasSubstr("Linux version"));
}

TEST_F(WindowOnABoot, AScriptThatCannotBeCarriedOutSaysWhere) {
  const Outcome shown = show("seek 1000\nopen cellar\n");
  if (cannot_draw(shown)) GTEST_SKIP() << shown.text;

  EXPECT_EQ(shown.code, 3);
  EXPECT_THAT(shown.text, HasSubstr("window.script:2: open cellar: no such panel: cellar"));
}

}  // namespace
}  // namespace hindsight::tests
