// What the floating-point and vector parts of the x86 frontend share: register access in IR, the checks at
// the start of an instruction, and the helpers behind them. Lift side: one thread, pure. Helper side: the run
// loop's thread. Helpers with kTouchesVectors run with the guest's MXCSR live in the host
// (engine/ir/vector_ops.h).
#pragma once

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/lift.h"
#include "engine/ir/vector_ops.h"

namespace hindsight::engine::guest::x86::fp {

using ir::IntVecOp;
using ir::Type;
using ir::Value;
using ir::VecFlagsOp;
using ir::VecIntOp;
using ir::VecOp;

constexpr std::uint32_t xmm_offset(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(CpuState, xmm) + index * sizeof(Vector));
}
constexpr std::uint32_t st_offset(unsigned physical) {
  return static_cast<std::uint32_t>(offsetof(CpuState, st) + physical * sizeof(Vector));
}

inline CpuState* cpu(ir::CoreState* state) { return static_cast<CpuState*>(state); }

// --- start of an instruction ---

/// False: the instruction raises #UD or #NM (CR0.EM, CR4.OSFXSR, CR0.TS) and its lift is over.
bool sse_available(LiftContext& ctx);
bool mmx_available(LiftContext& ctx);
bool x87_available(LiftContext& ctx);
/// An exception is unmasked: floating point goes by checked forms.
inline bool fp_exact(const LiftContext& ctx) { return (ctx.mode & mode::kFpExact) != 0; }

// --- vector operations ---

inline Value vec(LiftContext& ctx, VecOp op, Value a, Value b, std::int64_t imm = 0) {
  return ctx.b.vec(static_cast<std::uint16_t>(op), a, b, imm);
}
inline Value vec_int(LiftContext& ctx, VecIntOp op, Value a, Value b, std::int64_t imm = 0) {
  return ctx.b.vec_int(static_cast<std::uint16_t>(op), a, b, imm);
}
inline Value int_vec(LiftContext& ctx, IntVecOp op, Value a, std::int64_t imm = 0) {
  return ctx.b.int_vec(static_cast<std::uint16_t>(op), a, imm);
}
inline Value from_i64(LiftContext& ctx, Value v) { return vec_int(ctx, VecIntOp::FromI64, ir::kNoValue, v); }
inline Value low_i64(LiftContext& ctx, Value v) { return int_vec(ctx, IntVecOp::ExtractI64x2, v, 0); }
inline Value high_i64(LiftContext& ctx, Value v) { return int_vec(ctx, IntVecOp::ExtractI64x2, v, 1); }
inline Value zext64(LiftContext& ctx, Value v) { return ctx.b.zext(Type::I64, v); }

inline Value xmm(LiftContext& ctx, unsigned index) { return ctx.b.load_reg(Type::V128, xmm_offset(index)); }
inline void set_xmm(LiftContext& ctx, unsigned index, Value v) {
  ctx.b.store_reg(Type::V128, xmm_offset(index), v);
}

/// TOP = 0, all tags valid (SDM vol. 1, 9.5.1).
void enter_mmx(CpuState& s);

/// Brackets floating-point operations of one instruction. Where an exception is unmasked, the
/// check raises #XM before anything is committed (SDM vol. 1, 11.5); elsewhere it emits nothing.
class SimdExceptions {
 public:
  explicit SimdExceptions(LiftContext& ctx);
  /// After the operations, before the commits. `mmx`: the instruction writes an MMX register, and the x87
  /// state is turned over to MMX even if #XM is raised, as processors do.
  void check(bool mmx = false);

 private:
  LiftContext& ctx_;
  Value before_ = ir::kNoValue;
  std::size_t first_ = 0;
};

}  // namespace hindsight::engine::guest::x86::fp
