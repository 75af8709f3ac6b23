// Snapshots of stock kernels: a start from any of them is a replay from power-on.
#include <fmt/format.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "debugger/cli/machine_builder.h"
#include "replay/play/state_diff.h"
#include "replay/record/state_digest.h"
#include "replay/snapshot/archive.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using engine::port::StopReason;
using replay::snapshot::Archive;
using replay::snapshot::Position;
using replay::snapshot::Snapshot;
using replay::snapshot::Snapshotter;
using testing::HasSubstr;
using testing::Not;
using traces::store::TraceReader;

/// A machine that replays a trace, as a debugger has it.
class Debuggee final {
 public:
  explicit Debuggee(const std::string& path, const std::string& engine = "jit") {
    auto trace = TraceReader::open(path);
    if (!trace) throw std::runtime_error(trace.failure().message);
    trace_ = std::move(*trace);
    player_ = std::make_unique<replay::play::Player>(*trace_);
    auto built = debugger::cli::build_replay_machine(*trace_, engine, *player_);
    if (!built) throw std::runtime_error(built.failure().message);
    built_ = std::move(*built);
    snapshots_ = std::make_unique<Snapshotter>(machine());
    auto archive = Archive::open(path, take());
    if (!archive) throw std::runtime_error(archive.failure().message);
    archive_ = std::move(*archive);
    player_->on_stop([this] { machine().request_stop(); });
  }

  engine::port::Machine& machine() { return built_->machine(); }
  TraceReader& trace() { return *trace_; }
  Archive& archive() { return *archive_; }
  std::shared_ptr<const Snapshot> take() { return snapshots_->take(player_->position()); }

  void restore(Position at) {
    const auto snapshot = archive_->load(at);
    ASSERT_TRUE(snapshot) << snapshot.failure().message;
    restore(*snapshot);
  }
  void restore(const std::shared_ptr<const Snapshot>& snapshot) {
    const Status restored = snapshots_->restore(snapshot);
    ASSERT_TRUE(restored) << restored.failure().message;
    player_->seek(snapshot->border);
    EXPECT_EQ(machine().now(), snapshot->instant);
    EXPECT_EQ(machine().debug().position(), snapshot->at);
    for (std::size_t i = 0; i < snapshot->parts.size(); ++i) {
      const auto words = replay::record::canonical_state(*machine().parts()[i]);
      EXPECT_TRUE(words.asBytes() == snapshot->parts[i].words->asBytes()) << snapshot->parts[i].name;
    }
  }
  void run_to(Icount icount) {
    ASSERT_EQ(machine().run(icount), StopReason::reached);
    ASSERT_FALSE(player_->divergence()) << player_->divergence()->describe();
  }
  /// Runs on to the recording's next digest, whole, and compares.
  void expect_next_digest() {
    replay::record::StateDigester digester(machine());
    std::uint64_t next = 0;
    while (next < trace_->digest_count() && trace_->digest_icount(next) <= machine().now().icount) ++next;
    // The last one stands where the machine went off.
    ASSERT_LT(next + 1, trace_->digest_count());
    run_to(trace_->digest_icount(next));
    if (testing::Test::HasFatalFailure()) return;
    const auto expected = trace_->digest(next);
    ASSERT_TRUE(expected) << expected.failure().message;
    const auto got = digester.take(false, player_->channel_digests());
    const auto divergence = replay::play::compare(*expected, got, machine(), digester);
    EXPECT_FALSE(divergence) << divergence->describe();
  }

 private:
  std::unique_ptr<TraceReader> trace_;
  std::unique_ptr<replay::play::Player> player_;
  std::unique_ptr<debugger::cli::BuiltMachine> built_;
  std::unique_ptr<Snapshotter> snapshots_;
  std::unique_ptr<Archive> archive_;
};

