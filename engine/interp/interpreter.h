// The IR's reference semantics: runs a block operation by operation on a state. The oracle that generated
// code must agree with, and the exact single-stepper. The run loop's thread; deterministic.
#pragma once

#include <vector>

#include "engine/ir/ir.h"

namespace hindsight::engine::interp {

/// A value: integers zero-extended in `low`; vectors whole.
struct alignas(16) Cell {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

enum class Outcome : std::uint8_t {
  completed,  ///< every instruction retired; state.pc is the next one
  trapped,    ///< state.trap is set; state.pc is the trapping instruction, which and whose followers are not
              ///< charged
};

class Interpreter {
 public:
  /// Runs `block` with state.pc at its first instruction. Charges state.budget with its instructions and
  /// leaves state.page_base at the block's page.
  Outcome run(const ir::Block& block, ir::CoreState& state);

 private:
  std::vector<Cell> values_;
};

}  // namespace hindsight::engine::interp
