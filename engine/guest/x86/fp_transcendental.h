// The transcendental instructions of x87 in integer arithmetic. Processors differ in their last bits, so
// results are defined here instead: the exact value, computed to about 2^-120, then rounded once to a 64-bit
// significand as the control word's rounding field says (SDM vol. 1, 8.3.10 allows an error of one unit in
// the last place). FSIN, FCOS, FSINCOS and FPTAN reduce their argument by the 66-bit value of pi that SDM
// vol. 1, 8.3.8 gives. Results outside an instruction's domain that the SDM leaves undefined: F2XM1 returns
// its operand for |x| > 1; FYL2XP1 computes for any x > -1. Pure functions of operands and control word; any
// thread; the same on every host.
#pragma once

#include <cstdint>

#include "engine/guest/x86/fp_x87.h"

namespace hindsight::engine::guest::x86::fp {

/// Each replaces its first operand and returns exception flags, C1 (rounded up) and, where the operand is out
/// of range and unchanged, C2.
using X87Status = std::uint16_t;

X87Status f2xm1(Vector& x, std::uint16_t control);
X87Status fyl2x(Vector& y, const Vector& x, std::uint16_t control);    ///< y log2(x)
X87Status fyl2xp1(Vector& y, const Vector& x, std::uint16_t control);  ///< y log2(x + 1)
X87Status fpatan(Vector& y, const Vector& x, std::uint16_t control);   ///< angle of the point (x, y)
X87Status fsin(Vector& x, std::uint16_t control);
X87Status fcos(Vector& x, std::uint16_t control);
X87Status fsincos(Vector& x, Vector& cosine, std::uint16_t control);
X87Status fptan(Vector& x, Vector& one, std::uint16_t control);

/// For FPREM: 0 if a reduction of a by b completes in one step, else the power of two by which b is to be
/// scaled for a partial one.
int partial_remainder_shift(Float80 a, Float80 b);
/// f * 2^shift, normalised; f finite and not zero, the result in range.
Float80 scaled(Float80 f, int shift);

}  // namespace hindsight::engine::guest::x86::fp
