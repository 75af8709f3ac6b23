// The window as a person uses it, with keys and the mouse: where they lead is compared with what the same
// actions do in a script. How it is rearranged is tests/replay/window_arranged_test.cc's.
#include "tests/replay/window_by_hand.h"

#include <gmock/gmock.h>

namespace hindsight::tests {
namespace {

using testing::HasSubstr;

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

TEST_F(WindowByHand, ThePalettesLastRowIsReachedWithTheArrow) {
  ASSERT_NO_FATAL_FAILURE(open("layout (row 0.5 [code] [memory* diff])\n"));
  if (IsSkipped()) return;

  screen_.key("Ctrl+P");
  for (int i = 0; i < 80; ++i) screen_.key("Down");  // more than there are
  screen_.key("Return");
  EXPECT_THAT(close(), HasSubstr("[memory diff*]"));
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
  for (const auto& [width, height] : {std::pair(1600, 1000), std::pair(1000, 600)}) {
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

  ASSERT_NO_FATAL_FAILURE(open("", {"--scale", "1"}));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(screen_.size().width, 1000);
  EXPECT_EQ(screen_.size().height, 600);
  EXPECT_EQ(pixel(997, 3), 0xFBFBFCU);
  EXPECT_EQ(close(), left);
}

}  // namespace
}  // namespace hindsight::tests
