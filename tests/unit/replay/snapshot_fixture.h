// A recorded walk of the fake machine to take snapshots of. One test thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "replay/play/replay.h"
#include "replay/record/record.h"
#include "replay/record/state_digest.h"
#include "replay/snapshot/recording_snapshots.h"
#include "replay/snapshot/snapshot.h"
#include "tests/support/fake_machine.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::tests {

/// A fake machine that replays a trace, with a snapshotter beside it.
struct Replaying {
  static FakeMachine::Options options() {
    FakeMachine::Options options;
    options.power_off_at = Icount(60'000);
    return options;
  }
  explicit Replaying(const std::string& path) : trace(std::move(*traces::store::TraceReader::open(path))) {}

  std::shared_ptr<const replay::snapshot::Snapshot> take() { return snapshots.take(player.position()); }
  std::shared_ptr<const replay::snapshot::Snapshot> take_at(std::uint64_t icount) {
    EXPECT_EQ(machine.run(Icount(icount)), port::StopReason::reached);
    return take();
  }
  void restore(const std::shared_ptr<const replay::snapshot::Snapshot>& snapshot) {
    const Status restored = snapshots.restore(snapshot);
    ASSERT_TRUE(restored) << restored.failure().message;
    player.seek(snapshot->border);
  }
  /// Everything of the machine that a digest sees, the outputs apart.
  traces::store::Digest digest() { return replay::record::StateDigester(machine).take(false, {}); }
  /// Runs to the recording's next digest after here, and to those after that, and compares.
  void expect_agreement_until(Icount last) {
    replay::record::StateDigester digester(machine);
    std::uint64_t compared = 0;
    for (std::uint64_t i = 0; i < trace->digest_count(); ++i) {
      const Icount at = trace->digest_icount(i);
      if (at < machine.now().icount || at > last || (at == machine.now().icount && at.value == 0)) continue;
      ASSERT_EQ(machine.run(at), port::StopReason::reached);
      ASSERT_FALSE(player.divergence()) << player.divergence()->describe();
      const auto expected = trace->digest(i);
      ASSERT_TRUE(expected);
      const auto got = digester.take(false, player.channel_digests());
      EXPECT_EQ(got.ram, expected->ram) << "at " << at.value;
      EXPECT_EQ(got.parts.at(0).hash, expected->parts.at(0).hash) << "at " << at.value;
      EXPECT_EQ(got.at, expected->at);
      compared++;
    }
    EXPECT_GT(compared, 0u);
  }

  std::unique_ptr<traces::store::TraceReader> trace;
  replay::play::Player player{*trace};
  FakeMachine machine{player, player, options()};
  replay::snapshot::Snapshotter snapshots{machine};
};

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() {
    static int counter = 0;
    path_ = testing::TempDir() + fmt::format("hindsight_snapshot_{}_{}.trace", getpid(), counter++);
    std::filesystem::remove(path_);
  }
  ~SnapshotTest() override { std::filesystem::remove(path_); }

  static traces::store::WriterOptions quick() {
    traces::store::WriterOptions options;
    options.sync = false;
    options.commit_interval = std::chrono::milliseconds(5);
    options.commit_bytes = 50'000;
    return options;
  }

  enum class Pace {
    settled,  ///< each snapshot is written before the machine goes on, so that none is left out
    hurried,  ///< only at digests
  };
  /// Takes snapshots at a pace.
  class Paced final : public replay::record::SnapshotTaker {
   public:
    Paced(replay::snapshot::RecordingSnapshots& snapshots, Pace pace) : snapshots_(snapshots), pace_(pace) {}
    void take() override {
      snapshots_.take();
      if (pace_ == Pace::settled) snapshots_.settle();
    }
    void note_written() override { snapshots_.note_written(); }
    void note_executed() override { snapshots_.note_executed(); }
    std::vector<traces::store::Footprint> finish() override { return snapshots_.finish(); }

   private:
    replay::snapshot::RecordingSnapshots& snapshots_;
    const Pace pace_;
  };

  /// Records a walk of 60,000 instructions with a digest every 5,000, and maybe snapshots.
  void record(std::uint64_t seed, std::uint64_t snapshot_interval = 0, Pace pace = Pace::settled) {
    FakeHost host(seed);
    host.input_every = inputs_;
    auto writer = traces::store::TraceWriter::create(path_, quick());
    ASSERT_TRUE(writer) << writer.failure().message;
    ASSERT_TRUE((*writer)->begin(traces::store::MachineConfig{}));
    replay::record::Recorder recorder(host, host, **writer);
    FakeMachine machine(recorder, recorder, Replaying::options());
    replay::record::RecordOptions options;
    options.digest_interval = options.full_state_interval = 5'000;
    options.snapshot_interval = snapshot_interval;
    std::optional<replay::snapshot::RecordingSnapshots> snapshots;
    std::optional<Paced> paced;
    if (snapshot_interval != 0) {
      snapshots.emplace(machine, recorder, **writer).settle();
      options.snapshots = &paced.emplace(*snapshots, pace);
      options.progress = [&](port::Instant) { snapshots->settle(); };
    }
    ASSERT_TRUE(replay::record::record_machine(machine, recorder, **writer, options));
  }

  std::string path_;
  unsigned inputs_ = 20;  ///< FakeHost::input_every
};

}  // namespace hindsight::tests
