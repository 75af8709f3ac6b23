#include "engine/guest/x86/fp_sse.h"

#include "engine/guest/x86/fp_sse_helpers.h"

namespace hindsight::engine::guest::x86::fp {

Value vector_address(LiftContext& ctx, unsigned bytes, bool write, Alignment alignment) {
  const Value address = ctx.linear_address(bytes, write);
  if (bytes == 16 && alignment == Alignment::natural) ctx.b.trap_if_bits(address, 15, exception::kGp);
  return address;
}

Value vector_source(LiftContext& ctx, unsigned bytes, Alignment alignment) {
  if (!ctx.d.is_memory()) return xmm(ctx, ctx.d.rm);
  vector_address(ctx, bytes, false, alignment);
  if (bytes == 16) return ctx.load(Type::V128);
  return from_i64(ctx, zext64(ctx, ctx.load(LiftContext::integer_type(bytes))));
}

namespace {

Value load_i64(LiftContext& ctx, Type type) {
  vector_address(ctx, ir::bytes_of(type), false, Alignment::none);
  return zext64(ctx, ctx.load(type));
}
void store_low(LiftContext& ctx, Type type, Value v) {
  vector_address(ctx, ir::bytes_of(type), true, Alignment::none);
  ctx.store(type == Type::I64 ? v : ctx.b.trunc(type, v));
}

template <Type type, VecOp merge>
void move_scalar_load(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  if (ctx.d.is_memory()) return set_xmm(ctx, ctx.d.reg, from_i64(ctx, load_i64(ctx, type)));
  set_xmm(ctx, ctx.d.reg, vec(ctx, merge, xmm(ctx, ctx.d.reg), xmm(ctx, ctx.d.rm)));
}
template <Type type, VecOp merge>
void move_scalar_store(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value v = xmm(ctx, ctx.d.reg);
  if (ctx.d.is_memory()) return store_low(ctx, type, low_i64(ctx, v));
  set_xmm(ctx, ctx.d.rm, vec(ctx, merge, xmm(ctx, ctx.d.rm), v));
}

}  // namespace

void lift_movss_load(LiftContext& ctx) { move_scalar_load<Type::I32, VecOp::MergeF32x1>(ctx); }
void lift_movsd_load(LiftContext& ctx) { move_scalar_load<Type::I64, VecOp::MergeF64x1>(ctx); }
void lift_movss_store(LiftContext& ctx) { move_scalar_store<Type::I32, VecOp::MergeF32x1>(ctx); }
void lift_movsd_store(LiftContext& ctx) { move_scalar_store<Type::I64, VecOp::MergeF64x1>(ctx); }

void lift_movlp_load(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  if (!ctx.d.is_memory())
    return set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::MoveHighToLow, xmm(ctx, ctx.d.reg), xmm(ctx, ctx.d.rm)));
  const Value low = from_i64(ctx, load_i64(ctx, Type::I64));
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::MergeF64x1, xmm(ctx, ctx.d.reg), low));
}
void lift_movhp_load(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value low = ctx.d.is_memory() ? from_i64(ctx, load_i64(ctx, Type::I64)) : xmm(ctx, ctx.d.rm);
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::MoveLowToHigh, xmm(ctx, ctx.d.reg), low));
}
void lift_movlp_store(LiftContext& ctx) {
  if (sse_available(ctx)) store_low(ctx, Type::I64, low_i64(ctx, xmm(ctx, ctx.d.reg)));
}
void lift_movhp_store(LiftContext& ctx) {
  if (sse_available(ctx)) store_low(ctx, Type::I64, high_i64(ctx, xmm(ctx, ctx.d.reg)));
}
void lift_movq_load(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  if (ctx.d.is_memory()) return set_xmm(ctx, ctx.d.reg, from_i64(ctx, load_i64(ctx, Type::I64)));
  const Value v = xmm(ctx, ctx.d.rm);
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::MoveLowI64, v, v));
}
void lift_movq_store(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value v = xmm(ctx, ctx.d.reg);
  if (ctx.d.is_memory()) return store_low(ctx, Type::I64, low_i64(ctx, v));
  set_xmm(ctx, ctx.d.rm, vec(ctx, VecOp::MoveLowI64, v, v));
}
void lift_movd_load(LiftContext& ctx) {
  if (sse_available(ctx)) set_xmm(ctx, ctx.d.reg, from_i64(ctx, zext64(ctx, ctx.operand(1))));
}
void lift_movd_store(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value v = low_i64(ctx, xmm(ctx, ctx.d.reg));
  ctx.write(0, ctx.d.rex_w() ? v : ctx.b.trunc(Type::I32, v));
}

