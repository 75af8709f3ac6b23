// The window itself on a display that nobody sees. Skips where there is no Xvfb or no OpenGL.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "debugger/ui/window.h"
#include "tests/support/fake_session.h"

namespace hindsight::debugger::ui {
namespace {

using testing::HasSubstr;

/// An X server without a screen; DISPLAY names it while it is in scope.
class Display final {
 public:
  Display() {
    int ends[2];
    if (pipe(ends) != 0) return;
    server_ = fork();
    if (server_ == 0) {
      const int nowhere = open("/dev/null", O_RDWR);
      dup2(nowhere, STDERR_FILENO);
      dup2(ends[1], 3);
      execlp("Xvfb", "Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24", nullptr);
      _exit(127);
    }
    close(ends[1]);
    // Up to the line's end: a server that cannot write it gives up.
    std::string text;
    for (char c = 0; c != '\n' && read(ends[0], &c, 1) == 1;) text += c;
    ready_ = text.ends_with('\n');
    if (ready_) setenv("DISPLAY", (":" + text.substr(0, text.size() - 1)).c_str(), 1);
    close(ends[0]);
  }
  ~Display() {
    if (server_ > 0) {
      kill(server_, SIGTERM);
      waitpid(server_, nullptr, 0);
    }
    unsetenv("DISPLAY");
  }
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  pid_t server_ = -1;
  bool ready_ = false;
};

class UiWindow : public testing::Test {
 protected:
  static std::string path(const std::string& name) {
    return testing::TempDir() + fmt::format("ui_window_{}_{}", getpid(), name);
  }
  Status show(const std::string& script) {
    std::ofstream(path("script")) << script;
    return run_window(session, {.title = "test",
                                .script = path("script"),
                                .headless = true,
                                .width = 1000,
                                .height = 700,
                                .scale = 1});
  }
  tests::FakeSession session;
};

TEST_F(UiWindow, AScriptWalksTakesAPictureAndEnds) {
  const Display display;
  if (!display.ready()) GTEST_SKIP() << "Xvfb is not installed";
  std::filesystem::remove(path("a.png"));
  const Status shown = show("seek 31\nstep\nopen memory\nmemory 2000\nwait\nscreenshot " + path("a.png") +
                            "\ntheme light\nlast-write 2000 8\nprint frames\nquit\nfly\n");
  if (!shown && shown.failure().message.find("OpenGL") != std::string::npos)
    GTEST_SKIP() << shown.failure().message;

  EXPECT_TRUE(shown) << shown.failure().message;
  EXPECT_GT(std::filesystem::file_size(path("a.png")), 10'000U);
  EXPECT_EQ(session.now().icount.value, 31U);
}

TEST_F(UiWindow, APictureThatCannotBeWrittenIsSaidWithItsLine) {
  const Display display;
  if (!display.ready()) GTEST_SKIP() << "Xvfb is not installed";
  const Status shown = show("# nothing\nscreenshot /nowhere/a.png\n");
  if (!shown && shown.failure().message.find("OpenGL") != std::string::npos)
    GTEST_SKIP() << shown.failure().message;

  ASSERT_FALSE(shown);
  EXPECT_THAT(shown.failure().message,
              HasSubstr("script:2: screenshot /nowhere/a.png: /nowhere/a.png: cannot be"));
}

TEST_F(UiWindow, AScriptNeedsNoDisplay) {
  unsetenv("WAYLAND_DISPLAY");
  const Status shown = show("seek 31\nquit\n");
  if (!shown) GTEST_SKIP() << "nothing to draw with: " << shown.failure().message;

  EXPECT_EQ(session.now().icount.value, 31U);
}

TEST_F(UiWindow, AWindowForPeopleNeedsADisplayAndSaysSo) {
  unsetenv("DISPLAY");
  unsetenv("WAYLAND_DISPLAY");
  const Status shown = run_window(session, {.title = "test", .script = {}});

  ASSERT_FALSE(shown);
  EXPECT_THAT(shown.failure().message, HasSubstr("no display to open a window on"));
}

}  // namespace
}  // namespace hindsight::debugger::ui
