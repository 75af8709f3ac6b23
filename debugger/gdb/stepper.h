// Single steps as gdb's user means them: what interrupts the code that is stepped through is passed over,
// both ways, since `next` would otherwise end in the handler of whatever timer ticks. Breakpoints and the
// like in the handler are met. Owned by a stub; its thread. The guest is not involved: it took the interrupt
// when recorded.
#pragma once

#include "debugger/gdb/stop_points.h"
#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

class Stepper final {
 public:
  /// Both are borrowed and outlive this.
  Stepper(session::Session& session, const StopPoints& points);

  /// One instruction. An exception is a step of its own, and so is an interrupt if `into_interrupts`.
  Result<session::Stop> step(session::Direction direction);

  bool into_interrupts = false;

 private:
  Result<session::Stop> forward();
  Result<session::Stop> backward();
  template <class Move>
  Result<session::Stop> with(session::Condition condition, session::Question when, const Move& move);

  session::Session& session_;
  const StopPoints& points_;
  std::size_t stack_pointer_ = 0;  ///< in the session's table of registers
  bool met_ = false;
};

}  // namespace hindsight::debugger::gdb
