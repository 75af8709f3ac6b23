// What --engine says: which engine runs the machine and, for tests of what the guest must not be able to
// tell, how the translator's caches are cut.
//
//   interp | jit[:OPTION,…]     OPTION: plain         without the optional passes
//                                       max-insns=N   blocks of at most N instructions
//                                       cache=SIZE    bytes of code cache, with K or M
//                                       interp-from=N the interpreter from this icount on
// Values; any thread. Nothing here may change what a guest computes.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/exec/machine.h"

namespace hindsight::debugger::cli {

/// Sets what `text` names in `options`, and leaves the rest.
Status apply_engine(std::string_view text, engine::exec::MachineOptions& options);

/// For the command line's parser: what is wrong with `text`, or nothing.
[[nodiscard]] std::string check_engine(const std::string& text);

}  // namespace hindsight::debugger::cli
