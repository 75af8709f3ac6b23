// The routines that all generated code shares: the way in and out, slow memory accesses and calls.
// Emitted once into the code cache, on the thread that makes the code generator.
#pragma once

#include <cstdint>

#include "engine/host/x64/emitter.h"
#include "engine/host/x64/layout.h"

namespace hindsight::engine::host::x64 {

/// As the way out returns it, in RAX and RDX.
struct RawExit {
  std::uint64_t kind;
  std::uint64_t detail;
};

/// Emits them and fills in layout.routines (addresses for writing). Wants the pinned registers set.
void emit_routines(Emitter& e, Layout& layout);

/// RAX = pc: on to its code if the jump table has it, else exit_lookup. Uses RCX, RDX, RSI.
void emit_jump_lookup(Emitter& e, const Routines& routines);

}  // namespace hindsight::engine::host::x64
