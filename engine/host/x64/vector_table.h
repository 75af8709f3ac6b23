// How the host encodes the IR's vector sub-operations: legacy SSE forms up to SSE4.2 (x86-64-v2).
// Read by the code generator; constant data; any thread.
//
// `reg` and `rm` below are the ModRM fields. dst is a host register that holds `a` beforehand, unless the
// form or the property kVecUnary says that `a` is not read.
#pragma once

#include <cstdint>

#include "engine/ir/vector_ops.h"

namespace hindsight::engine::host::x64 {

enum class VectorForm : std::uint8_t {
  none,
  dst_src,    ///< reg = dst (holds a unless unary), rm = b [imm8 if imm]
  dst_digit,  ///< reg = digit, rm = dst (holds a), imm8
  dst_gpr,    ///< reg = dst (xmm; holds a unless unary), rm = b (general register) [imm8]
  gpr_src,    ///< reg = result (general register), rm = a (xmm) [imm8]
  src_gpr,    ///< reg = a (xmm), rm = result (general register) [imm8]
  flags,      ///< reg = a, rm = b; result in EFLAGS, all six flags as the IR wants them
};

/// [prefix] [REX] 0F [38 | 3A] opcode ModRM [imm8].
struct VectorEncoding {
  std::uint8_t prefix;  ///< 0, 66, F2 or F3
  std::uint8_t map;     ///< 0: 0F; 0x38: 0F 38; 0x3A: 0F 3A
  std::uint8_t opcode;
  VectorForm form;
  bool imm;            ///< an imm8 follows: the low 8 bits of Inst::imm
  bool wide;           ///< REX.W
  std::uint8_t digit;  ///< ModRM.reg of dst_digit
};

const VectorEncoding& encoding(ir::VecOp op);
const VectorEncoding& encoding(ir::VecIntOp op);
const VectorEncoding& encoding(ir::IntVecOp op);
const VectorEncoding& encoding(ir::VecFlagsOp op);

}  // namespace hindsight::engine::host::x64
