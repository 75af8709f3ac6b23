// A kernel module's panic (tests/guests/bug) with the module's debug information: its source line below the
// kernel's handlers, its variables, the walk back to the cause, and the window that shows them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <png.h>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kBadSeed = "15";  // for the kernel and the RAM disk that `prepare` calls pinned

class SourceOfAPanic : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const Outcome prepared = run({HINDSIGHT_GUESTS "/bug/prepare"});
    if (prepared.code == 77) GTEST_SKIP() << prepared.text;
    ASSERT_EQ(prepared.code, 0) << prepared.text;
    if (value(prepared.text, "BUG_PINNED") != "yes")
      GTEST_SKIP() << "another kernel or compiler than the one that the seeds were found with";
    initrd_ = value(prepared.text, "BUG_INITRD");
    module_ = value(prepared.text, "RING_KO");
    const Outcome recorded = run(record("t.trace", "oops=panic quiet", {"--seed", kBadSeed}));
    ASSERT_THAT(recorded.text, HasSubstr("RIP: 0010:ring_show+0x"));
  }

  Outcome show(std::vector<std::string> words) {
    words.insert(words.begin(), {"show", path("t.trace")});
    words.insert(words.end(), {"--symbols", module_});
    return hindsight(words);
  }
  Outcome window(const std::string& script) {
    write("window.script", script);
    return hindsight({"debug", path("t.trace"), "--symbols", module_, "--source-dir", HINDSIGHT_ROOT,
                      "--headless", "--script", path("window.script")});
  }

  std::string module_;  ///< with its debug information

 private:
  static std::string value(const std::string& lines, const std::string& name) {
    const std::size_t at = lines.find("\n" + name + "=") + name.size() + 2;
    return lines.substr(at, lines.find('\n', at) - at);
  }
};

TEST_F(SourceOfAPanic, TheLineAndVariablesOfTheModuleAreTold) {
  const Outcome stack = show({"stack"});
  EXPECT_EQ(stack.code, 0);
  EXPECT_THAT(stack.text, ContainsRegex("  ring_show at tests/guests/bug/ring.c:[0-9]+  interrupted here\n"));
  EXPECT_THAT(stack.text, HasSubstr("  panic+0x"));

  const Outcome variables = show({"variables"});
  EXPECT_EQ(variables.code, 0);
  EXPECT_THAT(variables.text, ContainsRegex("\nout = 0xffff[0-9a-f]+  \\(struct seq_file \\*\\)"));
  EXPECT_THAT(
      variables.text,
      ContainsRegex("\nbucket = 0x[0-9a-f]+  nothing can be read there  \\(const struct bucket \\*\\)"));
  EXPECT_THAT(variables.text, ContainsRegex("\n    fill = [0-9]+  \\(u32\\)"));
}

TEST_F(SourceOfAPanic, WhatIsNoUseIsSaid) {
  const Outcome too_early =
      hindsight({"show", path("t.trace"), "stack", "--at", "1000", "--symbols", module_});
  EXPECT_THAT(too_early.text, HasSubstr("ring.ko: "));
  const Outcome no_file = hindsight({"show", path("t.trace"), "stack", "--symbols", "/nowhere/vmlinux"});
  EXPECT_EQ(no_file.code, 3);
  EXPECT_THAT(no_file.text, HasSubstr("/nowhere/vmlinux: No such file or directory"));
}

TEST_F(SourceOfAPanic, TheWindowGoesBackToTheLineAndFromThereToTheCause) {
  const Outcome shown = window(
      "seek end\nback-line\nprint\nwait\n"
      "screenshot " +
      path("line.png") +
      "\n"
      "break ring.c:87\nreverse-continue\nprint\nback-line\nstep-line\nprint\n");
  if (shown.code != 0 && shown.text.find("OpenGL") != std::string::npos) GTEST_SKIP() << shown.text;

  ASSERT_EQ(shown.code, 0) << shown.text;
  EXPECT_THAT(shown.text,
              ContainsRegex("at [0-9]+ pc ffffffffc[0-9a-f]+ ring_show\\+0x[0-9a-f]+ \\[ring\\]"));
  const std::size_t second = shown.text.find("ring_tick+0x");
  ASSERT_NE(second, std::string::npos) << shown.text;
  // A line back and a line on again is the same place.
  const std::size_t line = shown.text.rfind('\n', second) + 1;
  const std::string place = shown.text.substr(line, shown.text.find(" rax", line) - line);
  EXPECT_THAT(shown.text.substr(second), HasSubstr(place));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_file(&image, path("line.png").c_str()), 0);
  EXPECT_EQ(image.width, 1600U);
  png_image_free(&image);
}

}  // namespace
}  // namespace hindsight::tests
