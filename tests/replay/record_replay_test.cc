#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "replay/play/replay.h"
#include "replay/record/record.h"
#include "tests/support/fake_machine.h"

namespace hindsight::tests {
namespace {

using replay::play::Divergence;
using replay::play::Player;
using replay::play::ReplayResult;
using replay::record::Recorder;
using replay::record::RecordResult;
using testing::HasSubstr;
using traces::store::MachineConfig;
using traces::store::TraceReader;
using traces::store::TraceWriter;

class RecordReplay : public testing::Test {
 protected:
  RecordReplay() {
    static int counter = 0;
    path_ = testing::TempDir() + fmt::format("hindsight_replay_{}_{}.trace", getpid(), counter++);
    std::filesystem::remove(path_);
  }
  ~RecordReplay() override { std::filesystem::remove(path_); }

  Result<RecordResult> record(FakeHost& host, FakeMachine::Options machine_options,
                              const replay::record::RecordOptions& options,
                              const std::function<void(FakeMachine&)>& prepare = {}) {
    traces::store::WriterOptions writing;
    writing.sync = false;
    writing.commit_interval = std::chrono::milliseconds(5);
    writing.commit_bytes = 50'000;  // small, so that the recorder also waits for its writer
    writing.queue_bytes = 200'000;
    auto writer = TraceWriter::create(path_, writing);
    if (!writer) return writer.failure();
    if (const Status begun = (*writer)->begin(MachineConfig{}); !begun) return begun.failure();
    Recorder recorder(host, host, **writer);
    FakeMachine machine(recorder, recorder, std::move(machine_options));
    if (prepare) prepare(machine);
    return record_machine(machine, recorder, **writer, options);
  }

  Result<ReplayResult> replay(FakeMachine::Options machine_options, port::OutputSink* echo = nullptr) {
    auto trace = TraceReader::open(path_);
    if (!trace) return trace.failure();
    Player player(**trace);
    player.echo_to(echo);
    FakeMachine machine(player, player, std::move(machine_options));
    return replay_machine(machine, player, **trace, {});
  }

