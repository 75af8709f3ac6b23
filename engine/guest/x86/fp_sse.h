// Lift functions of SSE to SSE4.2, for fp_table.cc. Most instructions are one vector operation on ModRM.reg
// and ModRM.rm: templates over the operation and the size of the memory operand. Pure; one thread.
#pragma once

#include "engine/guest/x86/fp_common.h"

namespace hindsight::engine::guest::x86::fp {

enum class Alignment : std::uint8_t { none, natural };

/// The register named by ModRM.rm, or `bytes` of memory zero-extended. A memory operand of 16 bytes must be
/// aligned, or #GP (SDM vol. 1, 10.4.1.1), unless Alignment::none.
Value vector_source(LiftContext& ctx, unsigned bytes, Alignment alignment = Alignment::natural);
/// Linear address of the memory operand, checked.
Value vector_address(LiftContext& ctx, unsigned bytes, bool write, Alignment alignment);

constexpr bool has(VecOp op, ir::VecProperty property) {
  return (ir::kVecOps[static_cast<unsigned>(op)].properties & property) != 0;
}
/// Bits of the immediate that the operation defines.
constexpr std::int64_t immediate_mask(VecOp op) {
  switch (op) {
    case VecOp::CmpF32x4:
    case VecOp::CmpF32x1:
    case VecOp::CmpF64x2:
    case VecOp::CmpF64x1:
      return 7;
    case VecOp::RoundF32x4:
    case VecOp::RoundF32x1:
    case VecOp::RoundF64x2:
    case VecOp::RoundF64x1:
      return 15;
    default:
      return 255;
  }
}

/// V = op(V, W, Ib).
template <VecOp op, unsigned bytes = 16>
void lift_vec(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, bytes);
  const Value a = has(op, ir::kVecUnary) ? b : xmm(ctx, ctx.d.reg);
  const std::int64_t imm = ctx.d.immediate & immediate_mask(op);
  Value result;
  if constexpr (has(op, ir::kVecFloat)) {
    SimdExceptions exceptions(ctx);
    result = vec(ctx, op, a, b, imm);
    exceptions.check();
  } else {
    result = vec(ctx, op, a, b, imm);
  }
  set_xmm(ctx, ctx.d.reg, result);
}

/// U = op(U, Ib): shifts.
template <VecOp op>
void lift_vec_shift(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value a = xmm(ctx, ctx.d.rm);
  set_xmm(ctx, ctx.d.rm, vec(ctx, op, a, a, ctx.d.immediate & 255));
}

/// Compares V with W into the flags.
template <VecFlagsOp op, unsigned bytes>
void lift_vec_flags(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, bytes), a = xmm(ctx, ctx.d.reg);
  if (op == VecFlagsOp::TestBits || !fp_exact(ctx)) {
    ctx.b.vec_flags(static_cast<std::uint16_t>(op), a, b);
    return;
  }
  // The flags must not be committed before #XM is: compare once to find exceptions, once for the flags.
  SimdExceptions exceptions(ctx);
  const auto predicate = op == VecFlagsOp::UnorderedCmpF32x1 || op == VecFlagsOp::UnorderedCmpF64x1 ? 0 : 1;
  constexpr bool wide = op == VecFlagsOp::UnorderedCmpF64x1 || op == VecFlagsOp::OrderedCmpF64x1;
  vec(ctx, wide ? VecOp::CmpF64x1 : VecOp::CmpF32x1, a, b, predicate);
  exceptions.check();
  ctx.b.vec_flags(static_cast<std::uint16_t>(op), a, b);
}

/// G = op(W) with a 32- or 64-bit result as REX.W says.
template <IntVecOp op32, IntVecOp op64, unsigned bytes>
void lift_vec_to_int(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value a = vector_source(ctx, bytes);
  SimdExceptions exceptions(ctx);
  const Value result = int_vec(ctx, ctx.d.rex_w() ? op64 : op32, a);
  exceptions.check();
  ctx.set_gpr(ctx.d.reg, ctx.d.rex_w() ? result : ctx.b.trunc(Type::I32, result));
}

