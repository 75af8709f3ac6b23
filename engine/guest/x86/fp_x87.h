// x87: helpers that execute one instruction on the state, and how the lift functions call them.
//
// TOP is known at translation: helpers get physical register numbers in an X87Op. Where all exceptions are
// masked (mode bit kFpExact clear) TOP after an instruction is known too. Where one is unmasked an
// instruction may end without popping, or raise #MF for an earlier one, so its block ends after it and the
// helper's TOP counts. FIP, FDP and FOP are not updated by instructions: they keep what FLDENV, FRSTOR,
// FXRSTOR or XRSTOR loaded, zero after reset and FNINIT. Lift side pure; helpers on the run loop's thread;
// IEEE-exact operations of the host or integer arithmetic only, so results are the same on every host.
#pragma once

#include "engine/guest/x86/fp_common.h"

namespace hindsight::engine::guest::x86::fp {

/// Status word (SDM vol. 1, 8.1.3) without TOP.
namespace fsw {
constexpr std::uint16_t kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8, kUnderflow = 16,
                        kPrecision = 32, kStackFault = 64, kSummary = 128, kC0 = 256, kC1 = 512, kC2 = 1024,
                        kC3 = 1 << 14, kBusy = 1 << 15, kExceptions = 63, kConditions = kC0 | kC1 | kC2 | kC3,
                        kTop = 7 << 11;
}  // namespace fsw

/// Which registers an instruction works on, by physical number; packed into a helper's first argument.
struct X87Op {
  std::uint8_t dst = 0;
  std::uint8_t src = 0;
  std::uint8_t top = 0;  ///< TOP before
  std::int8_t pops = 0;  ///< 0 to 2; -1 for a push (dst is then the new top)

  [[nodiscard]] unsigned top_after() const { return static_cast<unsigned>(top + pops) & 7; }
  [[nodiscard]] std::uint64_t pack() const {
    return dst | std::uint64_t{src} << 8 | std::uint64_t{top} << 16 |
           std::uint64_t{static_cast<std::uint8_t>(pops)} << 24;
  }
  static X87Op unpack(std::uint64_t v) {
    return {static_cast<std::uint8_t>(v & 7), static_cast<std::uint8_t>((v >> 8) & 7),
            static_cast<std::uint8_t>((v >> 16) & 7), static_cast<std::int8_t>(v >> 24)};
  }
};

/// One function, as it is called where all exceptions are masked and where not, and as the meaning of an
/// Op::X87 with a memory operand: (ir::X87Operands, address), where the helper accesses memory itself.
struct X87Helper {
  ir::HelperInfo masked, exact, memory;
  constexpr X87Helper(const char* name, ir::HelperFn fn, std::uint32_t effects = 0,
                      ir::HelperFn memory_fn = nullptr)
      : masked{name, fn, effects | ir::kTouchesVectors},
        exact{name, fn, effects | ir::kTouchesVectors | ir::kMayTrap},
        memory{name, memory_fn, effects | ir::kTouchesVectors | ir::kMayTrap} {}
};

/// #MF if an unmasked exception is pending.
extern const ir::HelperInfo kX87Wait;

// (X87Op, low, high): an operand of memory, or an address to store to and its AccessFlags
enum class X87Arith : std::uint8_t {
  add,
  mul,
  com,
  comp,
  sub,
  subr,
  div,
  divr
};  ///< as ModRM.reg numbers them
enum class X87Operand : std::uint8_t { reg, f32, i32, f64, i16 };
const X87Helper& arithmetic_helper(X87Arith operation, X87Operand operand);
enum class X87Format : std::uint8_t { f32, f64, f80, i16, i32, i64, bcd, truncate16, truncate32, truncate64 };
const X87Helper& load_helper(X87Format format);   ///< pushes
const X87Helper& store_helper(X87Format format);  ///< stores src, pops
enum class X87Constant : std::uint8_t { one, l2t, l2e, pi, lg2, ln2, zero };
const X87Helper& constant_helper(X87Constant which);
/// D9 F0..FF and D9 E0..E5 on ST(0), ST(1).
enum class X87Function : std::uint8_t {
  f2xm1,
  fyl2x,
  fptan,
  fpatan,
  fxtract,
  fprem1,
  fprem,
  fyl2xp1,
  fsqrt,
  fsincos,
  frndint,
  fscale,
  fsin,
  fcos,
  fchs,
  fabs,
  ftst,
  fxam,
};
const X87Helper& function_helper(X87Function which);
extern const X87Helper kX87Push, kX87Copy, kX87Exchange, kX87MoveIf, kX87Free, kX87Turn;
extern const X87Helper kX87Unordered, kX87CompareFlags, kX87UnorderedFlags;

// control; each takes (.., next pc) where it ends the block
extern const ir::HelperInfo kX87Init, kX87LoadControl, kX87Clear;
extern const ir::HelperInfo kX87StoreEnvironment, kX87LoadEnvironment, kX87Save, kX87Restore;
extern const ir::HelperInfo kFxsave, kFxrstor, kXsave, kXrstor;

// --- for the helpers ---

/// Raises #MF for a pending exception; true if so.
bool x87_pending(CpuState* s);
/// The status word with TOP, as FNSTSW gives it.
std::uint16_t x87_status(const CpuState& s);
void x87_set_status(CpuState& s,
                    std::uint16_t status);  ///< TOP too; the summary as the control word makes it
void x87_set_top(CpuState& s, unsigned top);
/// Two bits a register (SDM vol. 1, 8.1.7).
std::uint16_t x87_full_tags(const CpuState& s);
void x87_init(CpuState& s);

/// An 80-bit number by its parts, and in its memory form.
struct Float80 {
  std::uint64_t mantissa;
  std::uint16_t sign_exponent;
};
Float80 parts(const Vector& v);
Vector memory_form(Float80 f);
constexpr Float80 kDefaultNan{0xC000000000000000, 0xFFFF};

// lift functions
void lift_x87_memory(LiftContext& ctx);    ///< D8..DF with a memory operand
void lift_x87_register(LiftContext& ctx);  ///< D8..DF with a register
void lift_fwait(LiftContext& ctx);
void lift_fxsave(LiftContext& ctx);
void lift_fxrstor(LiftContext& ctx);
void lift_xsave(LiftContext& ctx);
void lift_xrstor(LiftContext& ctx);

}  // namespace hindsight::engine::guest::x86::fp
