// Recording a live machine into a trace: what `record`, `branch` and a debugger that branches share. Owned by
// the command; the run loop's thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "debugger/cli/commands.h"
#include "debugger/cli/machine_builder.h"
#include "replay/record/record.h"
#include "replay/snapshot/recording_snapshots.h"
#include "replay/snapshot/snapshot.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::debugger::cli {

/// What is to be recorded.
struct RecordingPlan {
  std::string trace;                    ///< a new file
  traces::store::MachineConfig config;  ///< its kernel and initrd only name the files
  const BootFiles* files;               ///< borrowed; outlive the recording
  std::string engine;
  Icount stop_at = Icount::max();
  std::uint64_t snapshot_every = 0;   ///< instructions; 0: none
  bool snapshots_on_request = false;  ///< take_snapshot() will be called
  /// Set: the machine begins here, and `power_on` answers what it asks while it is built.
  std::shared_ptr<const replay::snapshot::Snapshot> start = {};
  engine::port::NondetSource* power_on = nullptr;
};

/// A trace may be replaced, with `force`; anything else may not.
Status may_replace(const std::string& trace, bool force);
/// Removes it then.
Status make_room(const std::string& trace, bool force);

/// A machine at its beginning, with the trace that it is recorded into. Run in one go, or piece by piece.
class LiveRecording {
 public:
  virtual ~LiveRecording() = default;
  virtual BuiltMachine& built() = 0;
  /// Runs on; see replay::record::Recording::run. An Error when the trace can no longer be written.
  virtual Result<engine::port::StopReason> advance(Icount until) = 0;
  /// Puts a snapshot of the machine as it stands into the trace, waiting for the disk. Needs
  /// snapshots_on_request.
  virtual void take_snapshot() = 0;
  /// Keeps a mark in the trace, in place of one of that name.
  virtual void set_mark(const traces::store::Mark& mark) = 0;
  virtual void remove_mark(const std::string& name) = 0;
  /// Returns when all that happened so far is in the trace; nothing more is written until advance().
  virtual Status commit() = 0;
  /// Closes the trace, once. An Error says whether there is one.
  virtual Result<replay::record::RecordResult> finish(engine::port::StopReason reason) = 0;
  /// Runs the machine to its end and closes the trace. An Error says whether there is one. `progress` is told
  /// of digest points.
  virtual Result<replay::record::RecordResult> run(std::function<void(engine::port::Instant)> progress) = 0;
};

/// Makes the trace; leaves none behind when it fails. `source` and `sink` are borrowed and outlive the
/// recording.
Result<std::unique_ptr<LiveRecording>> open_recording(RecordingPlan plan, engine::port::NondetSource& source,
                                                      engine::port::OutputSink& sink);

}  // namespace hindsight::debugger::cli
