// The sub-operations of the vector operations of the IR (Inst::sub), from vector_ops.def. Plain data; any
// thread.
//
// Floating point (kVecFloat) runs with the host's MXCSR holding the guest's rounding mode, DAZ and FTZ and
// with every exception masked, and leaves its exception flags in the host's MXCSR. So it has an effect even
// where its result is unused: a pass must not drop it and must keep it in order with calls that touch
// vectors. Where an exception is unmasked the frontend emits calls instead.
//
// Arithmetic here is only what IEEE 754 and the SDM define to the last bit, NaN choice included (SDM vol. 1,
// table 4-7), so results are the same on every host. Approximations (RCPPS, RSQRTPS) are calls.
#pragma once

#include <cstdint>

#include "engine/ir/core_state.h"

namespace hindsight::engine::ir {

enum VecProperty : std::uint8_t {
  kVecPlain = 0,
  kVecUnary = 1,      ///< reads b only (Vec: a is given as the same value; VecInt: a is kNoValue)
  kVecFirstOnly = 2,  ///< reads a only (b is given as the same value and ignored)
  kVecImm = 4,        ///< uses the immediate (8 bits)
  kVecFloat = 8,      ///< obeys and updates MXCSR
  kVecCommutes = 16,  ///< op(a, b) == op(b, a)
};

enum class VecOp : std::uint16_t {
#define VEC_OP(name, properties) name,
#include "engine/ir/vector_ops.def"
};
enum class VecIntOp : std::uint16_t {
#define VEC_INT_OP(name, properties) name,
#include "engine/ir/vector_ops.def"
};
enum class IntVecOp : std::uint16_t {
#define INT_VEC_OP(name, properties) name,
#include "engine/ir/vector_ops.def"
};
enum class VecFlagsOp : std::uint16_t {
#define VEC_FLAGS_OP(name, properties) name,
#include "engine/ir/vector_ops.def"
};

struct VecOpInfo {
  const char* name;
  std::uint8_t properties;
};

inline constexpr VecOpInfo kVecOps[] = {
#define VEC_OP(name, properties) {#name, properties},
#include "engine/ir/vector_ops.def"
};
inline constexpr VecOpInfo kVecIntOps[] = {
#define VEC_INT_OP(name, properties) {#name, properties},
#include "engine/ir/vector_ops.def"
};
inline constexpr VecOpInfo kIntVecOps[] = {
#define INT_VEC_OP(name, properties) {#name, properties},
#include "engine/ir/vector_ops.def"
};
inline constexpr VecOpInfo kVecFlagsOps[] = {
#define VEC_FLAGS_OP(name, properties) {#name, properties},
#include "engine/ir/vector_ops.def"
};
inline constexpr unsigned kVecOpCount = sizeof(kVecOps) / sizeof(kVecOps[0]);
inline constexpr unsigned kVecIntOpCount = sizeof(kVecIntOps) / sizeof(kVecIntOps[0]);
inline constexpr unsigned kIntVecOpCount = sizeof(kIntVecOps) / sizeof(kIntVecOps[0]);
inline constexpr unsigned kVecFlagsOpCount = sizeof(kVecFlagsOps) / sizeof(kVecFlagsOps[0]);

/// MXCSR fields (SDM vol. 1, 10.2.3).
namespace mxcsr {
constexpr std::uint32_t kFlags = 0x3F, kInvalid = 1, kDenormal = 2, kDivideByZero = 4, kOverflow = 8,
                        kUnderflow = 16, kPrecision = 32, kDaz = 1u << 6, kMasks = 0x3Fu << 7,
                        kRounding = 3u << 13, kFtz = 1u << 15, kWritable = 0xFFFF, kReset = 0x1F80;
/// What the host's MXCSR holds while guest floating point runs. FTZ acts only where underflow is masked (SDM
/// vol. 1, 10.2.3.3).
constexpr std::uint32_t to_host(std::uint32_t guest) {
  const bool underflow_unmasked = (guest & (kUnderflow << 7)) == 0;
  return (underflow_unmasked ? guest & ~kFtz : guest) | kMasks;
}
/// CoreState::guest_mxcsr after guest floating point left its flags in `host`.
constexpr std::uint32_t from_host(std::uint32_t guest, std::uint32_t host) { return guest | (host & kFlags); }
}  // namespace mxcsr

inline std::uint32_t read_host_mxcsr() {
  std::uint32_t value;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}
inline void write_host_mxcsr(std::uint32_t value) { asm volatile("ldmxcsr %0" : : "m"(value) : "memory"); }

/// The guest's MXCSR in the host's register for a scope; the flags flow back at its end. The interpreter
/// opens one around a block that has kVecFloat operations or calls with kTouchesVectors; generated code does
/// the same at its entry and exit. So helpers with kTouchesVectors always find the guest's MXCSR live in the
/// host, and CoreState::guest_mxcsr short of the flags raised since.
class GuestMxcsrScope {
 public:
  explicit GuestMxcsrScope(CoreState& state) : state_(state) {
    state.host_mxcsr = read_host_mxcsr();
    write_host_mxcsr(mxcsr::to_host(state.guest_mxcsr));
  }
  ~GuestMxcsrScope() {
    state_.guest_mxcsr = mxcsr::from_host(state_.guest_mxcsr, read_host_mxcsr());
    write_host_mxcsr(state_.host_mxcsr);
  }
  GuestMxcsrScope(const GuestMxcsrScope&) = delete;
  GuestMxcsrScope& operator=(const GuestMxcsrScope&) = delete;

 private:
  CoreState& state_;
};

/// The host's own MXCSR for a scope inside a helper that runs C++ floating point while the guest's is live.
class HostMxcsrScope {
 public:
  explicit HostMxcsrScope(std::uint32_t value = mxcsr::kReset) : saved_(read_host_mxcsr()) {
    write_host_mxcsr(value);
  }
  ~HostMxcsrScope() { write_host_mxcsr(saved_); }
  HostMxcsrScope(const HostMxcsrScope&) = delete;
  HostMxcsrScope& operator=(const HostMxcsrScope&) = delete;

 private:
  std::uint32_t saved_;
};

}  // namespace hindsight::engine::ir