class SnapshotGuest : public GuestTest {
 protected:
  /// Records a guest that uses every device, beside threads that keep the host busy.
  void record_under_load(const std::vector<std::string>& more) {
    write("script", "expect \"HS-READY\"\ndelay 20ms\nsend \"typed\\n\"\n");
    std::vector<std::string> options = full_machine();
    options.insert(options.end(), {"--script", path("script"), "--digest-every", "10000000"});
    options.insert(options.end(), more.begin(), more.end());
    std::atomic<bool> done = false;
    std::vector<std::jthread> load;
    for (int i = 0; i < 2; ++i) {
      load.emplace_back([&done] {
        while (!done.load(std::memory_order_relaxed)) {
        }
      });
    }
    const Outcome recorded = run(record("t.trace", full_append(), options));
    done = true;
    ASSERT_EQ(recorded.code, 0) << recorded.text;
    ASSERT_THAT(recorded.text, Not(HasSubstr("HS-FAIL")));
  }
  void expect_sound() {
    auto trace = TraceReader::open(path("t.trace"));
    ASSERT_TRUE(trace) << trace.failure().message;
    const Status checked = (*trace)->check_all();
    EXPECT_TRUE(checked) << checked.failure().message;
  }
};

TEST_F(SnapshotGuest, GoesOnFromEverySnapshotOfARecordingAsFromPowerOn) {
  record_under_load({"--snapshot-every", "123456789"});
  expect_sound();
  expect_verified(path("t.trace"));
  const auto positions = Debuggee(path("t.trace")).archive().positions();
  ASSERT_GE(positions.size(), 5u);
  for (const Position at : positions) {
    SCOPED_TRACE(at.icount.value);
    Debuggee fresh(path("t.trace"));
    fresh.restore(at);
    if (!HasFatalFailure()) fresh.expect_next_digest();
  }
  // The other engine from one of them, and one machine to all of them in no order.
  Debuggee interpreter(path("t.trace"), "interp");
  interpreter.restore(positions[positions.size() / 2]);
  interpreter.expect_next_digest();
  Debuggee wanderer(path("t.trace"));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const Position at = positions[i * 3 % positions.size()];
    SCOPED_TRACE(at.icount.value);
    wanderer.restore(at);
    if (!HasFatalFailure()) wanderer.expect_next_digest();
  }
}

TEST_F(SnapshotGuest, ASnapshotSavedBySessionServesTheNextOne) {
  record_under_load({"--snapshot-every", "0"});
  {
    Debuggee session(path("t.trace"));
    for (const std::uint64_t icount : {50'000'001u, 700'000'003u, 1'500'000'007u}) {
      session.run_to(Icount(icount));
      const Status saved = session.archive().save(*session.take());
      ASSERT_TRUE(saved) << saved.failure().message;
    }
  }
  expect_sound();
  expect_verified(path("t.trace"));
  Debuggee next(path("t.trace"));
  ASSERT_EQ(next.archive().positions().size(), 3u);
  for (const Position at : next.archive().positions()) {
    next.restore(at);
    if (!HasFatalFailure()) next.expect_next_digest();
  }
}

TEST_F(SnapshotGuest, SnapshotsChangeNoDigest) {
  const auto digests = [&](const std::string& every) {
    const Outcome recorded =
        run(record("t.trace", "hs.mode=poweroff",
                   {"--seed", "7", "--digest-every", "20000000", "--snapshot-every", every}));
    EXPECT_EQ(recorded.code, 0) << recorded.text;
    const auto trace = std::move(*TraceReader::open(path("t.trace")));
    std::vector<traces::store::Bytes> all;
    for (std::uint64_t i = 0; i < trace->digest_count(); ++i) all.push_back(encode(*trace->digest(i)));
    return all;
  };
  EXPECT_TRUE(digests("0") == digests("33333333"));
}

TEST_F(SnapshotGuest, AKilledRecordingStartsFromItsLastSnapshot) {
  Process recording(record("t.trace", "", {"--snapshot-every", "100000000"}));
  ASSERT_TRUE(recording.wait_for("/ #", std::chrono::seconds(120)));
  recording.signal(SIGKILL);
  (void)recording.wait();
  expect_sound();
  Debuggee replay(path("t.trace"));
  const auto positions = replay.archive().positions();
  ASSERT_FALSE(positions.empty());
  replay.restore(positions.back());
  replay.run_to(replay.trace().progress().at.icount);
}

}  // namespace
}  // namespace hindsight::tests
