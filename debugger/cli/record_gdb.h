// Recording a machine while gdb is attached to it: `record --gdb`. Called on the main thread.
#pragma once

#include <string>

#include "debugger/cli/live_run.h"
#include "debugger/cli/recording.h"
#include "debugger/session/live_session.h"

namespace hindsight::debugger::cli {

/// A recording as a live session drives it. When the machine ends, the trace is closed at once, so that it is
/// whole however long one goes on looking. Owned by a command; the run loop's thread.
class RecordedMachine final : public session::LiveMachine {
 public:
  /// `recording` is borrowed. The recorded past is replayed on `engine`.
  RecordedMachine(LiveRecording& recording, std::string trace, std::string engine)
      : recording_(recording), trace_(std::move(trace)), engine_(std::move(engine)) {}

  engine::port::Machine& machine() override { return recording_.built().machine(); }
  Result<engine::port::StopReason> run(Icount until) override;
  void set_mark(const session::MarkInfo& mark) override {
    recording_.set_mark({mark.name, mark.note, {mark.at.icount, mark.at.delivery}});
  }
  void remove_mark(const std::string& name) override { recording_.remove_mark(name); }
  Status commit() override;
  Result<std::unique_ptr<session::Session>> open_past(session::Position last) override;

  /// Closes the trace if the machine's end did not; after the session.
  Result<replay::record::RecordResult> finish();

 private:
  LiveRecording& recording_;
  const std::string trace_, engine_;
  std::optional<Result<replay::record::RecordResult>> finished_;
};

/// The machine waits where it begins until gdb has connected to `listen`, and runs to its end as gdb drives
/// it.
Outcome record_under_gdb(LiveRecording& recording, LiveHost& host, const RunOptions& options, Quitter& quit);

}  // namespace hindsight::debugger::cli
