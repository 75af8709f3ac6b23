#include "engine/guest/x86/fp_common.h"

#include "engine/guest/x86/fp_x87.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

constexpr std::uint64_t kCr0Em = 4, kCr4Osfxsr = 1u << 9, kCr4Osxmmexcpt = 1u << 10;
constexpr std::uint32_t kUnderflowMask = ir::mxcsr::kUnderflow << 7;

// SDM vol. 3, table 2-2 and 14.1: SSE is undefined under EM or without OSFXSR, else not available under TS.
std::uint64_t sse_unavailable(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  const CpuState* s = cpu(state);
  const bool undefined = (s->cr0 & kCr0Em) != 0 || (s->cr4 & kCr4Osfxsr) == 0;
  ir::raise(state, undefined ? exception::kUd : exception::kNm);
  return 0;
}
// MMX: #UD under EM, #NM under TS (SDM vol. 3, 12.1).
std::uint64_t mmx_unavailable(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  ir::raise(state, (cpu(state)->cr0 & kCr0Em) != 0 ? exception::kUd : exception::kNm);
  return 0;
}
// x87: #NM under EM or TS (SDM vol. 3, table 2-2).
std::uint64_t x87_unavailable(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  ir::raise(state, exception::kNm);
  return 0;
}

std::uint64_t simd_begin(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  namespace mx = ir::mxcsr;
  const std::uint32_t all = mx::from_host(state->guest_mxcsr, ir::read_host_mxcsr());
  state->guest_mxcsr = all & ~mx::kFlags;
  ir::write_host_mxcsr(mx::to_host(state->guest_mxcsr));
  return all;
}

// An unmasked underflow is flagged for every tiny result, a masked one only if inexact as well. With FTZ the
// host flags every tiny result, so the operations run a second time for that flag alone. Returns the flags of
// the first run. Precision is as for a masked underflow: flagged too where only the denormal form is inexact.
std::uint64_t simd_again(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  namespace mx = ir::mxcsr;
  const std::uint32_t first = mx::from_host(state->guest_mxcsr, ir::read_host_mxcsr()) & mx::kFlags;
  state->guest_mxcsr = (state->guest_mxcsr & ~mx::kFlags) | mx::kFtz | kUnderflowMask;
  ir::write_host_mxcsr(mx::to_host(state->guest_mxcsr));
  return first;
}

// SDM vol. 1, 11.5.3 and 11.5.4: an unmasked exception found before computing (invalid, denormal, divide by
// zero) hides those found after it. `control`: MXCSR before the first run.
std::uint64_t simd_check(ir::CoreState* state, std::uint64_t control, std::uint64_t first,
                         std::uint64_t mmx) {
  namespace mx = ir::mxcsr;
  constexpr std::uint32_t kBeforeComputing = mx::kInvalid | mx::kDenormal | mx::kDivideByZero;
  if (mmx != 0) enter_mmx(*cpu(state));
  const std::uint32_t second = mx::from_host(state->guest_mxcsr, ir::read_host_mxcsr());
  const auto before = static_cast<std::uint32_t>(control);
  const std::uint32_t unmasked = ~(before >> 7) & mx::kFlags;
  auto raised = static_cast<std::uint32_t>(first) | (second & unmasked & mx::kUnderflow);
  if ((raised & unmasked & kBeforeComputing) != 0) raised &= kBeforeComputing;
  if ((raised & unmasked) != 0)
    ir::raise(state, (cpu(state)->cr4 & kCr4Osxmmexcpt) != 0 ? exception::kXm : exception::kUd);
  state->guest_mxcsr = before | raised;
  ir::write_host_mxcsr(mx::to_host(state->guest_mxcsr));
  return 0;
}

constexpr ir::HelperInfo kSseUnavailable{"sse_unavailable", sse_unavailable, ir::kMayTrap};
constexpr ir::HelperInfo kMmxUnavailable{"mmx_unavailable", mmx_unavailable, ir::kMayTrap};
constexpr ir::HelperInfo kX87Unavailable{"x87_unavailable", x87_unavailable, ir::kMayTrap};
constexpr ir::HelperInfo kSimdBegin{"simd_begin", simd_begin, ir::kTouchesVectors};
constexpr ir::HelperInfo kSimdAgain{"simd_again", simd_again, ir::kTouchesVectors};
constexpr ir::HelperInfo kSimdCheck{"simd_check", simd_check, ir::kTouchesVectors | ir::kMayTrap};

}  // namespace

bool sse_available(LiftContext& ctx) {
  if ((ctx.mode & (mode::kFpuTrap | mode::kSseOff)) == 0) return true;
  ctx.end_with_call(kSseUnavailable);
  return false;
}
bool mmx_available(LiftContext& ctx) {
  if ((ctx.mode & mode::kFpuTrap) != 0) {
    ctx.end_with_call(kMmxUnavailable);
    return false;
  }
  if (fp_exact(ctx)) ctx.b.call(kX87Wait);
  return true;
}
bool x87_available(LiftContext& ctx) {
  if ((ctx.mode & mode::kFpuTrap) == 0) return true;
  ctx.end_with_call(kX87Unavailable);
  return false;
}

SimdExceptions::SimdExceptions(LiftContext& ctx) : ctx_(ctx) {
  if (!fp_exact(ctx)) return;
  before_ = ctx.b.call(kSimdBegin);
  first_ = ctx.b.block().insts.size();
}
void SimdExceptions::check(bool mmx) {
  if (before_ == ir::kNoValue) return;
  const std::size_t end = ctx_.b.block().insts.size();
  const Value flags = ctx_.b.call(kSimdAgain);
  for (std::size_t i = first_; i < end; ++i) ctx_.b.append(ir::Inst{ctx_.b.block().insts[i]});
  ctx_.b.call(kSimdCheck, before_, flags, mmx ? ctx_.constant(1) : ir::kNoValue);
}

void enter_mmx(CpuState& s) {
  s.ftw = 0xFF;
  x87_set_top(s, 0);
}

}  // namespace hindsight::engine::guest::x86::fp
