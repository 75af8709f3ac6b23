// Lift functions of MMX and of the SSE instructions on MMX registers, for fp_table.cc. MM0..MM7 are the low
// 64 bits of x87 registers R0..R7; a write sets the rest to ones, and every instruction sets TOP to 0 and all
// tags to valid (SDM vol. 1, 9.2.1, 9.5.1). The arithmetic is that of the 16-byte operations on values whose
// upper half is zero. Pure; one thread.
#pragma once

#include "engine/guest/x86/fp_common.h"

namespace hindsight::engine::guest::x86::fp {

Value mm(LiftContext& ctx, unsigned index);  ///< V128, upper half zero
/// Register or `bytes` of memory.
Value mmx_source(LiftContext& ctx, unsigned bytes);
/// Commits: TOP = 0, tags valid. Every MMX lift ends with it.
void mmx_touch(LiftContext& ctx);
void set_mm(LiftContext& ctx, unsigned index, Value i64);

/// P = op(P, Q, Ib) on the low half.
template <VecOp op, unsigned bytes = 8>
void lift_mmx(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value b = mmx_source(ctx, bytes), a = mm(ctx, ctx.d.reg3());
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, vec(ctx, op, a, b, ctx.d.immediate & 255)));
}
/// PUNPCKH: the high half of what the low-half interleave gives.
template <VecOp op>
void lift_mmx_high(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value b = mmx_source(ctx, 8), a = mm(ctx, ctx.d.reg3());
  set_mm(ctx, ctx.d.reg3(), high_i64(ctx, vec(ctx, op, a, b)));
}
/// PACK and PHADD: the operation on both operands side by side.
template <VecOp op>
void lift_mmx_pair(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value b = mmx_source(ctx, 8), a = mm(ctx, ctx.d.reg3());
  const Value both = vec(ctx, VecOp::UnpackLowI64x2, a, b);
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, vec(ctx, op, both, both)));
}
/// N = op(N, Ib): shifts.
template <VecOp op>
void lift_mmx_shift(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value a = mm(ctx, ctx.d.rm3());
  set_mm(ctx, ctx.d.rm3(), low_i64(ctx, vec(ctx, op, a, a, ctx.d.immediate & 255)));
}

void lift_mmx_pshufb(LiftContext& ctx);
void lift_mmx_palignr(LiftContext& ctx);
void lift_mmx_movd_load(LiftContext& ctx);
void lift_mmx_movd_store(LiftContext& ctx);
void lift_mmx_movq_load(LiftContext& ctx);
void lift_mmx_movq_store(LiftContext& ctx);
void lift_mmx_movntq(LiftContext& ctx);
void lift_mmx_maskmovq(LiftContext& ctx);
void lift_mmx_pinsrw(LiftContext& ctx);
void lift_mmx_pextrw(LiftContext& ctx);
void lift_mmx_pmovmskb(LiftContext& ctx);
void lift_movq2dq(LiftContext& ctx);
void lift_movdq2q(LiftContext& ctx);
void lift_cvtpi2ps(LiftContext& ctx);
void lift_cvtpi2pd(LiftContext& ctx);
void lift_cvtps2pi(LiftContext& ctx);
void lift_cvttps2pi(LiftContext& ctx);
void lift_cvtpd2pi(LiftContext& ctx);
void lift_cvttpd2pi(LiftContext& ctx);
void lift_emms(LiftContext& ctx);

}  // namespace hindsight::engine::guest::x86::fp
