// The window as a person rearranges it: tabs and grips are clicked and dragged, panels closed and opened
// again, the window made small and large, and at another scale. What came of it is what the window
// leaves for the next.
#include <gmock/gmock.h>

#include "tests/replay/window_by_hand.h"

namespace hindsight::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Four panels in three places.
constexpr const char* kFour = "(column 0.400 [timeline*] (row 0.500 [code* memory] [console*]))";

std::string kept(const std::string& layout) { return "theme dark\nlayout " + layout + "\n"; }

TEST_F(WindowByHand, ATabThatIsClickedComesToTheFront) {
  const auto at = places(kFour);
  ASSERT_TRUE(at.contains("tab memory"));
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  click(at.at("tab memory"));
  EXPECT_THAT(close(), HasSubstr("[code memory*]"));
}

TEST_F(WindowByHand, TabsAreDraggedAmongOthersAndToASideAndTheLastOneLeavesNoHole) {
  const std::string among = "(column 0.400 [timeline*] (row 0.500 [code*] [console memory*]))";
  const std::string side =
      "(column 0.400 [timeline*] (row 0.500 (column 0.500 [code*] [memory*]) [console*]))";
  const std::string left = "(column 0.400 [timeline*] (column 0.500 [code console*] [memory*]))";
  const auto at_first = places(kFour), at_among = places(among), at_side = places(side);
  ASSERT_TRUE(at_side.contains("panel code"));
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  const Place& tab = at_first.at("tab console");
  drag(at_first.at("tab memory"), tab.x(), tab.y());
  // From there to the lower part of the code, which it then has a half of.
  const Place& code = at_among.at("panel code");
  drag(at_among.at("tab memory"), code.x(), code.bottom - 10);
  // The console into the middle of what is left of the code; the others get its place.
  const Place& middle = at_side.at("panel code");
  drag(at_side.at("tab console"), middle.x(), middle.y());
  EXPECT_THAT(close(), HasSubstr("layout " + left + "\n"));
}

TEST_F(WindowByHand, ATabThatIsLetGoWhereItWasStays) {
  const auto at = places(kFour);
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  const Place& tab = at.at("tab code");
  drag(tab, tab.x() + 15, tab.y());
  drag(tab, at.at("position").x(), at.at("position").y());  // nothing takes it there
  EXPECT_THAT(close(), HasSubstr(kFour));
}

TEST_F(WindowByHand, PanelsAreClosedAndOpenedAgain) {
  const auto at = places(kFour);
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  palette("close code");
  palette("close cons");  // as far as it is no other's
  palette("open code");   // among those that it stands beside in the standard layout; they are gone
  EXPECT_THAT(close(), HasSubstr("layout (column 0.400 [timeline*] [memory code*])\n"));

  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  click(at.at("tab memory"), 2);
  EXPECT_THAT(close(), HasSubstr("(row 0.500 [code*] [console*])"));
}

TEST_F(WindowByHand, GripsFollowTheMouseAndLeaveRoomForTabs) {
  const auto at = places(kFour);
  const Place grip = at.at("grip 1");
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  drag(grip, grip.x(), grip.y() + 83);
  // Beyond the edge and back again: it is where the mouse is.
  screen_.move(grip.x(), grip.y() + 83);
  screen_.press();
  for (const int y : {200, 60, 1, 40, 150, 300}) screen_.move(grip.x(), y);
  screen_.move(grip.x(), grip.y() + 50);
  screen_.release();
  const std::string left = close();
  float share = 0;
  ASSERT_EQ(std::sscanf(left.c_str() + left.find("(column"), "(column %f", &share), 1) << left;
  const int whole = at.at("panel code").bottom - at.at("tab timeline").top - (grip.bottom - grip.top);
  EXPECT_NEAR(share, 0.4 + 50.0 / whole, 1.5 / whole);

  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  drag(grip, grip.x(), 1);
  const std::string high = close();
  ASSERT_EQ(std::sscanf(high.c_str() + high.find("(column"), "(column %f", &share), 1) << high;
  EXPECT_NEAR(share, 60.0 / whole, 1.5 / whole);
}

TEST_F(WindowByHand, MadeTinyAndLargeAgainItKeepsItsLayout) {
  const auto at = places(kFour);
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour)));
  if (IsSkipped()) return;

  for (const auto& [width, height] : {std::pair(200, 120), std::pair(640, 90), std::pair(90, 640)}) {
    screen_.resize(width, height);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  screen_.resize(1280, 900);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  click(at.at("back"));
  EXPECT_EQ(until_at("499999999"), "499999999");
  EXPECT_EQ(close(), "size 1280x900\n" + kept(kFour));
}

