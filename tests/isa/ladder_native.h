// The native rung: translates machine states to and from the host CPU's and compares. One test thread.
#pragma once

#include "tests/isa/ladder_engines.h"
#include "tests/isa/ladder_undefined.h"
#include "tests/support/native_runner.h"

namespace hindsight::tests {

/// Runs `code` on the host from `machine`, which becomes the result: a fault becomes a trap.
void run_natively(NativeRunner& runner, const Code& code, Machine& machine);

/// Differences between the host's result and the emulator's that the architecture does not allow.
std::string native_differences(const Machine& host, const Machine& emulated, const Freedom& freedom);

}  // namespace hindsight::tests
