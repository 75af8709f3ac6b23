#include <gmock/gmock.h>

#include "debugger/ui/activity_index.h"

namespace hindsight::debugger::ui {
namespace {

using session::Activity;
using session::Happening;
using testing::ElementsAre;

Happening interrupt(std::uint64_t icount, std::uint8_t vector = 0x20) {
  Happening what;
  what.kind = Happening::Kind::interrupt;
  what.vector = vector;
  what.at = {Icount{icount}, 0};
  return what;
}

Activity stretch(std::uint64_t from, std::uint64_t to, std::vector<Happening> all) {
  Activity activity;
  activity.from = {Icount{from}, 0};
  activity.to = {Icount{to}, 0};
  activity.all = std::move(all);
  return activity;
}

TEST(UiActivityIndex, DensityCountsWhatLiesInEachColumn) {
  ActivityIndex index;
  index.add(stretch(0, 100, {interrupt(0), interrupt(24), interrupt(25), interrupt(99)}));

  EXPECT_THAT(index.density(0, 0, 100, 4), ElementsAre(2, 1, 0, 1));
}

TEST(UiActivityIndex, DensityReachesOverStretches) {
  ActivityIndex index;
  index.add(stretch(0, 50, {interrupt(10), interrupt(49)}));
  index.add(stretch(50, 100, {interrupt(50), interrupt(90)}));

  EXPECT_THAT(index.density(0, 40, 60, 2), ElementsAre(1, 1));
}

TEST(UiActivityIndex, DensityOfAMillionHappeningsInOneColumnIsAMillion) {
  std::vector<Happening> all;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) all.push_back(interrupt(i));
  ActivityIndex index;
  index.add(stretch(0, 4'000'000, std::move(all)));

  EXPECT_THAT(index.density(0, 0, 4'000'000, 4), ElementsAre(1'000'000, 0, 0, 0));
}

TEST(UiActivityIndex, EachVectorHasALaneOfItsOwn) {
  ActivityIndex index;
  index.add(stretch(0, 100, {interrupt(1, 0x20), interrupt(2, 0xEC)}));

  ASSERT_EQ(index.lanes().size(), 2U);
  EXPECT_EQ(index.lanes()[1].name, "interrupt ec");
  EXPECT_EQ(index.total(1), 1U);
}

TEST(UiActivityIndex, TheNearestHappeningIsFoundOnEitherSideWithinReach) {
  ActivityIndex index;
  index.add(stretch(0, 50, {interrupt(10)}));
  index.add(stretch(50, 100, {interrupt(60)}));

  EXPECT_EQ(index.nearest(0, 40, 25), 60U);
  EXPECT_EQ(index.nearest(0, 30, 25), 10U);
  EXPECT_EQ(index.nearest(0, 90, 25), std::nullopt);
}

TEST(UiActivityIndex, InputsFromTheTraceAreALaneBesideWhatWasGathered) {
  ActivityIndex index;
  index.set_events({{{Icount{7}, 0}, VirtualTime{7}, "input", "serial0", 1, "x"}});
  index.add(stretch(0, 10, {interrupt(3)}));

  ASSERT_EQ(index.lanes().size(), 2U);
  EXPECT_THAT(index.density(0, 0, 10, 2), ElementsAre(0, 1));
  EXPECT_THAT(index.density(1, 0, 10, 2), ElementsAre(1, 0));
}

TEST(UiActivityIndex, ItemsComeInOrderAndNoMoreThanAskedFor) {
  ActivityIndex index;
  index.add(stretch(0, 50, {interrupt(10), interrupt(20)}));
  index.add(stretch(50, 100, {interrupt(60)}));

  const auto items = index.items(15, 100, 2);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].what->at.icount.value, 20U);
  EXPECT_EQ(items[1].what->at.icount.value, 60U);
  EXPECT_EQ(index.items(0, 100, 1).size(), 1U);
}

}  // namespace
}  // namespace hindsight::debugger::ui
