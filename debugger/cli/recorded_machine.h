// A recording as a live session drives it: `record --gdb` and `debug --record`. When the machine ends, the
// trace is closed at once, so that it is whole however long one goes on looking. Owned by a command; the run
// loop's thread, but for what its analyst is asked.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "debugger/cli/past_analyst.h"
#include "debugger/cli/recording.h"
#include "debugger/session/live_session.h"
#include "replay/snapshot/ladder.h"

namespace hindsight::debugger::cli {

class RecordedMachine final : public session::LiveMachine {
 public:
  /// `recording` is borrowed. The recorded past is replayed on `engine`.
  RecordedMachine(LiveRecording& recording, std::string trace, std::string engine);

  engine::port::Machine& machine() override { return recording_.built().machine(); }
  Result<engine::port::StopReason> run(Icount until) override;
  void set_mark(const session::MarkInfo& mark) override;
  void remove_mark(const std::string& name) override;
  Status commit() override;
  Result<std::unique_ptr<session::Session>> open_past(session::Position last) override;

  /// Answers while the machine stands; any move of it ends a question that is under way.
  [[nodiscard]] session::Analyst& analyst() { return analyst_; }

  /// Closes the trace if the machine's end did not; after the session.
  Result<replay::record::RecordResult> finish();

 private:
  LiveRecording& recording_;
  const std::string trace_, engine_;
  std::optional<Result<replay::record::RecordResult>> finished_;
  /// What one look at the past replayed the next need not, when the machine has gone on.
  const std::shared_ptr<replay::snapshot::Ladder> shelf_;
  std::mutex committing_;  ///< a question and a move back may want what is recorded at once
  PastAnalyst analyst_;
};

}  // namespace hindsight::debugger::cli