TEST_F(WindowByHand, ALayoutThatCannotBeIsLeftForTheStandardOne) {
  ASSERT_NO_FATAL_FAILURE(
      open("size 1x99999\ntheme light\nlayout (row 0.5 [code] [cellar])\n", {"--scale", "1"}));
  if (IsSkipped()) return;
  const std::string left = close();
  EXPECT_THAT(left, HasSubstr("theme light\n"));
  EXPECT_THAT(left, HasSubstr("[code* source]"));
  EXPECT_THAT(left, Not(HasSubstr("1x99999")));
}

TEST_F(WindowByHand, WhatALargerScreenLeftIsMadeToFit) {
  ASSERT_NO_FATAL_FAILURE(open("size 3840x800\n", {"--scale", "1"}));
  if (IsSkipped()) return;
  EXPECT_EQ(screen_.size().width, kScreenWidth);
  EXPECT_EQ(screen_.size().height, 800);
  close();
}

TEST_F(WindowByHand, TheRulerScrubsTheOverviewMovesTheViewAndPointingTellsWhatIsThere) {
  const std::string layout = "(column 0.450 [timeline*] [memory*])";
  const auto at = places(layout);
  const Place ruler = at.at("timeline ruler"), lanes = at.at("timeline lanes"),
              overview = at.at("timeline overview");
  ASSERT_NO_FATAL_FAILURE(open(kept(layout)));
  if (IsSkipped()) return;
  const double all = 600'000'000;
  const auto share = [&](int x) { return static_cast<double>(x - ruler.left) / (ruler.right - ruler.left); };

  const double close_to = all / 500;
  screen_.drag(ruler.left + 100, ruler.y(), ruler.x(), ruler.y());
  EXPECT_NEAR(until_near(share(ruler.x()) * all, close_to), share(ruler.x()) * all, close_to);
  // A tenth of it is shown, and then another tenth.
  palette("zoom 0..60000000");
  screen_.drag(overview.left + 20, overview.y(), overview.x(), overview.y());
  screen_.click(ruler.left + 1, ruler.y());
  const double left = share(overview.x()) * all - 30e6;
  EXPECT_NEAR(until_near(left, close_to), left, close_to);

  // A box of words beside the mouse, as long as it rests there.
  const auto beside = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    return pixel(lanes.x() + 24, lanes.bottom + 8);
  };
  screen_.move(at.at("panel memory").x(), 890);
  const std::uint32_t away = beside();
  screen_.move(lanes.x(), lanes.bottom - 20);
  EXPECT_NE(beside(), away);
  screen_.move(at.at("panel memory").x(), 890);
  EXPECT_EQ(beside(), away);
  close();
}

TEST_F(WindowByHand, TwiceAsLargeEverythingIsWhereItIsSeen) {
  const auto at = places(kFour, "1280x900", "2"), small = places(kFour);
  EXPECT_EQ(at.at("tab code").bottom - at.at("tab code").top,
            2 * (small.at("tab code").bottom - small.at("tab code").top));
  ASSERT_NO_FATAL_FAILURE(open(kept(kFour), {"--size", "1280x900", "--scale", "2"}));
  if (IsSkipped()) return;

  click(at.at("back"));
  EXPECT_EQ(until_at("499999999"), "499999999");
  click(at.at("tab memory"));
  const Place& grip = at.at("grip 1");
  drag(grip, grip.x(), grip.y() + 40);
  const std::string left = close();
  EXPECT_THAT(left, HasSubstr("[code memory*]"));
  EXPECT_THAT(left, Not(HasSubstr("(column 0.400")));
}

TEST_F(WindowByHand, TheFirstWindowFitsTheScreenAtItsScale) {
  ASSERT_NO_FATAL_FAILURE(open("", {"--scale", "2"}));
  if (IsSkipped()) return;
  const auto size = screen_.size();
  // 3200 by 2000 would be meant.
  EXPECT_EQ(size.width, kScreenWidth * 94 / 100);
  EXPECT_EQ(size.height, kScreenHeight * 94 / 100);
  const auto at = places("standard", fmt::format("{}x{}", size.width, size.height), "2");

  click(at.at("back"));
  EXPECT_EQ(until_at("499999999"), "499999999");
  close();
}

}  // namespace
}  // namespace hindsight::tests
