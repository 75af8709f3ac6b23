// Differences of fake machines and of their recordings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "replay/diff/machine_diff.h"
#include "replay/diff/parting.h"
#include "replay/diff/trace_diff.h"
#include "replay/record/record.h"
#include "replay/record/state_digest.h"
#include "tests/support/fake_machine.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::tests {
namespace {

namespace diff = replay::diff;
namespace store = traces::store;
namespace timeline = replay::timeline;
using port::Position;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct Fake {
  FakeHost host{1};
  FakeMachine machine{host, host, {}};
};

TEST(MachineDiff, OfMachinesThatDidTheSameIsEmpty) {
  Fake a, b;
  for (Fake* fake : {&a, &b}) fake->machine.run(Icount(5000));
  EXPECT_TRUE(diff::compare(a.machine, b.machine).empty());
}

TEST(MachineDiff, NamesThePartAndTheFields) {
  Fake a, b;
  b.machine.cpu.inputs = 0x20;
  const auto difference = diff::compare(a.machine, b.machine);
  ASSERT_THAT(difference.parts, SizeIs(1));
  EXPECT_EQ(difference.parts[0].part, "cpu0");
  ASSERT_THAT(difference.parts[0].fields, SizeIs(1));
  EXPECT_EQ(difference.parts[0].fields[0].field, "events");
  EXPECT_EQ(difference.parts[0].fields[0].a, "0x0");
  EXPECT_EQ(difference.parts[0].fields[0].b, "0x20");
}

TEST(MachineDiff, JoinsNeighbouringPagesAndCountsBytes) {
  Fake a, b;
  for (const std::uint64_t address : {4 * kPageSize, 5 * kPageSize + 7, 5 * kPageSize + 8, 9 * kPageSize})
    b.machine.fake_ram().write(address, std::byte{1});
  const auto difference = diff::compare(a.machine, b.machine);
  EXPECT_EQ(difference.pages, 3u);
  EXPECT_EQ(difference.bytes, 4u);
  ASSERT_THAT(difference.ranges, SizeIs(2));
  EXPECT_EQ(difference.ranges[0].first, 4u);
  EXPECT_EQ(difference.ranges[0].count, 2u);
  EXPECT_EQ(difference.ranges[0].bytes, 3u);
  EXPECT_EQ(difference.ranges[1].first, 9u);
}

TEST(ConsoleDiff, LeavesOutTheTimesOfLinuxAndNothingElse) {
  EXPECT_EQ(diff::without_times("[    0.000000] Linux\r\n[12.5] \n[  ] a\n[1.2 ] b\n[1] c\nx [1.2] d"),
            "Linux\r\n\n[  ] a\n[1.2 ] b\n[1] c\nx [1.2] d");
  EXPECT_EQ(diff::without_times("["), "[");
  EXPECT_EQ(diff::without_times("[ 1."), "[ 1.");
}

TEST(MachineDiff, ShowsTheWordsThatDifferTogether) {
  Fake a, b;
  for (const std::uint64_t address : {7, 8, 40}) b.machine.fake_ram().write(address, std::byte{1});
  const diff::Side side_a = diff::side_of(a.machine), side_b = diff::side_of(b.machine);
  std::vector<std::pair<std::uint64_t, std::size_t>> runs;
  diff::for_each_run(side_a, side_b, {0, 1, 3}, [&](const diff::ByteRun& run) {
    runs.emplace_back(run.offset, run.b.size());
    return true;
  });
  EXPECT_THAT(runs, ElementsAre(std::pair(0, 16), std::pair(40, 8)));
}

TEST(MachineDiff, ACopyStaysWhatTheMachineWas) {
  Fake a, b;
  for (Fake* fake : {&a, &b}) fake->machine.run(Icount(3000));
  const diff::Side before = diff::copy_of(a.machine);
  a.machine.run(Icount(6000));
  EXPECT_TRUE(diff::compare(before, diff::side_of(b.machine)).empty());
  EXPECT_FALSE(diff::compare(before, diff::side_of(a.machine)).empty());
}

TEST(MachineDiff, TellsThatOneHasMoreRam) {
  FakeHost host(1);
  FakeMachine small(host, host, {}), large(host, host, {.pages = 80, .sabotage = {}});
  large.cpu.walk = small.cpu.walk;
  const auto difference = diff::compare(small, large);
  EXPECT_EQ(difference.pages, 0u);
  EXPECT_FALSE(difference.empty());
}

/// From an instant on it says something else.
class OtherHost final : public port::NondetSource {
 public:
  OtherHost(FakeHost& host, Icount from) : host_(host), from_(from) {}
  void drain(port::Instant now, std::vector<port::Input>& out) override { host_.drain(now, out); }
  void sample(port::Instant now, port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override {
    host_.sample(now, channel, argument, out);
    if (now.icount >= from_) out[0] ^= std::byte{1};
  }
  port::Instant next_input() const override { return host_.next_input(); }
  VirtualTime idle(port::Instant now, VirtualTime deadline) override { return host_.idle(now, deadline); }

 private:
  FakeHost& host_;
  Icount from_;
};

class FakeReplay final : public timeline::ReplayMachine {
 public:
  explicit FakeReplay(replay::play::Player& player) : machine_(player, player, options()) {}
  port::Machine& machine() override { return machine_; }
  static FakeMachine::Options options() {
    FakeMachine::Options options;
    options.power_off_at = Icount(60'000);
    return options;
  }

 private:
  FakeMachine machine_;
};

class RecordingDiff : public testing::Test {
 protected:
  RecordingDiff() { std::filesystem::create_directories(folder_); }
  ~RecordingDiff() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void record(const std::string& name, Icount other_from = Icount::max(), Icount stop_at = Icount::max(),
              store::MachineConfig config = {}) const {
    FakeHost host(3);
    OtherHost source(host, other_from);
    store::WriterOptions quick;
    quick.sync = false;
    auto writer = store::TraceWriter::create(path(name), quick);
    ASSERT_TRUE(writer) << writer.failure().message;
    ASSERT_TRUE((*writer)->begin(config));
    replay::record::Recorder recorder(source, host, **writer);
    FakeMachine machine(recorder, recorder, FakeReplay::options());
    replay::record::RecordOptions options;
    options.digest_interval = options.full_state_interval = 5'000;
    options.stop_at = stop_at;
    ASSERT_TRUE(replay::record::record_machine(machine, recorder, **writer, options));
  }
  [[nodiscard]] diff::TraceDifference compare(const std::string& a, const std::string& b) const {
    auto difference = diff::compare(**store::TraceReader::open(path(a)), **store::TraceReader::open(path(b)));
    EXPECT_TRUE(difference) << difference.failure().message;
    return *difference;
  }
  [[nodiscard]] std::unique_ptr<timeline::Timeline> line(const std::string& name) const {
    auto opened = timeline::Timeline::open(
        path(name),
        [](store::TraceReader&, replay::play::Player& player,
           timeline::Contents) -> Result<std::unique_ptr<timeline::ReplayMachine>> {
          return std::unique_ptr<timeline::ReplayMachine>(std::make_unique<FakeReplay>(player));
        },
        {.ladder_bytes = 1 << 20, .jobs = 1});
    EXPECT_TRUE(opened) << opened.failure().message;
    return std::move(*opened);
  }
  [[nodiscard]] std::optional<diff::Parting> parting(Position from) const {
    const auto a = line("a"), b = line("b");
    const auto found = diff::first_difference(*a, *b, from);
    EXPECT_TRUE(found) << found.failure().message;
    return *found;
  }

