// What the architecture leaves open, per instruction: the flags that a native run may leave otherwise than
// the emulator, and the instructions that are not compared natively at all, with the reason. Only the native
// rung uses it; between the emulator's own rungs nothing is open. Pure functions.
#pragma once

#include "tests/isa/ladder_generator.h"

namespace hindsight::tests {

struct Freedom {
  std::uint32_t eflags = 0;    ///< condition flags that are undefined
  std::uint16_t fsw = 0;       ///< x87 condition codes that are undefined
  int upper_half = -1;         ///< general register whose upper half is open when the result sets Z, or -1
  bool approximate = false;    ///< results are implementation-specific within a relative error bound
  const char* skip = nullptr;  ///< why there is nothing to compare
};

/// `before` is the state that the instruction starts from.
Freedom freedom(const Instruction& instruction, const engine::guest::x86::CpuState& before);

}  // namespace hindsight::tests
