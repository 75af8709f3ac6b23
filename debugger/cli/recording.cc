#include "debugger/cli/recording.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/base/log.h"
#include "traces/store/lmdb_file.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Channel;
using engine::port::Instant;
using engine::port::NondetSource;
namespace store = traces::store;

/// Snapshots, and how long each made the machine wait (--log=snapshot:info).
class TimedSnapshots final : public replay::record::SnapshotTaker {
 public:
  TimedSnapshots(engine::port::Machine& machine, const replay::record::Recorder& recorder,
                 store::TraceWriter& writer)
      : snapshots_(machine, recorder, writer) {}

  void take() override {
    const auto start = std::chrono::steady_clock::now();
    snapshots_.take();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    waits_.push_back(took.count());
  }
  /// Waits until all that was taken is handed to the writer.
  void settle() { snapshots_.settle(); }
  /// Leaves nothing out: waits for the disk.
  void take_patiently() {
    snapshots_.settle();
    snapshots_.take();
    snapshots_.settle();
  }
  void note_written() override { snapshots_.note_written(); }
  void note_executed() override { snapshots_.note_executed(); }
  std::vector<store::Footprint> finish() override {
    std::vector<store::Footprint> left = snapshots_.finish();
    if (waits_.empty()) return left;
    std::sort(waits_.begin(), waits_.end());
    const auto share = [&](double part) {
      return waits_[static_cast<std::size_t>(part * static_cast<double>(waits_.size() - 1))];
    };
    log::info("snapshot", "{} taken, {} left out; pauses in us: p50 {:.0f}, p99 {:.0f}, most {:.0f}",
              snapshots_.taken(), snapshots_.left_out(), share(0.5), share(0.99), waits_.back());
    return left;
  }

 private:
  replay::snapshot::RecordingSnapshots snapshots_;
  std::vector<double> waits_;
};

/// One source until the machine stands where it begins, then another.
class HandOver final : public NondetSource {
 public:
  HandOver(NondetSource* before, NondetSource& after)
      : now_(before != nullptr ? before : &after), after_(after) {}
  void switch_over() { now_ = &after_; }

  void drain(Instant now, std::vector<engine::port::Input>& out) override { now_->drain(now, out); }
  void sample(Instant now, Channel channel, std::uint64_t argument, std::span<std::byte> out) override {
    now_->sample(now, channel, argument, out);
  }
  [[nodiscard]] Instant next_input() const override { return now_->next_input(); }
  VirtualTime idle(Instant now, VirtualTime deadline) override { return now_->idle(now, deadline); }

 private:
  NondetSource* now_;
  NondetSource& after_;
};

class RealRecording final : public LiveRecording {
 public:
  RealRecording(RecordingPlan plan, NondetSource& source, engine::port::OutputSink& sink,
                std::unique_ptr<store::TraceWriter> writer)
      : plan_(std::move(plan)),
        source_(plan_.power_on, source),
        writer_(std::move(writer)),
        recorder_(source_, sink, *writer_) {}

  Status start() {
    plan_.config.kernel = writer_->lend_blob(plan_.config.kernel.name, plan_.files->kernel);
    plan_.config.initrd = writer_->lend_blob(plan_.config.initrd.name, plan_.files->initrd);
    auto built = build_machine(plan_.config, plan_.files, plan_.engine, recorder_, recorder_);
    if (!built) return built.failure();
    built_ = std::move(*built);
    if (plan_.snapshot_every != 0 || plan_.snapshots_on_request || plan_.start != nullptr)
      snapshots_.emplace(built_->machine(), recorder_, *writer_);
    // Before the header: a branch without its beginning is no trace.
    if (plan_.start != nullptr) {
      if (const Status begun = go_to_start(); !begun) return begun;
    }
    writer_->begin_soon(plan_.config);
    return Done{};
  }

  BuiltMachine& built() override { return *built_; }

  Result<replay::record::RecordResult> run(std::function<void(Instant)> progress) override {
    progress_ = std::move(progress);
    return finish(recording().run(Icount::max()));
  }
  Result<engine::port::StopReason> advance(Icount until) override {
    const engine::port::StopReason reason = recording().run(until);
    if (!writer_->failed()) return reason;
    return writer_->flush().failure();
  }
  void take_snapshot() override {
    recording();
    snapshots_->take_patiently();
  }
  void set_mark(const store::Mark& mark) override { writer_->set_mark(mark); }
  void remove_mark(const std::string& name) override { writer_->remove_mark(name); }
  Status commit() override {
    recording();
    if (snapshots_) snapshots_->settle();
    return writer_->flush();
  }
  Result<replay::record::RecordResult> finish(engine::port::StopReason reason) override {
    auto result = recording().finish(reason);
    if (result) return result;
    if (writer_->begun())
      return error("{}; the trace is usable up to its last commit", result.failure().message);
    ::unlink(plan_.trace.c_str());
    return result;
  }

 private:
  /// Begun when it is first needed.
  replay::record::Recording& recording() {
    if (recording_) return *recording_;
    replay::record::RecordOptions options;
    options.stop_at = plan_.stop_at;
    options.digest_interval = plan_.config.digest_interval;
    options.full_state_interval = plan_.config.full_state_interval;
    options.progress = progress_;
    options.snapshot_interval = plan_.snapshot_every;
    options.snapshots = snapshots_ ? &*snapshots_ : nullptr;
    return recording_.emplace(built_->machine(), recorder_, *writer_, std::move(options));
  }
  Status go_to_start() {
    replay::snapshot::Snapshotter snapshotter(built_->machine());
    if (const Status restored = snapshotter.restore(plan_.start); !restored) return restored;
    plan_.start.reset();
    source_.switch_over();
    snapshots_->take_patiently();
    return Done{};
  }

  RecordingPlan plan_;
  HandOver source_;
  std::unique_ptr<store::TraceWriter> writer_;
  replay::record::Recorder recorder_;
  std::unique_ptr<BuiltMachine> built_;
  std::optional<TimedSnapshots> snapshots_;
  std::function<void(Instant)> progress_;
  std::optional<replay::record::Recording> recording_;  // the last member: it refers to most of the others
};

}  // namespace

Status may_replace(const std::string& trace, bool force) {
  std::error_code ignored;
  if (!std::filesystem::exists(trace, ignored)) return Done{};
  if (!force) return error("{}: the file exists; --force replaces a trace", trace);
  if (const auto old = store::LmdbFile::open(trace); !old) {
    return error("{}: --force replaces only a trace", trace);
  }
  if (store::is_being_written(trace)) return error("{}: another program is writing it", trace);
  return Done{};
}

Status make_room(const std::string& trace, bool force) {
  if (const Status may = may_replace(trace, force); !may) return may;
  if (::unlink(trace.c_str()) != 0 && errno != ENOENT) return error("{}: {}", trace, std::strerror(errno));
  return Done{};
}

Result<std::unique_ptr<LiveRecording>> open_recording(RecordingPlan plan, NondetSource& source,
                                                      engine::port::OutputSink& sink) {
  auto writer = store::TraceWriter::create(plan.trace);
  if (!writer) return writer.failure();
  const std::string path = plan.trace;
  auto recording = std::make_unique<RealRecording>(std::move(plan), source, sink, std::move(*writer));
  if (const Status started = recording->start(); !started) {
    recording.reset();
    ::unlink(path.c_str());
    return started.failure();
  }
  return std::unique_ptr<LiveRecording>(std::move(recording));
}

}  // namespace hindsight::debugger::cli
