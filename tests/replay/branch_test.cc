// Letting recorded boots of stock kernels run on from some position, with other input.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "debugger/cli/look.h"
#include "debugger/cli/machine_builder.h"
#include "replay/record/state_digest.h"
#include "replay/timeline/timeline.h"
#include "tests/replay/guest_harness.h"
#include "traces/store/trace_reader.h"

namespace hindsight::tests {
namespace {

using engine::port::Position;
using replay::timeline::Timeline;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using traces::store::TraceReader;
using Words = std::vector<std::string>;

std::string text_of(Position at) { return fmt::format("{}+{}", at.icount.value, at.delivery); }

class Branch : public GuestTest {
 protected:
  /// Records a boot up to `end`, most of which is before the shell's prompt at 1.5 billion.
  void record_boot(std::uint64_t end, const Words& more = {}) {
    Words options{"--stop-at", std::to_string(end), "--input", "/dev/null"};
    options.insert(options.end(), more.begin(), more.end());
    const Outcome recorded = run(record("parent.hst", "quiet", options));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }
  Outcome branch(const std::string& parent, const std::string& to, Words more) {
    more.insert(more.begin(), {"branch", path(parent), "-o", path(to)});
    return hindsight(more);
  }
  std::unique_ptr<Timeline> open(const std::string& name) const {
    auto line = Timeline::open(path(name), debugger::cli::machines("jit"), {.jobs = 1});
    if (!line) throw std::runtime_error(line.failure().message);
    return std::move(*line);
  }
  std::unique_ptr<TraceReader> read(const std::string& name) const {
    auto trace = TraceReader::open(path(name));
    if (!trace) throw std::runtime_error(trace.failure().message);
    return std::move(*trace);
  }
  /// Expects the first digest of `name` to be of the parent's machine at `at`.
  void expect_begins_as(const std::string& parent, Position at, const std::string& name) const {
    const auto line = open(parent);
    ASSERT_TRUE(line->seek(at));
    ASSERT_EQ(line->now(), at);
    replay::record::StateDigester digester(line->machine());
    const auto there = digester.take(false, {});
    const auto first = read(name)->digest(0);
    ASSERT_TRUE(first) << first.failure().message;
    EXPECT_EQ(first->at, there.at);
    EXPECT_EQ(first->ram, there.ram);
    ASSERT_EQ(first->parts.size(), there.parts.size());
    for (std::size_t i = 0; i < there.parts.size(); ++i)
      EXPECT_EQ(first->parts[i].hash, there.parts[i].hash) << there.parts[i].name;
  }
};

TEST_F(Branch, OfAWaitingShellTakesNewInputAndNeedsNoParent) {
  record_boot(1'800'000'000);
  write("script", "send \"echo $((6*7))-$((6*7)); poweroff -f\\n\"\nexpect \"42-42\"\n");
  const Outcome branched = branch("parent.hst", "b.hst", {"--script", path("script")});
  ASSERT_EQ(branched.code, 0) << branched.text;
  std::filesystem::remove(path("parent.hst"));
  expect_verified(path("b.hst"));
  const Outcome replayed = hindsight({"replay", path("b.hst")});
  EXPECT_THAT(replayed.text,
              AllOf(HasSubstr("42-42"), HasSubstr("ends with power-off"), Not(HasSubstr("BusyBox"))));
  const Outcome info = hindsight({"info", path("b.hst")});
  EXPECT_THAT(info.text,
              AllOf(HasSubstr("format 2"), HasSubstr("branch of     parent.hst at icount 1800000000\n")));
}

TEST_F(Branch, WithoutNewInputOfAWaitingShellGoesOnWaiting) {
  record_boot(1'800'000'000);
  const Outcome branched = branch("parent.hst", "b.hst", {"--input", "/dev/null", "--stop-at", "1900000000"});
  ASSERT_EQ(branched.code, 0) << branched.text;
  EXPECT_THAT(branched.text, HasSubstr("recorded 100,000,000 instructions"));
  expect_verified(path("b.hst"));
  EXPECT_EQ(hindsight({"events", path("b.hst")}).text, "");
}

TEST_F(Branch, InTheMiddleOfABootBeginsAsTheParentStoodThereAndVerifiesOnBothEngines) {
  record_boot(400'000'000, {"--seed", "1"});
  const Outcome branched = branch("parent.hst", "b.hst",
                                  {"--at", "300000000", "--seed", "2", "--input", "/dev/null", "--stop-at",
                                   "320000000", "--digest-every", "1000000"});
  ASSERT_EQ(branched.code, 0) << branched.text;
  expect_begins_as("parent.hst", {Icount{300'000'000}, 0}, "b.hst");
  expect_verified(path("b.hst"), "jit");
  expect_verified(path("b.hst"), "interp");
}

TEST_F(Branch, FromBetweenAnInterruptAndItsHandlerBeginsThere) {
  record_boot(400'000'000);
  Position after;
  {
    const auto line = open("parent.hst");
    ASSERT_TRUE(line->seek({Icount{300'000'000}, 0}));
    replay::timeline::Condition interrupt;
    interrupt.delivery.emplace().interrupts = true;
    const auto moved = line->run_forward({interrupt}, line->last());
    ASSERT_TRUE(moved && moved->hit);
    after = line->now();
    ASSERT_EQ(after.delivery, 1u);
  }
  const Outcome branched = branch("parent.hst", "b.hst",
                                  {"--at", text_of(after), "--input", "/dev/null", "--stop-at", "420000000"});
  ASSERT_EQ(branched.code, 0) << branched.text;
  expect_begins_as("parent.hst", after, "b.hst");
  expect_verified(path("b.hst"));
  EXPECT_EQ(open("b.hst")->first(), after);
}

TEST_F(Branch, OfABranchIsABranchOfItAndTheTimelineWalksIt) {
  record_boot(300'000'000);
  ASSERT_EQ(branch("parent.hst", "b.hst", {"--input", "/dev/null", "--stop-at", "400000000"}).code, 0);
  ASSERT_EQ(
      branch("b.hst", "c.hst", {"--at", "350000000", "--input", "/dev/null", "--stop-at", "450000000"}).code,
      0);
  expect_begins_as("b.hst", {Icount{350'000'000}, 0}, "c.hst");
  std::filesystem::remove(path("parent.hst"));
  EXPECT_EQ(read("c.hst")->config().parent->identity, *read("b.hst")->identity());
  std::filesystem::remove(path("b.hst"));
  expect_verified(path("c.hst"));

  const auto line = open("c.hst");
  EXPECT_EQ(line->first(), (Position{Icount{350'000'000}, 0}));
  ASSERT_TRUE(line->seek({Icount{350'000'002}, 0}));
  ASSERT_TRUE(line->step_backward(1));
  EXPECT_EQ(line->now().icount.value, 350'000'001u);
  const auto back = line->run_backward({}, line->first());
  ASSERT_TRUE(back) << back.failure().message;
  EXPECT_EQ(back->arrival, replay::timeline::Arrival::begin);
  EXPECT_EQ(line->now(), line->first());
}

TEST_F(Branch, RecordedBySomebodyWhoWasKilledIsUsableUpToItsLastCommit) {
  record_boot(300'000'000);
  Process branching(
      {HINDSIGHT_EXECUTABLE, "branch", path("parent.hst"), "-o", path("b.hst"), "--input", "/dev/null"});
  ASSERT_TRUE(branching.wait_for("HINDSIGHT-INIT"));
  branching.signal(SIGKILL);
  EXPECT_EQ(branching.wait().code, 128 + SIGKILL);
  const Outcome verified = hindsight({"verify", path("b.hst")});
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("the recorder was interrupted"));
}

TEST_F(Branch, OfARecordingThatWasKilledGoesOnFromItsLastCommit) {
  Process recording(record("parent.hst", "quiet", {"--input", "/dev/null", "--digest-every", "10000000"}));
  ASSERT_TRUE(recording.wait_for("HINDSIGHT-INIT"));
  recording.signal(SIGKILL);
  recording.wait();
  const std::uint64_t end = end_of(path("parent.hst"));
  const Outcome branched =
      branch("parent.hst", "b.hst", {"--input", "/dev/null", "--stop-at", std::to_string(end + 50'000'000)});
  ASSERT_EQ(branched.code, 0) << branched.text;
  EXPECT_THAT(branched.text, HasSubstr("recorded 50,000,000 instructions"));
  expect_begins_as("parent.hst", {Icount{end}, 0}, "b.hst");
  expect_verified(path("b.hst"));
}

TEST_F(Branch, OfAShellThatWasLeftWaitingTakesWhatIsTypedAtTheTerminal) {
  {
    Process recording(record("parent.hst", "quiet"), Process::Input::terminal);
    ASSERT_TRUE(recording.wait_for("# "));
    recording.type("A=before\n");
    ASSERT_TRUE(recording.wait_for("A=before"));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the shell has read it and waits again
    recording.type("\x01x");
    ASSERT_EQ(recording.wait().code, 0);
  }
  expect_verified(path("parent.hst"));
  Process branching({HINDSIGHT_EXECUTABLE, "branch", path("parent.hst"), "-o", path("b.hst")},
                    Process::Input::terminal);
  ASSERT_TRUE(branching.wait_for("recording to "));
  branching.type("echo $A-and-after; poweroff -f\n");
  ASSERT_TRUE(branching.wait_for("before-and-after"));
  const Outcome branched = branching.wait();
  EXPECT_EQ(branched.code, 0) << branched.text;
  expect_verified(path("b.hst"));
}

TEST_F(Branch, NeedsTheParentsDiskAgainAndReadsIt) {
  Words options = full_machine();
  options.insert(options.end(), {"--input", "/dev/null"});
  const Outcome recorded = run(record("parent.hst", full_append(), options));
  std::uint64_t first_read = 0;
  const auto parent = read("parent.hst");
  for (std::uint64_t i = 0; i < parent->chunk_count() && first_read == 0; ++i) {
    const auto chunk = parent->chunk(i);
    ASSERT_TRUE(chunk) << chunk.failure().message;
    for (const auto& event : chunk->events)
      if (event.channel == 4 && first_read == 0) first_read = event.at.icount.value;
  }
  ASSERT_NE(first_read, 0u) << recorded.text;
  const std::uint64_t size = std::filesystem::file_size(path("disk.img"));
  write("other.img", std::string(size + 512, 'd'));

  const Outcome without = branch("parent.hst", "b.hst", {"--at", "1000"});
  EXPECT_EQ(without.code, 3);
  EXPECT_EQ(
      without.text,
      fmt::format("hindsight: the machine has a disk of {} bytes: give its image again with --disk\n", size));
  const Outcome wrong =
      branch("parent.hst", "b.hst", {"--at", "1000", "--disk", path("other.img"), "--input", "/dev/null"});
  EXPECT_EQ(wrong.code, 3);
  EXPECT_THAT(wrong.text,
              HasSubstr(fmt::format("other.img: a disk of {} bytes expected, as the machine has, found {}",
                                    size, size + 512)));
  EXPECT_FALSE(std::filesystem::exists(path("b.hst")));
  const Outcome right =
      branch("parent.hst", "b.hst",
             {"--at", std::to_string(first_read - 1000), "--disk", path("disk.img"), "--input", "/dev/null",
              "--stop-at", std::to_string(first_read + 100'000'000)});
  ASSERT_EQ(right.code, 0) << right.text;
  EXPECT_THAT(hindsight({"events", "--kind", "sample", path("b.hst")}).text, HasSubstr("disk0"));
  std::filesystem::remove(path("disk.img"));
  expect_verified(path("b.hst"));
}

TEST_F(Branch, RefusesWhatDoesNotFitItsParentInOneLine) {
  record_boot(20'000'000);
  const auto refused = [&](const Words& more, int code = 3) {
    const Outcome outcome = branch("parent.hst", "b.hst", more);
    EXPECT_EQ(outcome.code, code);
    return outcome.text;
  };
  EXPECT_EQ(refused({"--disk", path("parent.hst")}), "hindsight: --disk: the machine has no disk\n");
  EXPECT_EQ(refused({"--net", "user"}), "hindsight: --net: the machine has no network card\n");
  EXPECT_EQ(refused({"--at", "20000001"}, 2),
            "hindsight: --at: " + path("parent.hst") +
                ": a position from icount 0 to 20000000 expected, found 20000001\n");
  EXPECT_EQ(refused({"--at", "500", "--stop-at", "500"}),
            "hindsight: --stop-at: an icount after 500 expected, where the branch begins\n");
  EXPECT_EQ(branch("parent.hst", "b.hst", {"--memory", "1G"}).code, 2);
  const Outcome itself = branch("parent.hst", "parent.hst", {"--force"});
  EXPECT_EQ(itself.code, 3);
  EXPECT_THAT(itself.text, HasSubstr("a branch is a trace of its own, beside its parent"));
  EXPECT_FALSE(std::filesystem::exists(path("b.hst")));
  expect_verified(path("parent.hst"));
}

TEST_F(Branch, OfAGuestThatSwitchedItselfOffIsRefusedAtItsEnd) {
  const Outcome recorded = run(record("parent.hst", "hs.mode=poweroff", {}));
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  const Outcome refused = branch("parent.hst", "b.hst", {});
  EXPECT_EQ(refused.code, 3);
  EXPECT_EQ(refused.text, "hindsight: " + path("parent.hst") +
                              ": nothing runs on from here: the guest switched itself off\n");
}

TEST_F(Branch, OfASessionRunsABillionInstructionsAndLeavesTheCursor) {
  record_boot(20'000'000);
  const auto look = debugger::cli::look_into({.trace = path("parent.hst"), .at = "50%", .jobs = 1},
                                             debugger::cli::quiet_brancher("jit"));
  ASSERT_TRUE(look);
  const auto done = look.session->branch(path("b.hst"));
  ASSERT_TRUE(done) << done.failure().message;
  EXPECT_EQ(*done,
            path("b.hst") +
                ": ran on from icount 10000000 for 1,000,000,000 instructions without input, until limit "
                "reached");
  EXPECT_EQ(look.session->now(), (Position{Icount{10'000'000}, 0}));
  EXPECT_FALSE(look.session->branch(path("b.hst"))) << "the file exists";
  expect_verified(path("b.hst"));
}

}  // namespace
}  // namespace hindsight::tests
