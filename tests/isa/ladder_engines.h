// The rungs of the differential ladder: ways to run the same guest code on the same state. All but the native
// one must agree on everything; the native one on what the architecture defines. One test thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/guest/x86/x86_guest.h"
#include "engine/interp/interpreter.h"
#include "tests/isa/ladder_generator.h"

namespace hindsight::engine::host::x64 {
class CodeGenerator;
}

namespace hindsight::tests {

enum class Rung : std::uint8_t {
  steps,      ///< the interpreter, one instruction a block: the oracle
  blocks,     ///< the interpreter on whole blocks
  plain,      ///< generated code, no optional pass
  optimised,  ///< generated code after every pass
};
const char* name(Rung rung);

struct Code {
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint32_t> starts;  ///< offsets of the instructions
};

class Ladder {
 public:
  Ladder();
  ~Ladder();

  /// Runs `code` at kStart until it is left, traps or the state's budget is spent; state.pc tells where it is
  /// then. `fill_tlb`: memory accesses take the inline path where there is one.
  void run(Rung rung, const Code& code, Machine& machine, bool fill_tlb);
  /// The last run touched addresses that must not be touched natively.
  [[nodiscard]] bool escaped() const { return memory_.escaped(); }

  engine::guest::x86::X86Guest& guest() { return guest_; }
  /// IR of the first block.
  std::string ir_of(const Code& code, const Machine& machine, bool optimised);
  static std::string disassemble(const Code& code);

 private:
  bool lift(const Code& code, const engine::guest::x86::CpuState& state, unsigned max_insns);
  void run_block(Rung rung, engine::guest::x86::CpuState& state);
  static unsigned remaining(const Code& code, std::uint64_t pc);

  engine::guest::x86::X86Guest guest_;
  WindowMemory memory_;
  engine::interp::Interpreter interpreter_;
  std::unique_ptr<engine::host::x64::CodeGenerator> generator_;
  engine::ir::Block block_;
  std::vector<std::uint8_t> page_;
};

/// What differs between two machines that must agree on everything; empty if nothing.
std::string differences(const Machine& expected, const Machine& actual);
std::string describe(const engine::guest::x86::CpuState& state);

}  // namespace hindsight::tests