  Divergence divergence_with(FakeMachine::Sabotage sabotage) {
    FakeMachine::Options options = until(Icount(50'000));
    options.sabotage = std::move(sabotage);
    const Result<ReplayResult> result = replay(options);
    EXPECT_TRUE(result) << (result ? "" : result.failure().message);
    return result && result->divergence ? *result->divergence : Divergence{};
  }

  static FakeMachine::Options until(Icount power_off) {
    FakeMachine::Options options;
    options.power_off_at = power_off;
    return options;
  }
  static replay::record::RecordOptions every(std::uint64_t interval) {
    return {Icount::max(), interval, interval, {}};
  }

  std::string path_;
};

TEST_F(RecordReplay, EndsInTheSameStateWithTheSameOutput) {
  FakeHost host(1);
  const auto recorded = record(host, until(Icount(200'000)), every(10'000));
  ASSERT_TRUE(recorded) << recorded.failure().message;
  EXPECT_EQ(recorded->reason, port::StopReason::power_off);

  FakeHost echo(0);
  const auto replayed = replay(until(Icount(200'000)), &echo);
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
  EXPECT_EQ(replayed->end, recorded->end);
  EXPECT_EQ(replayed->digests_checked, 22u);
  EXPECT_FALSE(replayed->recorder_interrupted);
  EXPECT_EQ(echo.serial, host.serial);
}

TEST_F(RecordReplay, SlicesOfAnotherLengthGiveTheSameReplay) {
  FakeHost host(2);
  const auto recorded = record(host, until(Icount(100'000)), every(7'777));
  ASSERT_TRUE(recorded);
  FakeMachine::Options other = until(Icount(100'000));
  other.slice = 137;
  const auto replayed = replay(other);
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
}

TEST_F(RecordReplay, LargeInputsComeBackWhole) {
  FakeHost host(3);
  host.largest_input = 100'000;
  const auto recorded = record(host, until(Icount(50'000)), every(10'000));
  ASSERT_TRUE(recorded);
  const auto replayed = replay(until(Icount(50'000)));
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
}

TEST_F(RecordReplay, AMachineThatSleepsForeverDoesSoAgain) {
  FakeHost host(4);
  host.input_every = 0;
  FakeMachine::Options options;
  options.sleep_forever_at = Icount(30'001);
  const auto recorded = record(host, options, every(10'000));
  ASSERT_TRUE(recorded);
  EXPECT_EQ(recorded->reason, port::StopReason::idle_forever);
  const auto replayed = replay(options);
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
  EXPECT_EQ(replayed->end, recorded->end);
}

/// A host without input that asks for a stop while the machine is halted, once it has napped often enough.
class Sleeper final : public port::NondetSource {
 public:
  explicit Sleeper(FakeHost& host) : host_(host) {}
  std::function<void()> stop;
  unsigned stop_in_timed_nap = 0, stop_in_endless_nap = 0;  ///< 0: in none
  void drain(port::Instant, std::vector<port::Input>&) override {}
  void sample(port::Instant now, port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override {
    host_.sample(now, channel, argument, out);
  }
  port::Instant next_input() const override { return host_.next_input(); }
  VirtualTime idle(port::Instant now, VirtualTime deadline) override {
    const bool timed = deadline != VirtualTime::max();
    unsigned& naps = timed ? timed_ : endless_;
    if (++naps == (timed ? stop_in_timed_nap : stop_in_endless_nap)) stop();
    return timed ? deadline : now.time + 1000;
  }

 private:
  FakeHost& host_;
  unsigned timed_ = 0, endless_ = 0;
};

class StoppedWhileHalted : public RecordReplay {
 protected:
  /// Records until `sleeper` asks for a stop, and expects the replay to end there too.
  void record_and_replay(Sleeper& sleeper, FakeHost& host, const FakeMachine::Options& options) {
    auto writer = TraceWriter::create(path_);
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->begin(MachineConfig{}));
    Recorder recorder(sleeper, host, **writer);
    FakeMachine machine(recorder, recorder, options);
    sleeper.stop = [&] { machine.request_stop(); };
    const auto recorded = record_machine(machine, recorder, **writer, every(1'000'000));
    ASSERT_TRUE(recorded);
    ASSERT_EQ(recorded->reason, port::StopReason::interrupted);
    const auto replayed = replay(options);
    ASSERT_TRUE(replayed) << replayed.failure().message;
    EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
    EXPECT_EQ(replayed->end, recorded->end);
    EXPECT_GT(recorded->end.time.value, recorded->end.icount.value);
  }
};

TEST_F(StoppedWhileHalted, WithoutATimerEndsAtTheSameVirtualTime) {
  FakeHost host(5);
  Sleeper sleeper(host);
  sleeper.stop_in_endless_nap = 3;  // the last warp has no input and no deadline at its end
  FakeMachine::Options options;
  options.sleep_forever_at = Icount(5'000);
  record_and_replay(sleeper, host, options);
}

TEST_F(StoppedWhileHalted, AtTheInstantOfATimerEndsBeforeItWakesTheMachine) {
  FakeHost host(5);
  Sleeper sleeper(host);
  sleeper.stop_in_timed_nap = 3;
  record_and_replay(sleeper, host, {});
}

TEST_F(RecordReplay, AWrongOutputByteIsFoundAtOnceAndNamed) {
  FakeHost host(6);
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const Divergence found = divergence_with([](FakeMachine& machine) {
    machine.flip_output = machine.cpu.icount == Icount(20'500) ? 1 : machine.flip_output;
  });
  EXPECT_THAT(found.component, HasSubstr("output "));
  EXPECT_GE(found.at.icount.value, 20'500u);
  EXPECT_LT(found.at.icount.value, 22'000u);
  EXPECT_NE(found.expected, found.got);
  EXPECT_EQ(found.since, Icount(20'000));
}

TEST_F(RecordReplay, AWrongRegisterIsNamedWithItsField) {
  FakeHost host(7);
  host.input_every = 0;
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const Divergence found = divergence_with([](FakeMachine& machine) {
    if (machine.cpu.icount == Icount(30'000 - 1)) machine.cpu.inputs = 7;
  });
  EXPECT_EQ(found.component, "cpu0");
  EXPECT_EQ(found.field, "events");
  EXPECT_EQ(found.expected, "0x0");
  EXPECT_EQ(found.got, "0x7");
  EXPECT_EQ(found.at.icount, Icount(30'000));
  EXPECT_THAT(found.where, HasSubstr("walk="));
}

TEST_F(RecordReplay, AWrongByteOfMemoryIsNamedWithItsPage) {
  FakeHost host(8);
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const Divergence found = divergence_with([](FakeMachine& machine) {
    if (machine.cpu.icount != Icount(39'999)) return;
    const std::byte old = machine.ram().page(17)[5];
    machine.fake_ram().write(17 * kPageSize + 5, old ^ std::byte{1});
  });
  EXPECT_EQ(found.component, "ram");
  EXPECT_THAT(found.field, HasSubstr("page 17 "));
  EXPECT_EQ(found.at.icount, Icount(40'000));
}

TEST_F(RecordReplay, ARequestThatWasNotRecordedIsADivergence) {
  FakeHost host(9);
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const Divergence found = divergence_with([](FakeMachine& machine) {
    if (machine.cpu.icount == Icount(12'345)) machine.cpu.walk += 1;
  });
  EXPECT_FALSE(found.component.empty());
  EXPECT_GE(found.at.icount, Icount(12'345));
  EXPECT_LE(found.at.icount, Icount(20'000));
}

TEST_F(RecordReplay, AMachineThatStopsEarlyIsADivergence) {
  FakeHost host(10);
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const auto replayed = replay(until(Icount(45'000)));
  ASSERT_TRUE(replayed);
  ASSERT_TRUE(replayed->divergence);
  EXPECT_EQ(replayed->divergence->component, "machine");
  EXPECT_EQ(replayed->divergence->field, "stop");
}

TEST_F(RecordReplay, AMachineThatRunsOnIsADivergence) {
  FakeHost host(11);
  ASSERT_TRUE(record(host, until(Icount(50'000)), every(10'000)));
  const auto replayed = replay(until(Icount(55'000)));
  ASSERT_TRUE(replayed);
  ASSERT_TRUE(replayed->divergence);
}

TEST_F(RecordReplay, GoingBackToAPositionServesTheSameAgain) {
  FakeHost host(12);
  ASSERT_TRUE(record(host, until(Icount(60'000)), every(10'000)));
  auto trace = TraceReader::open(path_);
  ASSERT_TRUE(trace);
  Player player(**trace);
  FakeMachine machine(player, player, until(Icount(60'000)));
  ASSERT_EQ(machine.run(Icount(30'000)), port::StopReason::reached);
  const Player::Position position = player.position();
  const FakeCpu cpu = machine.cpu;
  ASSERT_EQ(machine.run(Icount(60'000)), port::StopReason::reached);
  ASSERT_FALSE(player.divergence()) << player.divergence()->describe();
  const auto digests = player.channel_digests();
  const std::uint64_t walk = machine.cpu.walk;

  player.seek(position);
  machine.cpu.walk = cpu.walk;
  machine.cpu.icount = cpu.icount;
  machine.cpu.time = cpu.time;
  machine.cpu.halted = cpu.halted;
  machine.cpu.deadline = cpu.deadline;
  ASSERT_EQ(machine.run(Icount(60'000)), port::StopReason::reached);
  EXPECT_FALSE(player.divergence()) << player.divergence()->describe();
  EXPECT_EQ(machine.cpu.walk, walk);
  EXPECT_EQ(player.channel_digests(), digests);
}

class KilledRecorder : public RecordReplay, public testing::WithParamInterface<int> {};

TEST_P(KilledRecorder, LeavesATraceThatReplaysToItsLastCommit) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    FakeHost host(static_cast<std::uint64_t>(GetParam()));
    (void)record(host, FakeMachine::Options{}, every(10'000));
    _exit(0);
  }
  usleep(static_cast<useconds_t>(3'000 + 9'700 * GetParam()));
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));

  auto trace = TraceReader::open(path_);
  if (!trace) {
    EXPECT_THAT(trace.failure().message,
                testing::AnyOf(HasSubstr("before the machine started"), HasSubstr("cannot open"),
                               HasSubstr("truncated"), HasSubstr("a table 'meta' expected")));
    return;
  }
  EXPECT_TRUE((*trace)->check_all());
  EXPECT_FALSE((*trace)->end());
  const auto replayed = replay(FakeMachine::Options{});
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
  EXPECT_TRUE(replayed->recorder_interrupted);
  EXPECT_EQ(replayed->end.icount, (*trace)->progress().at.icount);
}

INSTANTIATE_TEST_SUITE_P(AtSomeMoment, KilledRecorder, testing::Range(0, 16));

TEST_F(RecordReplay, AFullDiskStopsTheRecordingAndKeepsWhatIsCommitted) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit limit{3'000'000, 3'000'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    FakeHost host(14);
    host.largest_input = 3'000;
    const auto recorded = record(host, FakeMachine::Options{}, every(10'000));
    const bool told = !recorded && recorded.failure().message.find("cannot write") != std::string::npos;
    _exit(told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);

  auto trace = TraceReader::open(path_);
  ASSERT_TRUE(trace) << trace.failure().message;
  EXPECT_GT((*trace)->progress().at.icount.value, 0u);
  const auto replayed = replay(FakeMachine::Options{});
  ASSERT_TRUE(replayed) << replayed.failure().message;
  EXPECT_FALSE(replayed->divergence) << replayed->divergence->describe();
  EXPECT_TRUE(replayed->recorder_interrupted);
}

}  // namespace
}  // namespace hindsight::tests
