// A session over a machine that is being recorded. Forward it is live: the machine runs on, and what comes
// from outside is recorded as ever. Backward the recorded past is opened: a replay session over what the
// trace holds up to where the machine stands. Going forward past its end goes on with the machine. While no
// move is under way the machine stands still, its virtual time with it, and the host's input waits. Watching
// it moves no event and no digest: the trace verifies like one that nobody looked at. Owned by the command
// that records; one thread, but for interrupt().
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "debugger/session/session.h"
#include "engine/port/machine.h"

namespace hindsight::debugger::session {

/// The machine and its recording, as the session drives them.
class LiveMachine {
 public:
  virtual ~LiveMachine() = default;
  virtual engine::port::Machine& machine() = 0;
  /// As Machine::run, with digests and snapshots taken on the way; `reached` before `until` is the end that
  /// the user set. Fails when the trace can no longer be written.
  virtual Result<engine::port::StopReason> run(Icount until) = 0;
  /// Keeps a mark in the trace, in place of one of that name. Until the machine has ended; not while what
  /// open_past() opened is there.
  virtual void set_mark(const MarkInfo& mark) = 0;
  virtual void remove_mark(const std::string& name) = 0;
  /// Returns when all that happened so far is in the trace; nothing more is written until run().
  virtual Status commit() = 0;
  /// Opens what commit() left: a history that ends at `last`.
  virtual Result<std::unique_ptr<Session>> open_past(Position last) = 0;
};

class LiveSession : public Session {
 public:
  /// Why the machine does not go on; none: it does.
  [[nodiscard]] virtual std::optional<engine::port::StopReason> ended() const = 0;
};

/// `live` is borrowed and outlives the session; its machine stands where the recording begins.
std::unique_ptr<LiveSession> make_live_session(LiveMachine& live);

}  // namespace hindsight::debugger::session
