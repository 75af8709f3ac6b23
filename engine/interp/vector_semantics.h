// The interpreter's semantics of the vector sub-operations (engine/ir/vector_ops.def): pure functions of
// their operands and, for floating point, of the MXCSR that the caller has put into the host's register (see
// GuestRounding). Lane moves and immediates are written out in C++; the rest uses the host's SSE up to
// SSE4.2, whose results the SDM defines to the last bit. Any thread.
#pragma once

#include <cstdint>

#include "engine/interp/interpreter.h"
#include "engine/ir/vector_ops.h"

namespace hindsight::engine::interp {

/// Held while guest floating point, or a helper with kTouchesVectors, runs.
using GuestRounding = ir::GuestMxcsrScope;

/// `sub` = VecOp, VecIntOp, IntVecOp, VecFlagsOp. Operands that an operation does not read may be anything.
Cell vec(std::uint16_t sub, const Cell& a, const Cell& b, std::int64_t imm);
Cell vec_int(std::uint16_t sub, const Cell& a, std::uint64_t b, std::int64_t imm);
std::uint64_t int_vec(std::uint16_t sub, const Cell& a, std::int64_t imm);
/// In eflags layout.
std::uint32_t vec_flags(std::uint16_t sub, const Cell& a, const Cell& b);

}  // namespace hindsight::engine::interp
