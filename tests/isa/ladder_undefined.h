// What the architecture leaves open, per instruction: the flags that a native run may leave otherwise than
// the emulator, and the instructions that are not compared natively at all, with the reason. Only the native
// rung uses it; between the emulator's own rungs nothing is open. Pure functions; any thread.
#pragma once

#include "tests/isa/ladder_generator.h"

namespace hindsight::tests {

struct Freedom {
  std::uint32_t eflags = 0;  ///< condition flags that are undefined
  std::uint16_t fsw = 0;     ///< x87 condition codes that are undefined
  int upper_half = -1;       ///< general register whose upper half is open when the result sets Z, or -1
  /// What is undefined besides after an unmasked invalid x87 operation: condition codes and flags.
  std::uint16_t fsw_unmasked = 0;
  std::uint32_t eflags_unmasked = 0;
  bool approximate = false;   ///< results are implementation-specific within a relative error bound
  bool fault_kind = false;    ///< which of two faults comes first
  bool mmx_on_fault = false;  ///< whether a faulting MMX instruction has entered MMX mode (TOP, tags)
  /// What MXCSR keeps beside an unmasked exception: PE where an unmasked overflow or underflow leaves the
  /// exactness of a result open that is not delivered; all flags where an instruction computes in steps.
  bool precision = false;
  bool all_simd_flags = false;
  const char* skip = nullptr;  ///< why there is nothing to compare
};

/// The x87 instructions share two decode rows: opcode and the part of ModRM that selects one. 0 for all
/// others.
unsigned x87_selector(const engine::guest::x86::Decoded& decoded);

/// `before` is the state that the instruction starts from.
Freedom freedom(const Instruction& instruction, const engine::guest::x86::CpuState& before);

}  // namespace hindsight::tests
