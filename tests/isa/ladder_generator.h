// Makes test cases for the differential ladder from the decode rows: instruction bytes that decode to a given
// row, and a machine state that steers their memory operands into the window (native_runner.h).
// Deterministic; one test thread.
#pragma once

#include <optional>
#include <vector>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/decode.h"
#include "tests/isa/ladder_random.h"
#include "tests/support/window_memory.h"

namespace hindsight::tests {

struct Instruction {
  std::vector<std::uint8_t> bytes;
  engine::guest::x86::Decoded decoded;
};

struct Machine {
  engine::guest::x86::CpuState state;
  std::array<std::byte, WindowMemory::kBytes> memory;
};

class Generator {
 public:
  /// `fs_base`: of the thread that runs natively, so that FS-relative operands agree.
  Generator(const engine::guest::x86::Decoder& decoder, std::uint64_t fs_base)
      : decoder_(decoder), fs_base_(fs_base) {}

  /// Bytes for `row` at address `pc`; nothing if this draw does not decode to it.
  std::optional<Instruction> instruction(const engine::guest::x86::Row& row, Random& random) const;
  /// Registers, vectors, floating-point state of a 64-bit program at CPL 3. Memory operands of nothing
  /// steered.
  void randomize_state(engine::guest::x86::CpuState& state, Random& random) const;
  void randomize_memory(Machine& machine, Random& random) const;
  /// Sets the registers (or the displacement) that the memory operand of `instruction` at `pc` is made from.
  void steer(Instruction& instruction, std::uint64_t pc, Machine& machine, Random& random) const;

  static std::uint64_t integer(Random& random);

 private:
  const engine::guest::x86::Decoder& decoder_;
  std::uint64_t fs_base_;
};

}  // namespace hindsight::tests
