#include <gmock/gmock.h>

#include "debugger/ui/actions.h"
#include "debugger/ui/layout.h"

namespace hindsight::debugger::ui {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(UiLayout, TextAndBackIsTheSame) {
  const std::string text = "(column 0.230 [timeline*] (row 0.500 [code memory*] [console*]))";
  auto layout = Layout::parse(text);

  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->text(), text);
}

TEST(UiLayout, VisibleAreTheTabsInFront) {
  auto layout = Layout::parse("(row 0.5 [code memory*] [console])");

  ASSERT_TRUE(layout);
  EXPECT_THAT(layout->visible(), ElementsAre("memory", "console"));
}

TEST(UiLayout, ShowBringsATabToTheFront) {
  auto layout = Layout::parse("[code memory*]");

  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->show("code"));
  EXPECT_THAT(layout->visible(), ElementsAre("code"));
  EXPECT_FALSE(layout->show("nothing"));
}

TEST(UiLayout, AMovedPanelLeavesItsOldPlace) {
  auto layout = Layout::parse("(row 0.5 [code memory*] [console])");

  ASSERT_TRUE(layout);
  layout->move("code", "console");
  EXPECT_EQ(layout->text(), "(row 0.500 [memory*] [console code*])");
}

TEST(UiLayout, APlaceThatItsLastPanelLeftIsItsNeighbours) {
  auto layout = Layout::parse("(column 0.3 [timeline] (row 0.5 [code] [console]))");

  ASSERT_TRUE(layout);
  layout->move("code", "console");
  EXPECT_EQ(layout->text(), "(column 0.300 [timeline*] [console code*])");
  layout->move("timeline", "code");
  EXPECT_EQ(layout->text(), "[console code timeline*]");
}

TEST(UiLayout, TheTabInFrontStaysThereWhenAnotherLeaves) {
  auto layout = Layout::parse("(row 0.5 [code memory* walk] [console])");

  ASSERT_TRUE(layout);
  layout->move("code", "console");
  EXPECT_EQ(layout->text(), "(row 0.500 [memory* walk] [console code*])");
}

TEST(UiLayout, APanelTakesTheHalfOfAPlaceThatItIsGiven) {
  auto layout = Layout::parse("(row 0.4 [code memory*] [console])");

  ASSERT_TRUE(layout);
  layout->split("code", "console", Layout::Side::above);
  EXPECT_EQ(layout->text(), "(row 0.400 [memory*] (column 0.500 [code*] [console*]))");
  layout->split("memory", "code", Layout::Side::right);
  EXPECT_EQ(layout->text(), "(column 0.500 (row 0.500 [code*] [memory*]) [console*])");
}

TEST(UiLayout, APanelIsTakenOutBesideThoseItWasWith) {
  auto layout = Layout::parse("(row 0.4 [code memory*] [console])");

  ASSERT_TRUE(layout);
  layout->split("memory", "memory", Layout::Side::left);
  EXPECT_EQ(layout->text(), "(row 0.400 (row 0.500 [memory*] [code*]) [console*])");
  layout->split("memory", "memory", Layout::Side::left);  // it is alone there
  EXPECT_EQ(layout->text(), "(row 0.400 (row 0.500 [memory*] [code*]) [console*])");
}

TEST(UiLayout, AClosedPanelOpensAmongItsUsualNeighbours) {
  auto layout = Layout::parse("(row 0.4 [code memory*] [registers])");

  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->close("code"));
  EXPECT_FALSE(layout->close("code"));
  EXPECT_EQ(layout->text(), "(row 0.400 [memory*] [registers*])");
  layout->add("walk");  // the standard layout has it beside memory
  EXPECT_EQ(layout->text(), "(row 0.400 [memory walk*] [registers*])");
  EXPECT_TRUE(layout->close("memory"));
  EXPECT_TRUE(layout->close("walk"));
  EXPECT_FALSE(layout->close("registers")) << "the last one stays";
}

TEST(UiLayout, DamagedTextIsRefused) {
  for (const char* text :
       {"", "(row 0.5 [code])", "(circle 0.5 [a] [b])", "[code", "[code] more", "[]", "(row 0.5 [code] [])"})
    EXPECT_FALSE(Layout::parse(text)) << text;
  EXPECT_FALSE(Layout::parse(std::string(100'000, '(')));
  EXPECT_THAT(Layout::parse("[code").failure().message, HasSubstr("layout such as"));
}

TEST(UiLayout, TheStandardOneHasEveryPanel) {
  const std::string text = Layout::standard().text();

  for (const PanelName& panel : panel_names()) EXPECT_THAT(text, HasSubstr(std::string(panel.name)));
}

}  // namespace
}  // namespace hindsight::debugger::ui
