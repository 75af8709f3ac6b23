#include "replay/timeline/scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hindsight::replay::timeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Position at(std::uint64_t icount) { return {Icount{icount}, 0}; }

MATCHER_P2(Stretch, from, to, "") { return arg.from == at(from) && arg.to == at(to); }

std::shared_ptr<snapshot::Footprint> footprint(std::uint64_t from, std::uint64_t to) {
  auto made = std::make_shared<snapshot::Footprint>();
  made->from = at(from);
  made->to = at(to);
  return made;
}

Condition breakpoint_at(std::uint64_t address) {
  Condition condition;
  condition.breakpoint = Breakpoint{GuestVirt{address}};
  return condition;
}

Condition watch(engine::port::WatchRange range) {
  Condition condition;
  condition.watchpoint = Watchpoint{range};
  return condition;
}

TEST(Search, LeavesOutStretchesThatNeverExecutedTheBreakpointsLine) {
  const auto first = footprint(100, 200), second = footprint(200, 300);
  first->linear.executed.add(0x5100);
  second->linear.executed.add(0x5110);
  EXPECT_THAT(worth_searching({at(50), at(350)}, {breakpoint_at(0x5113)}, {first, second}, {}),
              ElementsAre(Stretch(50, 100), Stretch(200, 350)));
}

TEST(Search, LeavesOutNothingThatOneOfItsConditionsMayBeMetIn) {
  const auto known = footprint(0, 300);
  known->linear.written.add(0x7000);
  const Condition write = watch({.physical = false, .first = 0x6fff, .size = 2});
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint_at(0x5123)}, {known}, {}), IsEmpty());
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint_at(0x5123), write}, {known}, {}),
              ElementsAre(Stretch(0, 300)));
}

TEST(Search, TellsPhysicalFromLinearPages) {
  const auto known = footprint(0, 300);
  known->ram_written.add(0x7000);
  EXPECT_THAT(worth_searching({at(0), at(300)}, {watch({.physical = false, .first = 0x7000})}, {known}, {}),
              IsEmpty());
  EXPECT_THAT(worth_searching({at(0), at(300)}, {watch({.physical = true, .first = 0x7000})}, {known}, {}),
              ElementsAre(Stretch(0, 300)));
}

TEST(Search, LeavesOutNothingForReadsDevicesAndDeliveries) {
  Condition device, delivery;
  device.device = DeviceStop{};
  delivery.delivery = DeliveryStop{.interrupts = true};
  const Condition read = watch({.physical = true, .first = 0x7000, .read = true});
  for (const Condition& condition : {device, delivery, read})
    EXPECT_THAT(worth_searching({at(0), at(300)}, {condition}, {footprint(0, 300)}, {}),
                ElementsAre(Stretch(0, 300)));
}

TEST(Search, JoinsOverlappingFootprints) {
  EXPECT_THAT(worth_searching({at(150), at(500)}, {breakpoint_at(0x5123)},
                              {footprint(100, 200), footprint(120, 400), footprint(300, 450)}, {}),
              ElementsAre(Stretch(450, 500)));
}

TEST(Search, LeavesOutNothingThatAFootprintDoesNotTellOf) {
  const auto known = footprint(0, 300);
  known->tells_written = false;
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint_at(0x5123)}, {known}, {}), IsEmpty());
  EXPECT_THAT(worth_searching({at(0), at(300)}, {watch({.first = 0x7000})}, {known}, {}),
              ElementsAre(Stretch(0, 300)));
  known->tells_written = true;
  known->tells_executed = false;
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint_at(0x5123)}, {known}, {}),
              ElementsAre(Stretch(0, 300)));
}

TEST(Search, LeavesOutWhereTheSameConditionWasLookedForInVain) {
  const Condition breakpoint = breakpoint_at(0x5123), write = watch({.first = 0x7000});
  Searched searched;
  searched.add({breakpoint}, {at(100), at(200)});
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint}, {}, searched),
              ElementsAre(Stretch(0, 100), Stretch(200, 300)));
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint, write}, {}, searched),
              ElementsAre(Stretch(0, 300)));
  searched.add({write}, {at(50), at(150)});
  EXPECT_THAT(worth_searching({at(0), at(300)}, {breakpoint, write}, {}, searched),
              ElementsAre(Stretch(0, 100), Stretch(150, 300)));
}

TEST(Searched, TakesNeighboursForOneStretch) {
  const Condition breakpoint = breakpoint_at(0x5123);
  Searched searched;
  searched.add({breakpoint}, {at(30), at(40)});
  searched.add({breakpoint}, {at(10), at(20)});
  searched.add({breakpoint}, {at(60), at(70)});
  EXPECT_THAT(searched.without(breakpoint), ElementsAre(Stretch(10, 20), Stretch(30, 40), Stretch(60, 70)));
  searched.add({breakpoint}, {at(20), at(35)});
  EXPECT_THAT(searched.without(breakpoint), ElementsAre(Stretch(10, 40), Stretch(60, 70)));
  searched.add({breakpoint}, {at(0), at(80)});
  EXPECT_THAT(searched.without(breakpoint), ElementsAre(Stretch(0, 80)));
}

TEST(Searched, TellsConditionsApartByAllThatDecidesWhetherTheyAreMet) {
  const Condition write = watch({.first = 0x7000, .size = 8});
  Searched searched;
  searched.add({write}, {at(0), at(100)});
  Condition same = write;
  same.id = 7;
  EXPECT_THAT(searched.without(same), ElementsAre(Stretch(0, 100)));
  std::vector<Condition> others(6, write);
  others[0].watchpoint->range.physical = true;
  others[1].watchpoint->range.first = 0x7001;
  others[2].watchpoint->range.size = 4;
  others[3].watchpoint->range.read = true;
  others[4].watchpoint->only_changes = true;
  others[5].when = [](engine::port::Machine&) { return false; };
  for (const Condition& other : others) EXPECT_THAT(searched.without(other), IsEmpty());
  searched.add({others[5]}, {at(0), at(100)});
  EXPECT_THAT(searched.without(others[5]), IsEmpty());
}

TEST(Search, ReplaysWhatLiesBetweenTwoStretchesRatherThanComeThereTwice) {
  const std::vector<Interval> pieces = {{at(10), at(20)}, {at(30), at(40)}, {at(60), at(70)}};
  EXPECT_THAT(joined(pieces, {at(0)}), ElementsAre(Stretch(10, 70)));
  EXPECT_THAT(joined(pieces, {at(0), at(25), at(60)}),
              ElementsAre(Stretch(10, 20), Stretch(30, 40), Stretch(60, 70)));
  EXPECT_THAT(joined(pieces, {at(0), at(50)}), ElementsAre(Stretch(10, 40), Stretch(60, 70)));
}

}  // namespace
}  // namespace hindsight::replay::timeline
