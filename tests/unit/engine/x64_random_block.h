// Random IR blocks that obey the verifier, for differential tests. The same seed gives the same block on
// every host; one test thread.
#pragma once

#include <random>

#include "engine/ir/ir.h"

namespace hindsight::engine::test {

struct RandomOptions {
  unsigned insns = 6;
  unsigned ops_per_insn = 6;
  bool memory = true;
  bool vectors = true;
  bool calls = true;
};

void random_block(std::mt19937_64& rng, const RandomOptions& options, ir::Block& out);

}  // namespace hindsight::engine::test
