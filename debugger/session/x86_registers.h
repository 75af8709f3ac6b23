// The registers of an x86 CPU as a session shows them, out of the state that every machine saves. A table;
// any thread.
#pragma once

#include <span>
#include <vector>

#include "debugger/session/session.h"
#include "traces/schema/cpu_x86.capnp.h"

namespace hindsight::debugger::session {

[[nodiscard]] std::span<const RegisterInfo> x86_register_table();
/// The value of one row of the table.
[[nodiscard]] RegisterValue x86_register(std::size_t index, traces::schema::CpuX86State::Reader cpu);

}  // namespace hindsight::debugger::session