/// V = op(V, E) from a 32- or 64-bit integer as REX.W says.
template <VecIntOp op32, VecIntOp op64>
void lift_int_to_vec(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = zext64(ctx, ctx.operand(1));
  const Value a = xmm(ctx, ctx.d.reg);
  SimdExceptions exceptions(ctx);
  const Value result = vec_int(ctx, ctx.d.rex_w() ? op64 : op32, a, b);
  exceptions.check();
  set_xmm(ctx, ctx.d.reg, result);
}

/// V = W and W = V, 16 bytes.
template <Alignment alignment>
void lift_vec_load(LiftContext& ctx) {
  if (sse_available(ctx)) set_xmm(ctx, ctx.d.reg, vector_source(ctx, 16, alignment));
}
template <Alignment alignment>
void lift_vec_store(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value v = xmm(ctx, ctx.d.reg);
  if (!ctx.d.is_memory()) return set_xmm(ctx, ctx.d.rm, v);
  vector_address(ctx, 16, true, alignment);
  ctx.store(v);
}

/// G (32 bits) = sign bits of U.
template <IntVecOp op>
void lift_vec_signs(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  ctx.set_gpr(ctx.d.reg, ctx.b.trunc(Type::I32, int_vec(ctx, op, xmm(ctx, ctx.d.rm))));
}

/// Even and odd lanes of the two operands added or subtracted: HADDPS and kin.
template <bool subtract, bool wide>
void lift_vec_horizontal(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, 16), a = xmm(ctx, ctx.d.reg);
  const VecOp shuffle = wide ? VecOp::ShufF64x2 : VecOp::ShufF32x4;
  const Value even = vec(ctx, shuffle, a, b, wide ? 0 : 0x88), odd = vec(ctx, shuffle, a, b, wide ? 3 : 0xDD);
  constexpr VecOp op =
      subtract ? (wide ? VecOp::SubF64x2 : VecOp::SubF32x4) : (wide ? VecOp::AddF64x2 : VecOp::AddF32x4);
  SimdExceptions exceptions(ctx);
  const Value result = vec(ctx, op, even, odd);
  exceptions.check();
  set_xmm(ctx, ctx.d.reg, result);
}

enum class BlendLane : std::uint8_t { i8, f32, f64 };
template <BlendLane lane>
void lift_blend_by_xmm0(LiftContext& ctx);

// moves of parts
void lift_movss_load(LiftContext& ctx);
void lift_movss_store(LiftContext& ctx);
void lift_movsd_load(LiftContext& ctx);
void lift_movsd_store(LiftContext& ctx);
void lift_movlp_load(LiftContext& ctx);  ///< MOVLPS, MOVLPD m64; MOVHLPS
void lift_movhp_load(LiftContext& ctx);  ///< MOVHPS, MOVHPD m64; MOVLHPS
void lift_movlp_store(LiftContext& ctx);
void lift_movhp_store(LiftContext& ctx);
void lift_movq_load(LiftContext& ctx);   ///< F3 0F 7E
void lift_movq_store(LiftContext& ctx);  ///< 66 0F D6
void lift_movd_load(LiftContext& ctx);   ///< 66 0F 6E
void lift_movd_store(LiftContext& ctx);  ///< 66 0F 7E
void lift_maskmovdqu(LiftContext& ctx);
// lanes
void lift_pinsrb(LiftContext& ctx);
void lift_pinsrw(LiftContext& ctx);
void lift_pinsrd(LiftContext& ctx);
void lift_insertps(LiftContext& ctx);
void lift_pextrb(LiftContext& ctx);
void lift_pextrw(LiftContext& ctx);      ///< 66 0F 3A 15
void lift_pextrw_reg(LiftContext& ctx);  ///< 66 0F C5
void lift_pextrd(LiftContext& ctx);      ///< and EXTRACTPS
void lift_extractps(LiftContext& ctx);
// composed
void lift_dpps(LiftContext& ctx);
void lift_dppd(LiftContext& ctx);
template <bool root, bool packed>
void lift_reciprocal(LiftContext& ctx);
template <bool explicit_length, bool index>
void lift_string_compare(LiftContext& ctx);
void lift_ldmxcsr(LiftContext& ctx);
void lift_stmxcsr(LiftContext& ctx);

}  // namespace hindsight::engine::guest::x86::fp
