#include <random>

#include "tests/unit/replay/snapshot_fixture.h"

namespace hindsight::tests {
namespace {

using replay::snapshot::PageMap;
using replay::snapshot::Snapshot;
using testing::HasSubstr;

void expect_equal(const traces::store::Digest& a, const traces::store::Digest& b) {
  EXPECT_EQ(a.at, b.at);
  EXPECT_EQ(a.ram, b.ram);
  ASSERT_EQ(a.parts.size(), b.parts.size());
  for (std::size_t i = 0; i < a.parts.size(); ++i) EXPECT_EQ(a.parts[i].hash, b.parts[i].hash);
}

TEST_F(SnapshotTest, RestoringGivesTheMachineAsItWas) {
  record(1);
  Replaying replay(path_);
  const auto early = replay.take_at(12'345);
  const auto state = replay.digest();
  ASSERT_EQ(replay.machine.run(Icount(40'000)), port::StopReason::reached);
  replay.restore(early);
  expect_equal(replay.digest(), state);
  replay.expect_agreement_until(Icount(55'000));
}

TEST_F(SnapshotTest, AFreshMachineTakesOverAnothersSnapshot) {
  record(2);
  Replaying first(path_), second(path_);
  const auto snapshot = first.take_at(30'000);
  second.restore(snapshot);
  expect_equal(second.digest(), first.digest());
  second.expect_agreement_until(Icount(55'000));
}

TEST_F(SnapshotTest, ARandomWalkAmongSnapshotsAlwaysComesBackToTheSameStates) {
  record(3);
  Replaying replay(path_);
  std::mt19937_64 random(3);
  std::vector<std::pair<std::shared_ptr<const Snapshot>, traces::store::Digest>> known;
  known.emplace_back(replay.take(), replay.digest());
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t here = replay.machine.now().icount.value;
    if (random() % 2 == 0 && here + 3'000 < 60'000) {
      auto snapshot = replay.take_at(here + 1 + random() % 3'000);
      known.emplace_back(std::move(snapshot), replay.digest());
    } else {
      const auto& [snapshot, state] = known[random() % known.size()];
      replay.restore(snapshot);
      expect_equal(replay.digest(), state);
    }
  }
  for (const auto& [snapshot, state] : known) {
    replay.restore(snapshot);
    expect_equal(replay.digest(), state);
  }
}

TEST_F(SnapshotTest, SnapshotsShareThePagesThatDidNotChange) {
  record(4);
  Replaying replay(path_);
  const auto first = replay.take_at(10'000);
  const auto second = replay.take_at(10'020);
  std::uint64_t changed = 0;
  PageMap::for_each_difference(first->ram, second->ram, [&](std::uint64_t) { changed++; });
  EXPECT_LE(changed, 20u);
  EXPECT_LT(second->bytes_beyond(first.get()), first->bytes_beyond(nullptr) / 2);
}

TEST_F(SnapshotTest, TheFirstSnapshotOfAMachineAtPowerOnHoldsNoPages) {
  record(5);
  Replaying replay(path_);
  EXPECT_LT(replay.take()->bytes_beyond(nullptr), 4096u);
}

TEST_F(SnapshotTest, OnlyPagesThatDifferAreWrittenBack) {
  record(6);
  Replaying replay(path_);
  const auto first = replay.take_at(20'000);
  const std::byte old = replay.machine.ram().page(3)[7];
  replay.machine.fake_ram().write(3 * kPageSize + 7, old ^ std::byte{1});
  replay.machine.fake_ram().write(9 * kPageSize, replay.machine.ram().page(9)[0]);  // changes nothing
  const std::uint32_t before = replay.machine.ram().end_epoch();
  replay.restore(first);
  std::vector<std::uint64_t> written;
  replay.machine.ram().for_each_dirty_after(before, [&](std::uint64_t index) { written.push_back(index); });
  EXPECT_THAT(written, testing::ElementsAre(3));
}

TEST_F(SnapshotTest, ASnapshotOfAnotherMachineIsRefusedAndLeavesTheMachineAlone) {
  record(7);
  Replaying replay(path_);
  const auto snapshot = replay.take_at(20'000);
  const auto state = replay.digest();

  Snapshot other = *snapshot;
  other.ram = PageMap(65);
  Status refused = replay.snapshots.restore(std::make_shared<Snapshot>(other));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.failure().message, HasSubstr("RAM pages expected"));

  other = *snapshot;
  other.parts[0].name = "cpu9";
  refused = replay.snapshots.restore(std::make_shared<Snapshot>(other));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.failure().message, HasSubstr("'cpu0' expected, found 'cpu9'"));

  other = *snapshot;
  auto words = kj::heapArray<capnp::word>(1);
  std::memset(words.asBytes().begin(), 0xff, sizeof(capnp::word));
  other.parts[0].words = std::make_shared<const kj::Array<capnp::word>>(std::move(words));
  refused = replay.snapshots.restore(std::make_shared<Snapshot>(other));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.failure().message, HasSubstr("sound state of the part 'cpu0'"));
  expect_equal(replay.digest(), state);
}

TEST(PageMap, AMapOfZerosHasNoPages) {
  const PageMap map(1000);
  EXPECT_EQ(map.page(999), nullptr);
  EXPECT_TRUE(replay::snapshot::is_zero_page(map.bytes(999)));
}

TEST(PageMap, ChangingACopyLeavesTheOriginal) {
  std::vector<std::byte> contents(kPageSize, std::byte{1});
  PageMap map(200);
  map.set(100, replay::snapshot::copy_page(contents.data()));
  PageMap copy = map;
  contents[0] = std::byte{2};
  copy.set(100, replay::snapshot::copy_page(contents.data()));
  copy.set(101, replay::snapshot::copy_page(contents.data()));
  EXPECT_EQ(map.bytes(100)[0], std::byte{1});
  EXPECT_EQ(map.page(101), nullptr);
  EXPECT_EQ(copy.bytes(100)[0], std::byte{2});
  std::vector<std::uint64_t> different;
  PageMap::for_each_difference(map, copy, [&](std::uint64_t index) { different.push_back(index); });
  EXPECT_THAT(different, testing::ElementsAre(100, 101));
}

TEST(PageMap, APageOfZerosButForItsLastByteIsKept) {
  std::vector<std::byte> contents(kPageSize);
  EXPECT_EQ(replay::snapshot::copy_page(contents.data()), nullptr);
  contents.back() = std::byte{1};
  ASSERT_NE(replay::snapshot::copy_page(contents.data()), nullptr);
}

}  // namespace
}  // namespace hindsight::tests