void lift_maskmovdqu(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value offset = ctx.gpr(kRdi, LiftContext::integer_type(ctx.d.address_bytes));
  const Value address = ctx.segment_linear(ctx.d.segment, zext64(ctx, offset), 16, true);
  const std::uint64_t registers = ctx.d.reg | std::uint64_t{ctx.d.rm} << 8 | std::uint64_t{16} << 16;
  ctx.b.call(kMaskedStoreXmm, address, ctx.constant(registers),
             ctx.constant(LiftContext::segment_access(ctx.d.segment)));
}

namespace {

template <VecIntOp op, Type type>
void insert_lane(LiftContext& ctx, unsigned lanes) {
  if (!sse_available(ctx)) return;
  const Value b = ctx.d.is_memory() ? load_i64(ctx, type) : ctx.gpr(ctx.d.rm, Type::I64);
  const std::int64_t lane = ctx.d.immediate & (lanes - 1);
  set_xmm(ctx, ctx.d.reg, vec_int(ctx, op, xmm(ctx, ctx.d.reg), b, lane));
}
/// To memory of `type`, or zero-extended to a register.
template <IntVecOp op, Type type>
void extract_lane(LiftContext& ctx, unsigned lanes) {
  if (!sse_available(ctx)) return;
  const Value v = int_vec(ctx, op, xmm(ctx, ctx.d.reg), ctx.d.immediate & (lanes - 1));
  if (ctx.d.is_memory()) return store_low(ctx, type, v);
  ctx.set_gpr(ctx.d.rm, v);
}

}  // namespace

void lift_pinsrb(LiftContext& ctx) { insert_lane<VecIntOp::InsertI8x16, Type::I8>(ctx, 16); }
void lift_pinsrw(LiftContext& ctx) { insert_lane<VecIntOp::InsertI16x8, Type::I16>(ctx, 8); }
void lift_pinsrd(LiftContext& ctx) {
  if (ctx.d.rex_w()) return insert_lane<VecIntOp::InsertI64x2, Type::I64>(ctx, 2);
  insert_lane<VecIntOp::InsertI32x4, Type::I32>(ctx, 4);
}
void lift_insertps(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  // A memory operand is one lane: the choice of the source lane is ignored (SDM vol. 2, INSERTPS).
  const std::int64_t imm = ctx.d.is_memory() ? ctx.d.immediate & 0x3F : ctx.d.immediate & 0xFF;
  const Value b = vector_source(ctx, 4);
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::InsertF32x4, xmm(ctx, ctx.d.reg), b, imm));
}
void lift_pextrb(LiftContext& ctx) { extract_lane<IntVecOp::ExtractI8x16, Type::I8>(ctx, 16); }
void lift_pextrw(LiftContext& ctx) { extract_lane<IntVecOp::ExtractI16x8, Type::I16>(ctx, 8); }
void lift_pextrw_reg(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  ctx.set_gpr(ctx.d.reg, int_vec(ctx, IntVecOp::ExtractI16x8, xmm(ctx, ctx.d.rm), ctx.d.immediate & 7));
}
void lift_pextrd(LiftContext& ctx) {
  if (ctx.d.rex_w()) return extract_lane<IntVecOp::ExtractI64x2, Type::I64>(ctx, 2);
  extract_lane<IntVecOp::ExtractI32x4, Type::I32>(ctx, 4);
}
void lift_extractps(LiftContext& ctx) { extract_lane<IntVecOp::ExtractI32x4, Type::I32>(ctx, 4); }

// Lanes of the second operand where the sign bit of XMM0's lane is set. Vec has two operands, so the sign is
// spread to a mask.
template <BlendLane lane>
void lift_blend_by_xmm0(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, 16), a = xmm(ctx, ctx.d.reg), selector = xmm(ctx, 0);
  Value mask;
  if constexpr (lane == BlendLane::i8) {
    mask = vec(ctx, VecOp::CmpGtI8x16, vec(ctx, VecOp::Xor, selector, selector), selector);
  } else {
    mask = vec(ctx, VecOp::SarImmI32x4, selector, selector, 31);
    if constexpr (lane == BlendLane::f64) mask = vec(ctx, VecOp::ShufI32x4, mask, mask, 0xF5);
  }
  set_xmm(ctx, ctx.d.reg,
          vec(ctx, VecOp::Or, vec(ctx, VecOp::And, mask, b), vec(ctx, VecOp::AndNot, mask, a)));
}
template void lift_blend_by_xmm0<BlendLane::i8>(LiftContext&);
template void lift_blend_by_xmm0<BlendLane::f32>(LiftContext&);
template void lift_blend_by_xmm0<BlendLane::f64>(LiftContext&);

