#include "engine/guest/x86/fp_mmx.h"

#include "engine/guest/x86/fp_sse.h"
#include "engine/guest/x86/fp_sse_helpers.h"

namespace hindsight::engine::guest::x86::fp {

Value mm(LiftContext& ctx, unsigned index) {
  return from_i64(ctx, ctx.b.load_reg(Type::I64, st_offset(index)));
}
Value mmx_source(LiftContext& ctx, unsigned bytes) {
  if (!ctx.d.is_memory()) return mm(ctx, ctx.d.rm3());
  return from_i64(ctx, zext64(ctx, ctx.load(LiftContext::integer_type(bytes))));
}
void mmx_touch(LiftContext& ctx) {
  ctx.b.store_reg(Type::I8, offsetof(CpuState, ftw), ctx.constant(Type::I8, 0xFF));
  if (ctx.fpu_top() != 0) ctx.set_fpu_top(0);
}
void set_mm(LiftContext& ctx, unsigned index, Value i64) {
  ctx.b.store_reg(Type::I64, st_offset(index), i64);
  ctx.b.store_reg(Type::I16, st_offset(index) + 8, ctx.constant(Type::I16, 0xFFFF));
  mmx_touch(ctx);
}

// Index bits 0..2 count, bit 7 clears: bit 3 would reach the upper half.
void lift_mmx_pshufb(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value indices =
      vec(ctx, VecOp::And, mmx_source(ctx, 8), from_i64(ctx, ctx.constant(0x8787878787878787)));
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, vec(ctx, VecOp::ShufI8x16, mm(ctx, ctx.d.reg3()), indices)));
}
void lift_mmx_palignr(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value b = mmx_source(ctx, 8);
  const Value both = vec(ctx, VecOp::UnpackLowI64x2, b, mm(ctx, ctx.d.reg3()));
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, vec(ctx, VecOp::ShrBytes, both, both, ctx.d.immediate & 255)));
}
void lift_mmx_movd_load(LiftContext& ctx) {
  if (mmx_available(ctx)) set_mm(ctx, ctx.d.reg3(), zext64(ctx, ctx.operand(1)));
}
void lift_mmx_movd_store(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value v = ctx.b.load_reg(Type::I64, st_offset(ctx.d.reg3()));
  ctx.write(0, ctx.d.rex_w() ? v : ctx.b.trunc(Type::I32, v));
  mmx_touch(ctx);
}
void lift_mmx_movq_load(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  set_mm(ctx, ctx.d.reg3(),
         ctx.d.is_memory() ? ctx.load(Type::I64) : ctx.b.load_reg(Type::I64, st_offset(ctx.d.rm3())));
}
void lift_mmx_movq_store(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value v = ctx.b.load_reg(Type::I64, st_offset(ctx.d.reg3()));
  if (!ctx.d.is_memory()) return set_mm(ctx, ctx.d.rm3(), v);
  ctx.store(v);
  mmx_touch(ctx);
}
void lift_mmx_movntq(LiftContext& ctx) { lift_mmx_movq_store(ctx); }

void lift_mmx_maskmovq(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value offset = ctx.gpr(kRdi, LiftContext::integer_type(ctx.d.address_bytes));
  const Value address = ctx.segment_linear(ctx.d.segment, zext64(ctx, offset), 8, true);
  const std::uint64_t registers = ctx.d.reg3() | std::uint64_t{ctx.d.rm3()} << 8 | std::uint64_t{8} << 16;
  ctx.b.call(kMaskedStoreMm, address, ctx.constant(registers),
             ctx.constant(LiftContext::segment_access(ctx.d.segment)));
  mmx_touch(ctx);
}
void lift_mmx_pinsrw(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  const Value lane = ctx.d.is_memory() ? zext64(ctx, ctx.load(Type::I16)) : ctx.gpr(ctx.d.rm, Type::I64);
  const Value v = vec_int(ctx, VecIntOp::InsertI16x8, mm(ctx, ctx.d.reg3()), lane, ctx.d.immediate & 3);
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, v));
}
void lift_mmx_pextrw(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  ctx.set_gpr(ctx.d.reg, int_vec(ctx, IntVecOp::ExtractI16x8, mm(ctx, ctx.d.rm3()), ctx.d.immediate & 3));
  mmx_touch(ctx);
}
void lift_mmx_pmovmskb(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  ctx.set_gpr(ctx.d.reg, int_vec(ctx, IntVecOp::SignsI8x16, mm(ctx, ctx.d.rm3())));
  mmx_touch(ctx);
}
void lift_movq2dq(LiftContext& ctx) {
  if (!sse_available(ctx) || !mmx_available(ctx)) return;
  set_xmm(ctx, ctx.d.reg, mm(ctx, ctx.d.rm3()));
  mmx_touch(ctx);
}
void lift_movdq2q(LiftContext& ctx) {
  if (!sse_available(ctx) || !mmx_available(ctx)) return;
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, xmm(ctx, ctx.d.rm)));
}

// With a memory operand the x87 state is left alone: documented for CVTPI2PD (SDM vol. 2), done for both.
void lift_cvtpi2ps(LiftContext& ctx) {
  if (!sse_available(ctx) || (!ctx.d.is_memory() && !mmx_available(ctx))) return;
  const Value b = mmx_source(ctx, 8);
  SimdExceptions exceptions(ctx);
  const Value floats = vec(ctx, VecOp::CvtI32x4ToF32x4, b, b);
  exceptions.check(!ctx.d.is_memory());
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::MergeF64x1, xmm(ctx, ctx.d.reg), floats));
  if (!ctx.d.is_memory()) mmx_touch(ctx);
}
void lift_cvtpi2pd(LiftContext& ctx) {
  if (!sse_available(ctx) || (!ctx.d.is_memory() && !mmx_available(ctx))) return;
  const Value b = mmx_source(ctx, 8);
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::CvtI32x2ToF64x2, b, b));
  if (!ctx.d.is_memory()) mmx_touch(ctx);
}

namespace {
template <VecOp op, unsigned bytes>
void convert_to_mmx(LiftContext& ctx) {
  if (!sse_available(ctx) || !mmx_available(ctx)) return;
  Value b = vector_source(ctx, bytes);
  // The upper half must not raise exceptions.
  if (bytes == 8 && !ctx.d.is_memory()) b = vec(ctx, VecOp::MoveLowI64, b, b);
  SimdExceptions exceptions(ctx);
  const Value ints = vec(ctx, op, b, b);
  exceptions.check(true);
  set_mm(ctx, ctx.d.reg3(), low_i64(ctx, ints));
}
}  // namespace
void lift_cvtps2pi(LiftContext& ctx) { convert_to_mmx<VecOp::CvtF32x4ToI32x4, 8>(ctx); }
void lift_cvttps2pi(LiftContext& ctx) { convert_to_mmx<VecOp::CvtTruncF32x4ToI32x4, 8>(ctx); }
void lift_cvtpd2pi(LiftContext& ctx) { convert_to_mmx<VecOp::CvtF64x2ToI32x2, 16>(ctx); }
void lift_cvttpd2pi(LiftContext& ctx) { convert_to_mmx<VecOp::CvtTruncF64x2ToI32x2, 16>(ctx); }

void lift_emms(LiftContext& ctx) {
  if (!mmx_available(ctx)) return;
  ctx.b.store_reg(Type::I8, offsetof(CpuState, ftw), ctx.constant(Type::I8, 0));
  if (ctx.fpu_top() != 0) ctx.set_fpu_top(0);  // SDM vol. 3, table 12-2
}

}  // namespace hindsight::engine::guest::x86::fp
