#include "debugger/cli/recorded_machine.h"

#include "debugger/cli/look.h"
#include "debugger/cli/replay_analyst.h"
#include "debugger/session/replay_session.h"

namespace hindsight::debugger::cli {

using engine::port::StopReason;

RecordedMachine::RecordedMachine(LiveRecording& recording, std::string trace, std::string engine)
    : recording_(recording),
      trace_(std::move(trace)),
      engine_(std::move(engine)),
      shelf_(std::make_shared<replay::snapshot::Ladder>(replay::timeline::TimelineOptions{}.ladder_bytes)),
      analyst_([this]() -> Result<std::unique_ptr<session::Analyst>> {
        if (const Status committed = commit(); !committed) return committed.failure();
        return make_analyst(trace_, engine_, {.last = machine().debug().position(), .shelf = shelf_});
      }) {}

Result<StopReason> RecordedMachine::run(Icount until) {
  const auto held = analyst_.hold();
  auto reason = recording_.advance(until);
  if (!reason || *reason == StopReason::interrupted || *reason == StopReason::observed) return reason;
  if (*reason == StopReason::reached && machine().now().icount >= until) return reason;
  finished_ = recording_.finish(*reason);
  if (!*finished_) return finished_->failure();
  return reason;
}

void RecordedMachine::set_mark(const session::MarkInfo& mark) {
  const auto held = analyst_.hold();
  recording_.set_mark({mark.name, mark.note, {mark.at.icount, mark.at.delivery}});
}

void RecordedMachine::remove_mark(const std::string& name) {
  const auto held = analyst_.hold();
  recording_.remove_mark(name);
}

Status RecordedMachine::commit() {
  const std::lock_guard lock(committing_);
  if (!finished_) return recording_.commit();
  return *finished_ ? Status(Done{}) : Status(finished_->failure());
}

Result<std::unique_ptr<session::Session>> RecordedMachine::open_past(session::Position last) {
  return session::open_replay(trace_, machines(engine_), {.last = last, .shelf = shelf_},
                              quiet_brancher(engine_));
}

Result<replay::record::RecordResult> RecordedMachine::finish() {
  const auto held = analyst_.hold();
  if (!finished_) finished_ = recording_.finish(StopReason::interrupted);
  return *finished_;
}

}  // namespace hindsight::debugger::cli