  const std::string folder_ = testing::TempDir() + "hindsight_diff_" + std::to_string(getpid());
};

TEST_F(RecordingDiff, OfTwoThatAreTheSameIsEqual) {
  record("a"), record("b");
  const auto difference = compare("a", "b");
  EXPECT_EQ(difference.relation, diff::Relation::equal);
  EXPECT_GT(difference.events, 10u);
  EXPECT_GT(difference.digests, 10u);
}

TEST_F(RecordingDiff, OfTwoMachinesTellsWhatCameInAndWhatWasShown) {
  store::MachineConfig other;
  other.command_line = "other";
  record("a"), record("b", Icount(30'000), Icount::max(), other);
  const auto difference =
      diff::compare_outcomes(**store::TraceReader::open(path("a")), **store::TraceReader::open(path("b")));
  ASSERT_TRUE(difference) << difference.failure().message;
  EXPECT_EQ(difference->relation, diff::Relation::different);
  EXPECT_FALSE(difference->event);
  ASSERT_THAT(difference->later, testing::Not(testing::IsEmpty()));
  std::uint64_t others = 0;
  for (const diff::EventCount& count : difference->later) others += count.other_contents;
  EXPECT_GT(others, 0u);
  EXPECT_THAT(difference->consoles, SizeIs(1));
}

TEST_F(RecordingDiff, OfOneThatWasStoppedEarlierIsAPrefix) {
  record("a"), record("b", Icount::max(), Icount(20'000));
  EXPECT_EQ(compare("a", "b").relation, diff::Relation::b_is_prefix);
  EXPECT_EQ(compare("b", "a").relation, diff::Relation::a_is_prefix);
}

TEST_F(RecordingDiff, NamesTheFirstEventThatDiffersAndWhatFollows) {
  record("a"), record("b", Icount(30'000));
  const auto difference = compare("a", "b");
  EXPECT_EQ(difference.relation, diff::Relation::different);
  ASSERT_TRUE(difference.event && difference.event->a && difference.event->b);
  EXPECT_EQ(difference.event->number, difference.events);
  EXPECT_GE(difference.event->icount(), Icount(30'000));
  EXPECT_EQ(difference.event->a->at, difference.event->b->at);
  EXPECT_EQ(difference.event->a->size, difference.event->b->size);
  EXPECT_THAT(difference.event->last_common, SizeIs(3));
  EXPECT_THAT(difference.consoles, SizeIs(1));
  EXPECT_FALSE(difference.later.empty());
  EXPECT_GT(difference.digests, 0u);
}

TEST_F(RecordingDiff, NamesFieldsOfTheConfigurationThatDiffer) {
  store::MachineConfig a, b;
  a.ram_bytes = 1 << 20;
  b.ram_bytes = 1 << 21;
  b.command_line = "quiet";
  b.seed = 5;
  const auto differences = diff::config_differences(a, b);
  ASSERT_THAT(differences, SizeIs(2));
  EXPECT_EQ(differences[0].field, "RAM bytes");
  EXPECT_EQ(differences[1].field, "command line");
  EXPECT_EQ(differences[1].b, "quiet");
}

TEST_F(RecordingDiff, FindsTheStepAtWhichTheMachinesPartFromWhereverItStarts) {
  record("a"), record("b", Icount(30'000));
  const Icount event = compare("a", "b").event->icount();
  for (const Icount from : {event, event - 50, Icount(0), event + 1, event + 5'000}) {
    const auto found = parting({from, 0});
    ASSERT_TRUE(found && found->at) << from.value;
    EXPECT_EQ(*found->at, (Position{event, 0})) << from.value;
    EXPECT_EQ(found->next_a, (Position{event + 1, 0})) << from.value;
  }
}

TEST_F(RecordingDiff, FindsThatMachinesDifferAtPowerOn) {
  record("a"), record("b", Icount(0));
  const auto found = parting({Icount(0), 0});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->at);
}

TEST_F(RecordingDiff, FindsNoPartingOfEqualRecordings) {
  record("a"), record("b", Icount::max(), Icount(20'000));
  EXPECT_FALSE(parting({Icount(0), 0}));
}

}  // namespace
}  // namespace hindsight::tests
