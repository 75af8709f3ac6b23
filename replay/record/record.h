// The recording driver: runs a machine from digest point to digest point and closes the trace.
// Called by the recording session on the run loop's thread.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/record/recorder.h"
#include "replay/record/state_digest.h"
#include "traces/store/trace_writer.h"

namespace hindsight::replay::record {

/// Puts snapshots of the machine that is being recorded into its trace. The run loop's thread, between run()
/// calls. Whether and when it is called changes nothing else in the trace.
class SnapshotTaker {
 public:
  virtual ~SnapshotTaker() = default;
  virtual void take() = 0;
  /// Notes what was written to, or executed, since the last call, for searches to come; the first call begins
  /// it.
  virtual void note_written() = 0;
  virtual void note_executed() = 0;
  /// Hands all that is left to the writer; returns the footprints since the last snapshot.
  virtual std::vector<traces::store::Footprint> finish() = 0;
};

struct RecordOptions {
  Icount stop_at = Icount::max();
  std::uint64_t digest_interval = 50'000'000;           ///< instructions, at least 1
  std::uint64_t full_state_interval = 50'000'000;       ///< instructions
  std::function<void(engine::port::Instant)> progress;  ///< called at every digest point; may be empty
  std::uint64_t snapshot_interval = 0;                  ///< instructions; 0: no snapshots
  SnapshotTaker* snapshots = nullptr;                   ///< needed with an interval
  std::uint64_t written_interval =
      20'000'000;  ///< instructions between `snapshots`' notes of what is written to;
  std::uint64_t executed_interval = 40'000'000;  ///< or executed, which costs more
};

struct RecordResult {
  engine::port::StopReason reason;
  engine::port::Instant end;
};

/// A recording that can be stopped anywhere and goes on where it stopped, which changes nothing in the trace.
/// The machine was built on the recorder, the recorder on the writer; the header was handed to it.
class Recording final {
 public:
  /// Takes the digest of the beginning. All but `options` are borrowed.
  Recording(engine::port::Machine& machine, Recorder& recorder, traces::store::TraceWriter& writer,
            RecordOptions options);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// Runs on to `until` or to the end of the recording, whichever is first (`reached`), or to an earlier
  /// stop. `interrupted` also when the trace can no longer be written.
  engine::port::StopReason run(Icount until);
  /// Where options.stop_at ends it.
  [[nodiscard]] bool at_limit() const { return machine_.now().icount >= options_.stop_at; }
  /// Closes the trace. Once. Fails when it could not be written; what is committed is usable then.
  Result<RecordResult> finish(engine::port::StopReason reason);

 private:
  /// Done at each multiple of so many instructions; 0: never.
  struct Duty {
    std::uint64_t interval;
    void (Recording::*act)();
    Icount next = Icount::max();
  };

  void digest(bool full);
  void take_digest() { digest(false); }
  void take_snapshot() { options_.snapshots->take(); }
  void note_written() { options_.snapshots->note_written(); }
  void note_executed() { options_.snapshots->note_executed(); }
  void note_touched();
  /// A stop may leave the machine where no run() ends: amid deliveries, or with what was due delivered. One
  /// instruction later it is at a place that a replay reaches. Returns why it stands there.
  engine::port::StopReason move_to_a_place(engine::port::StopReason reason);

  engine::port::Machine& machine_;
  Recorder& recorder_;
  traces::store::TraceWriter& writer_;
  const RecordOptions options_;
  StateDigester digester_;
  Icount last_full_;
  std::array<Duty, 4> duties_;
  bool observed_ = false;  ///< how the last run ended
};

/// All of it in one go. `machine` was built on `recorder`, `recorder` on `writer`, and writer.begin() has
/// been called. Fails when the trace could not be written; what is committed is usable then.
Result<RecordResult> record_machine(engine::port::Machine& machine, Recorder& recorder,
                                    traces::store::TraceWriter& writer, const RecordOptions& options);

}  // namespace hindsight::replay::record
