#include "replay/snapshot/archive.h"

#include "tests/unit/replay/snapshot_fixture.h"
#include "traces/store/value.h"

namespace hindsight::tests {
namespace {

using replay::snapshot::Archive;
using replay::snapshot::Ladder;
using replay::snapshot::PageMap;
using replay::snapshot::Position;
using replay::snapshot::Snapshot;
using testing::HasSubstr;
using traces::store::TraceReader;

class ArchiveTest : public SnapshotTest {
 protected:
  std::unique_ptr<Archive> open(Replaying& replay) {
    auto archive = Archive::open(path_, replay.take());
    EXPECT_TRUE(archive) << archive.failure().message;
    return std::move(*archive);
  }
  void expect_sound() {
    auto trace = TraceReader::open(path_);
    ASSERT_TRUE(trace) << trace.failure().message;
    const Status checked = (*trace)->check_all();
    EXPECT_TRUE(checked) << checked.failure().message;
  }
};

TEST_F(ArchiveTest, ARecordingWithSnapshotsHasTheEventsAndDigestsOfOneWithout) {
  inputs_ = 0;  // the fake machine looks for input wherever it stops
  record(1);
  const auto all_of = [&] {
    const auto trace = std::move(*TraceReader::open(path_));
    std::vector<traces::store::Bytes> records;
    for (std::uint64_t i = 0; i < trace->digest_count(); ++i) records.push_back(encode(*trace->digest(i)));
    std::uint64_t events = 0;
    for (std::uint64_t i = 0; i < trace->chunk_count(); ++i) events += trace->chunk(i)->events.size();
    records.push_back(traces::store::key_of(events, trace->snapshot_count()));
    return records;
  };
  auto without = all_of();
  std::filesystem::remove(path_);
  record(1, 7'000);
  auto with = all_of();
  EXPECT_EQ(traces::store::number_in(with.back(), 8), 8u);
  EXPECT_EQ(traces::store::number_in(with.back(), 0), traces::store::number_in(without.back(), 0));
  with.pop_back();
  without.pop_back();
  EXPECT_TRUE(with == without);
  expect_sound();
}

TEST_F(ArchiveTest, ARecordingKnowsWhatWasTouchedFromItsBeginningToItsEnd) {
  record(1, 7'000);
  std::uint64_t written_up_to = 0, executed_up_to = 0, pages = 0;
  for (const auto& footprint : std::move(*TraceReader::open(path_))->footprints()) {
    EXPECT_NE(footprint.written.empty(), footprint.executed.empty());
    std::uint64_t& end = footprint.executed.empty() ? written_up_to : executed_up_to;
    EXPECT_EQ(footprint.from.icount.value, end);
    end = footprint.to.icount.value;
    const auto none = traces::store::Bytes(traces::store::kPageSetBytes);
    pages += !footprint.written.empty() && footprint.ram_written != none ? 1 : 0;
  }
  EXPECT_EQ(written_up_to, 60'000u);
  EXPECT_EQ(executed_up_to, 60'000u);
  EXPECT_GT(pages, 0u);
}

TEST_F(ArchiveTest, AFreshMachineGoesOnFromEachRecordedSnapshotAsTheRecordingDid) {
  record(2, 7'000);
  Replaying first(path_);
  const auto positions = open(first)->positions();
  ASSERT_EQ(positions.size(), 8u);
  for (const Position at : positions) {
    Replaying replay(path_);
    const auto snapshot = open(replay)->load(at);
    ASSERT_TRUE(snapshot) << snapshot.failure().message;
    replay.restore(*snapshot);
    EXPECT_EQ(replay.machine.now(), (*snapshot)->instant);
    replay.expect_agreement_until(Icount(60'000));
  }
}

TEST_F(ArchiveTest, ARecordedSnapshotEqualsTheOneThatAReplayTakesThere) {
  record(3, 9'000);
  Replaying replay(path_);
  const auto archive = open(replay);
  for (const Position at : archive->positions()) {
    const auto recorded = archive->load(at);
    ASSERT_TRUE(recorded) << recorded.failure().message;
    const auto taken = replay.take_at(at.icount.value);
    EXPECT_EQ((*recorded)->instant, taken->instant);
    EXPECT_EQ((*recorded)->border.event, taken->border.event);
    EXPECT_TRUE(std::ranges::equal((*recorded)->parts[0].bytes(), taken->parts[0].bytes()));
    for (std::uint64_t i = 0; i < taken->ram.page_count(); ++i) {
      EXPECT_EQ(std::memcmp((*recorded)->ram.bytes(i), taken->ram.bytes(i), kPageSize), 0) << "page " << i;
    }
  }
}

TEST_F(ArchiveTest, ASlowDiskMakesTheRecorderLeaveSnapshotsOutRatherThanWait) {
  // Back to back, the thread cannot keep up; what it writes must be right all the same.
  record(4, 50, Pace::hurried);
  expect_sound();
  Replaying replay(path_);
  const auto archive = open(replay);
  const auto positions = archive->positions();
  ASSERT_FALSE(positions.empty());
  EXPECT_LT(positions.size(), 1'200u);
  const auto snapshot = archive->load(positions.back());
  ASSERT_TRUE(snapshot) << snapshot.failure().message;
  replay.restore(*snapshot);
  replay.expect_agreement_until(Icount(60'000));
}

TEST_F(ArchiveTest, ASavedSnapshotIsThereForTheNextSession) {
  record(5);
  {
    Replaying replay(path_);
    const auto archive = open(replay);
    for (const std::uint64_t icount : {11'111u, 22'222u}) {
      const Status saved = archive->save(*replay.take_at(icount));
      ASSERT_TRUE(saved) << saved.failure().message;
    }
    // The reader that was open all the time still sees what it saw.
    replay.expect_agreement_until(Icount(60'000));
    EXPECT_TRUE(replay.trace->check_all());
    EXPECT_EQ(replay.trace->snapshot_count(), 0u);
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + "-lock"));
  expect_sound();
  Replaying next(path_);
  const auto snapshot = open(next)->load({Icount(22'222), 0});
  ASSERT_TRUE(snapshot) << snapshot.failure().message;
  next.restore(*snapshot);
  next.expect_agreement_until(Icount(60'000));
}

TEST_F(ArchiveTest, PagesThatTheTraceHasAreNotStoredAgain) {
  record(6, 20'000);
  const auto page_end = [&] { return *(*TraceReader::open(path_))->page_end(); };
  const std::uint64_t before = page_end();
  Replaying replay(path_);
  const auto archive = open(replay);
  ASSERT_EQ(replay.machine.run(Icount(20'000)), port::StopReason::reached);
  auto snapshot = std::make_shared<Snapshot>(*replay.take());
  snapshot->at.delivery = 1;  // a position of its own
  ASSERT_TRUE(archive->save(*snapshot));
  EXPECT_EQ(page_end(), before);
  EXPECT_EQ(archive->positions().size(), 4u);
  expect_sound();
}

TEST_F(ArchiveTest, ManySavesLeaveAReaderOfTheSameProcessUnharmed) {
  record(7);
  Replaying replay(path_);
  const auto archive = open(replay);
  for (std::uint64_t i = 1; i <= 40; ++i) {
    ASSERT_TRUE(archive->save(*replay.take_at(i * 300)));
    const Status sound = replay.trace->check_all();
    ASSERT_TRUE(sound) << "after " << i << ": " << sound.failure().message;
  }
  EXPECT_EQ(archive->positions().size(), 40u);
}

TEST_F(ArchiveTest, MarksAreSetReplacedAndRemoved) {
  record(8);
  {
    Replaying replay(path_);
    const auto archive = open(replay);
    ASSERT_TRUE(archive->set_mark({"boot", "the kernel starts", {Icount(100), 0}}));
    ASSERT_TRUE(archive->set_mark({"oops", "", {Icount(200), 2}}));
    ASSERT_TRUE(archive->set_mark({"boot", "later", {Icount(300), 0}}));
    ASSERT_TRUE(archive->set_mark({"gone", "", {Icount(400), 0}}));
    ASSERT_TRUE(archive->remove_mark("gone"));
    ASSERT_TRUE(archive->remove_mark("never there"));
  }
  expect_sound();
  const auto marks = (*TraceReader::open(path_))->marks();
  ASSERT_TRUE(marks);
  ASSERT_EQ(marks->size(), 2u);
  EXPECT_EQ((*marks)[0].name, "boot");
  EXPECT_EQ((*marks)[0].note, "later");
  EXPECT_EQ((*marks)[0].at, (traces::store::Place{Icount(300), 0}));
  EXPECT_EQ((*marks)[1].at, (traces::store::Place{Icount(200), 2}));
}

TEST_F(ArchiveTest, ATraceThatIsBeingRecordedIsNotEdited) {
  auto writer = traces::store::TraceWriter::create(path_, quick());
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->begin(traces::store::MachineConfig{}));
  const std::uint64_t transaction = (*TraceReader::open(path_))->transaction();
  const auto refused = traces::store::TraceEditor::open(path_, transaction);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.failure().message, HasSubstr("another program is writing it"));
}

TEST_F(ArchiveTest, ATraceThatChangedSinceItWasOpenedIsNotEdited) {
  record(9);
  Replaying replay(path_);
  const auto archive = open(replay);
  {
    Replaying other(path_);
    ASSERT_TRUE(open(other)->set_mark({"a", "", {}}));
  }
  const Status refused = archive->set_mark({"b", "", {}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.failure().message, HasSubstr("open it again"));
}

TEST_F(ArchiveTest, AnotherMachineAtPowerOnMakesASnapshotUnusable) {
  record(10, 20'000);
  Replaying replay(path_);
  replay.machine.fake_ram().write(5 * kPageSize, std::byte{1});
  const auto snapshot = open(replay)->load({Icount(20'000), 0});
  ASSERT_FALSE(snapshot);
  EXPECT_THAT(snapshot.failure().message, HasSubstr("RAM at power-on is not what it was"));
}

TEST_F(ArchiveTest, TheLadderBringsUpWhatTheTraceHas) {
  record(11, 20'000);
  Replaying replay(path_);
  const auto power_on = replay.take();
  const auto archive = std::move(*Archive::open(path_, power_on));
  Ladder ladder(std::uint64_t{1} << 20);
  ladder.insert(power_on);
  archive->announce(ladder);
  EXPECT_EQ(ladder.nearest({Icount(41'000), 0})->at, (Position{Icount(40'000), 0}));
  EXPECT_EQ(ladder.nearest({Icount(39'999), 0})->at, (Position{Icount(20'000), 0}));
}

}  // namespace
}  // namespace hindsight::tests
