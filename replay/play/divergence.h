// Where a replay stopped being the recording: when, in which component, in which field, what was expected.
// A value; any thread.
#pragma once

#include <string>
#include <vector>

#include "engine/port/nondet.h"

namespace hindsight::replay::play {

struct Divergence {
  engine::port::Instant at;  ///< where it was noticed
  std::string component;     ///< "cpu0", "ram", "output serial0", "sample disk0", "machine"
  std::string field;         ///< "rax", "page 4711", "byte 17"; may be empty
  std::string expected, got;
  std::vector<std::string> also;  ///< other components that differ at the same digest point
  std::string where;              ///< Machine::describe() then
  Icount since;                   ///< the last digest point that agreed

  /// One line for people.
  [[nodiscard]] std::string describe() const;
};

/// "serial0", or "channel 99" for one this build does not know.
[[nodiscard]] std::string channel_name(engine::port::Channel channel);

}  // namespace hindsight::replay::play
