#include "replay/snapshot/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace hindsight::replay::snapshot {
namespace {

using testing::ElementsAre;

Position at(std::uint64_t icount) { return {Icount(icount), 0}; }

/// A snapshot of 64 pages of its own.
std::shared_ptr<const Snapshot> snapshot_at(std::uint64_t icount) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->at = at(icount);
  snapshot->ram = PageMap(64);
  const std::vector<std::byte> contents(kPageSize, std::byte{1});
  for (std::uint64_t i = 0; i < 64; ++i) snapshot->ram.set(i, copy_page(contents.data()));
  return snapshot;
}

constexpr std::uint64_t kOne = 270'000;  // a little more than such a snapshot takes

TEST(Ladder, NearestIsTheLastAtOrBefore) {
  Ladder ladder(100 * kOne);
  EXPECT_EQ(ladder.nearest(at(5)), nullptr);
  for (const std::uint64_t icount : {0, 100, 200}) ladder.insert(snapshot_at(icount));
  EXPECT_EQ(ladder.nearest(at(99))->at, at(0));
  EXPECT_EQ(ladder.nearest(at(100))->at, at(100));
  EXPECT_EQ(ladder.nearest({Icount(100), 3})->at, at(100));
  EXPECT_EQ(ladder.nearest(at(1'000))->at, at(200));
}

TEST(Ladder, StaysWithinItsBudgetAndKeepsPowerOn) {
  Ladder ladder(10 * kOne);
  for (std::uint64_t i = 0; i < 100; ++i) {
    ladder.set_cursor(at(i * 100));
    ladder.insert(snapshot_at(i * 100));
    EXPECT_LE(ladder.bytes(), 10 * kOne);
  }
  const std::vector<Position> kept = ladder.positions();
  EXPECT_GE(kept.size(), 9u);
  EXPECT_EQ(kept.front(), at(0));
}

TEST(Ladder, WhatSomebodyStartedFromIsWorthKeepingWhereTheTraceHasNothingNear) {
  Ladder ladder(100 * kOne);
  for (const std::uint64_t icount : {0, 100, 200, 300, 400}) ladder.insert(snapshot_at(icount));
  ladder.insert_stored(at(250), [] { return Result<std::shared_ptr<const Snapshot>>(snapshot_at(250)); });
  for (const std::uint64_t icount : {100, 300, 400}) (void)ladder.nearest(at(icount));

  std::vector<Position> kept;
  for (const auto& snapshot : ladder.useful(100)) kept.push_back(snapshot->at);

  EXPECT_THAT(kept, ElementsAre(at(100), at(400)));
}

TEST(Ladder, AnotherOneGetsWhatIsInMemoryOfBeforeTheEnd) {
  Ladder ladder(100 * kOne), other(100 * kOne);
  for (const std::uint64_t icount : {0, 100, 200}) ladder.insert(snapshot_at(icount));
  ladder.insert_stored(at(50), [] { return Result<std::shared_ptr<const Snapshot>>(snapshot_at(50)); });
  const auto footprint = [](std::uint64_t from, std::uint64_t to) {
    auto known = std::make_shared<Footprint>();
    known->from = at(from);
    known->to = at(to);
    return known;
  };
  ladder.insert(footprint(0, 100));
  ladder.insert(footprint(100, 200));

  ladder.copy_to(other, {Icount(200), 1});

  EXPECT_THAT(other.positions(), ElementsAre(at(0), at(100)));
  EXPECT_EQ(other.nearest(at(100)), ladder.nearest(at(100))) << "shared";
  ASSERT_EQ(other.footprints(at(0), at(1'000)).size(), 1U);
  EXPECT_EQ(other.footprints(at(0), at(1'000)).front()->to, at(100));
}

TEST(Ladder, KeepsWhatTwoFootprintsOfOneStretchTell) {
  Ladder ladder(1'000'000);
  const auto insert = [&](bool written, bool executed) {
    auto footprint = std::make_shared<Footprint>();
    footprint->from = at(100);
    footprint->to = at(200);
    footprint->tells_written = written;
    footprint->tells_executed = executed;
    ladder.insert(std::move(footprint));
  };
  insert(true, false);
  EXPECT_FALSE(ladder.tells_executed(at(150), 100));
  insert(false, true);
  insert(false, true);
  EXPECT_EQ(ladder.footprints(at(0), at(101)).size(), 2u);
  EXPECT_TRUE(ladder.tells_executed(at(100), 100));
  EXPECT_FALSE(ladder.tells_executed(at(100), 99));
  EXPECT_FALSE(ladder.tells_executed(at(99), 200));
  EXPECT_FALSE(ladder.tells_executed(at(200), 100));
}

TEST(Ladder, IsDenseNearTheCursorAndSparseFarAway) {
  Ladder ladder(16 * kOne);
  ladder.set_cursor(at(50'000));
  for (std::uint64_t i = 0; i <= 100; ++i) ladder.insert(snapshot_at(i * 1'000));
  const std::vector<Position> kept = ladder.positions();
  std::size_t near = 0;
  for (const Position position : kept) {
    near += position.icount.value >= 45'000 && position.icount.value <= 55'000;
  }
  EXPECT_GE(near, 4u);
  // Wherever one goes, a start is not too far.
  for (std::size_t i = 1; i < kept.size(); ++i) {
    EXPECT_LE(kept[i].icount - kept[i - 1].icount, 40'000u);
  }
}

TEST(Ladder, AStoredSnapshotIsReadWhenItIsWantedAndOnlyThen) {
  Ladder ladder(100 * kOne);
  ladder.insert(snapshot_at(0));
  int loads = 0;
  ladder.insert_stored(at(500), [&]() -> Result<std::shared_ptr<const Snapshot>> {
    loads++;
    return snapshot_at(500);
  });
  EXPECT_EQ(ladder.nearest(at(499))->at, at(0));
  EXPECT_EQ(loads, 0);
  EXPECT_EQ(ladder.nearest(at(501))->at, at(500));
  EXPECT_EQ(ladder.nearest(at(502))->at, at(500));
  EXPECT_EQ(loads, 1);
  EXPECT_THAT(ladder.stored_positions(), ElementsAre(at(500)));
}

TEST(Ladder, AStoredSnapshotLeavesMemoryButNotTheLadder) {
  Ladder ladder(3 * kOne);
  ladder.insert(snapshot_at(0));
  ladder.insert_stored(at(500), [] { return Result(snapshot_at(500)); });
  ladder.insert(snapshot_at(500));
  for (std::uint64_t i = 1; i < 20; ++i) {
    ladder.set_cursor(at(10'000 + i * 100));
    ladder.insert(snapshot_at(10'000 + i * 100));
  }
  EXPECT_LE(ladder.bytes(), 3 * kOne);
  EXPECT_THAT(ladder.stored_positions(), ElementsAre(at(500)));
  EXPECT_EQ(ladder.nearest(at(600))->at, at(500));
  EXPECT_LE(ladder.bytes(), 3 * kOne);
}

TEST(Ladder, ADamagedStoredSnapshotIsPassedOver) {
  Ladder ladder(100 * kOne);
  ladder.insert(snapshot_at(0));
  ladder.insert_stored(at(500),
                       []() -> Result<std::shared_ptr<const Snapshot>> { return error("a bit flipped"); });
  EXPECT_EQ(ladder.nearest(at(600))->at, at(0));
  EXPECT_EQ(ladder.nearest(at(600))->at, at(0));
}

TEST(Ladder, SharedPagesAreCountedOnce) {
  Ladder ladder(100 * kOne);
  const auto first = snapshot_at(0);
  ladder.insert(first);
  const std::uint64_t alone = ladder.bytes();
  auto second = std::make_shared<Snapshot>(*first);
  second->at = at(10);
  ladder.insert(second);
  EXPECT_LT(ladder.bytes(), alone + 4096);
}

TEST(Ladder, ManyThreadsShareOne) {
  Ladder ladder(5 * kOne);
  ladder.insert(snapshot_at(0));
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&ladder, t] {
      for (std::uint64_t i = 0; i < 40; ++i) {
        ladder.insert(snapshot_at(1 + t * 1'000 + i * 7));
        EXPECT_NE(ladder.nearest(at(i * 100)), nullptr);
      }
    });
  }
}

}  // namespace
}  // namespace hindsight::replay::snapshot