// The order of additions is that of SDM vol. 2, DPPS: (0 + 1) + (2 + 3).
void lift_dpps(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, 16), a = xmm(ctx, ctx.d.reg), zero = vec(ctx, VecOp::Xor, a, a);
  const std::int64_t take = (ctx.d.immediate >> 4) & 15, give = ctx.d.immediate & 15;
  const Value x = vec(ctx, VecOp::BlendF32x4, zero, a, take), y = vec(ctx, VecOp::BlendF32x4, zero, b, take);
  SimdExceptions exceptions(ctx);
  const Value product = vec(ctx, VecOp::MulF32x4, x, y);
  const Value pairs = vec(ctx, VecOp::AddF32x4, vec(ctx, VecOp::ShufF32x4, product, product, 0x88),
                          vec(ctx, VecOp::ShufF32x4, product, product, 0xDD));
  const Value sum = vec(ctx, VecOp::AddF32x4, vec(ctx, VecOp::ShufF32x4, pairs, pairs, 0x00),
                        vec(ctx, VecOp::ShufF32x4, pairs, pairs, 0x55));
  exceptions.check();
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::BlendF32x4, zero, sum, give));
}
void lift_dppd(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, 16), a = xmm(ctx, ctx.d.reg), zero = vec(ctx, VecOp::Xor, a, a);
  const std::int64_t take = (ctx.d.immediate >> 4) & 3, give = ctx.d.immediate & 3;
  const Value x = vec(ctx, VecOp::BlendF64x2, zero, a, take), y = vec(ctx, VecOp::BlendF64x2, zero, b, take);
  SimdExceptions exceptions(ctx);
  const Value product = vec(ctx, VecOp::MulF64x2, x, y);
  const Value sum = vec(ctx, VecOp::AddF64x2, vec(ctx, VecOp::ShufF64x2, product, product, 0),
                        vec(ctx, VecOp::ShufF64x2, product, product, 3));
  exceptions.check();
  set_xmm(ctx, ctx.d.reg, vec(ctx, VecOp::BlendF64x2, zero, sum, give));
}

template <bool root, bool packed>
void lift_reciprocal(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, packed ? 16 : 4);
  const ir::HelperInfo& helper = root ? kReciprocalRoot : kReciprocal;
  const Value low = from_i64(ctx, ctx.b.call(helper, low_i64(ctx, b)));
  Value result;
  if constexpr (packed) {
    result = vec(ctx, VecOp::MoveLowToHigh, low, from_i64(ctx, ctx.b.call(helper, high_i64(ctx, b))));
  } else {
    result = vec(ctx, VecOp::MergeF32x1, xmm(ctx, ctx.d.reg), low);
  }
  set_xmm(ctx, ctx.d.reg, result);
}
template void lift_reciprocal<false, false>(LiftContext&);
template void lift_reciprocal<false, true>(LiftContext&);
template void lift_reciprocal<true, false>(LiftContext&);
template void lift_reciprocal<true, true>(LiftContext&);

// Unaligned memory operands are allowed (SDM vol. 2, PCMPESTRI).
template <bool explicit_length, bool index>
void lift_string_compare(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  const Value b = vector_source(ctx, 16, Alignment::none);
  const std::uint64_t descriptor = (static_cast<std::uint64_t>(ctx.d.immediate) & 0xFF) |
                                   std::uint64_t{ctx.d.reg} << 8 | std::uint64_t{explicit_length} << 16 |
                                   std::uint64_t{ctx.d.rex_w()} << 17 | std::uint64_t{index} << 18;
  const Value result =
      ctx.b.call(kStringCompare, ctx.constant(descriptor), low_i64(ctx, b), high_i64(ctx, b));
  const Value flags = ctx.b.trunc(Type::I32, ctx.b.binary(ir::Op::Shr, result, ctx.constant(32)));
  if constexpr (index) ctx.set_gpr(kRcx, ctx.b.trunc(Type::I32, result));
  ctx.b.set_flags(flags, ir::kFlagsAll);
}
template void lift_string_compare<false, false>(LiftContext&);
template void lift_string_compare<false, true>(LiftContext&);
template void lift_string_compare<true, false>(LiftContext&);
template void lift_string_compare<true, true>(LiftContext&);

// Unmasking or masking exceptions changes the mode, so the block ends.
void lift_ldmxcsr(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  ctx.end_with_call(kLoadMxcsr, load_i64(ctx, Type::I32), ctx.next_pc());
}
void lift_stmxcsr(LiftContext& ctx) {
  if (!sse_available(ctx)) return;
  store_low(ctx, Type::I32, ctx.b.call(kStoreMxcsr));
}

}  // namespace hindsight::engine::guest::x86::fp
