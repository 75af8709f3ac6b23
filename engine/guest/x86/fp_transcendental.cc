#include "engine/guest/x86/fp_transcendental.h"

#include <array>
#include <bit>

#include "engine/base/check.h"
#include "engine/guest/x86/fp_x87_host.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

__extension__ using Wide = unsigned __int128;
constexpr Wide wide(std::uint64_t high, std::uint64_t low) { return Wide{high} << 64 | low; }

/// (-1)^negative * mantissa / 2^127 * 2^exponent; the mantissa's top bit is set, or all of it is zero.
struct Real {
  Wide mantissa;
  int exponent;
  bool negative;
};

int leading_zeros(Wide v) {
  const auto high = static_cast<std::uint64_t>(v >> 64);
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<std::uint64_t>(v));
}
Real normalised(Wide mantissa, int exponent, bool negative) {
  if (mantissa == 0) return {0, 0, negative};
  const int shift = leading_zeros(mantissa);
  return {mantissa << shift, exponent - shift, negative};
}

/// The high 128 bits of the product.
Wide multiply_high(Wide a, Wide b) {
  const auto a1 = static_cast<std::uint64_t>(a >> 64), a0 = static_cast<std::uint64_t>(a);
  const auto b1 = static_cast<std::uint64_t>(b >> 64), b0 = static_cast<std::uint64_t>(b);
  const Wide low = Wide{a0} * b0, left = Wide{a1} * b0, right = Wide{a0} * b1;
  const Wide middle = (low >> 64) + static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right);
  return Wide{a1} * b1 + (left >> 64) + (right >> 64) + (middle >> 64);
}

Real multiply(const Real& a, const Real& b) {
  return normalised(multiply_high(a.mantissa, b.mantissa), a.exponent + b.exponent + 1,
                    a.negative != b.negative);
}

Real add(Real a, Real b) {
  if (a.mantissa == 0) return b;
  if (b.mantissa == 0) return a;
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.mantissa < b.mantissa)) std::swap(a, b);
  const int distance = a.exponent - b.exponent;
  const Wide small = distance < 128 ? b.mantissa >> distance : 0;
  if (a.negative != b.negative) return normalised(a.mantissa - small, a.exponent, a.negative);
  const Wide sum = a.mantissa + small;
  if (sum >= a.mantissa) return {sum, a.exponent, a.negative};
  return {sum >> 1 | Wide{1} << 127, a.exponent + 1, a.negative};
}
Real negated(Real a) {
  a.negative = !a.negative;
  return a;
}

Real divide(const Real& a, const Real& b) {
  // Long division, one bit a step: 128 quotient bits.
  Wide rest = a.mantissa, quotient = 0;
  int exponent = a.exponent - b.exponent;
  if (rest < b.mantissa) {
    --exponent;
    // The first step below needs rest >= divisor: 2 * rest does not fit, but 2 * rest - divisor does.
    rest = rest - (b.mantissa - rest);
  } else {
    rest -= b.mantissa;
  }
  quotient = 1;
  for (int i = 0; i < 127; ++i) {
    const bool carry = (rest >> 127) != 0;
    rest <<= 1;
    quotient <<= 1;
    if (carry || rest >= b.mantissa) {
      rest -= b.mantissa;
      quotient |= 1;
    }
  }
  return {quotient, exponent, a.negative != b.negative};
}

/// |value| as a fraction of 2^128; value < 1.
Wide fraction(const Real& v) {
  if (v.mantissa == 0) return 0;  // whatever its exponent
  const int shift = -1 - v.exponent;
  CHECK(shift >= 0, "a fraction expected, found the exponent {}", v.exponent);
  return shift < 128 ? v.mantissa >> shift : 0;
}

// --- series. Coefficients are fractions of 2^126; Horner's rule in fixed point ---

constexpr Wide kOne = Wide{1} << 126;

template <std::size_t count, int first, int step>
consteval std::array<Wide, count> inverse_factorials() {
  // 1 / (first)!, 1 / (first + step)!, ...
  std::array<Wide, count> out{};
  Wide value = kOne;
  for (int n = 2; n <= first; ++n) value /= static_cast<unsigned>(n);
  int n = first;
  for (std::size_t k = 0; k < count; ++k) {
    out[k] = value;
    for (int i = 0; i < step; ++i) value /= static_cast<unsigned>(++n);
  }
  return out;
}
template <std::size_t count>
consteval std::array<Wide, count> inverse_odd() {
  std::array<Wide, count> out{};
  for (std::size_t k = 0; k < count; ++k) out[k] = kOne / (2 * k + 1);
  return out;
}
constexpr auto kSine = inverse_factorials<17, 1, 2>();
constexpr auto kCosine = inverse_factorials<17, 0, 2>();
constexpr auto kExponential = inverse_factorials<30, 1, 1>();
constexpr auto kOdd = inverse_odd<26>();

/// c0 - t (c1 - t (c2 - ...)), or with sums.
template <std::size_t count>
Real series(const std::array<Wide, count>& c, Wide t, bool alternating) {
  Wide sum = c[count - 1];
  for (std::size_t k = count - 1; k-- > 0;) {
    const Wide product = multiply_high(t, sum);
    sum = alternating ? c[k] - product : c[k] + product;
  }
  return normalised(sum, 1, false);
}

// --- constants, from their expansions to 130 bits ---

const Real kPi = normalised(wide(0x6487ED5110B4611A, 0x62633145C06E0E69), 2, false);
const Real kHalfPi = normalised(wide(0x6487ED5110B4611A, 0x62633145C06E0E69), 1, false);
constexpr Real kLn2{wide(0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF), -1, false};
constexpr Real kTwoOverLn2{wide(0xB8AA3B295C17F0BB, 0xBE87FED0691D3E89), 1, false};
constexpr Real kUnit{Wide{1} << 127, 0, false};

/// atan(i / 16) * 2^127.
constexpr Wide kArctangents[17] = {
    wide(0x0000000000000000, 0x0000000000000000), wide(0x07FD56EDCB3F7A71, 0xB6593C96E071706B),
    wide(0x0FEADD4D5617B6E3, 0x2C897989F3E888EF), wide(0x17B97B4BCE5B0226, 0x8F6169F103938E91),
    wide(0x1F5B75F92C80DD62, 0xADB8F3DEBEF442FD), wide(0x26C4EE6E0FD7979A, 0x716AED26349EBCCA),
    wide(0x2DEC3283C9BDE11C, 0xE2A8C848B73F9121), wide(0x34C9DD879847F96D, 0x909F257A40079C4E),
    wide(0x3B58CE0AC3769ED1, 0x5BF9117B2F0EA341), wide(0x4195FA536CC33F15, 0x25B504E5B0D28AE0),
    wide(0x47802EAF7BFACFCD, 0xAE41AF0B32E21BA4), wide(0x4D17C07338DEED10, 0x21137C711027F9DE),
    wide(0x525E3E8C9A7B8492, 0x0CD43F9522BED64F), wide(0x5756261C5A6C6040, 0x0A392F179F290385),
    wide(0x5C029F15E118CF39, 0xE596D2A90852221F), wide(0x606742DC56293320, 0x44EEB16237497D12),
    wide(0x6487ED5110B4611A, 0x62633145C06E0E69),
};

// --- between Real and the 80-bit format ---

enum class Kind : std::uint8_t { zero, finite, infinite, nan };

Kind kind_of(const Float80& f) {
  const unsigned exponent = f.sign_exponent & 0x7FFFu;
  if (exponent == 0) return f.mantissa == 0 ? Kind::zero : Kind::finite;
  if ((f.mantissa >> 63) == 0) return Kind::nan;  // unsupported formats count as signalling NaNs
  if (exponent == 0x7FFF) return (f.mantissa << 1) == 0 ? Kind::infinite : Kind::nan;
  return Kind::finite;
}
bool negative(const Float80& f) { return (f.sign_exponent & 0x8000u) != 0; }
bool is_denormal(const Float80& f) { return (f.sign_exponent & 0x7FFFu) == 0 && f.mantissa != 0; }

Real real(const Float80& f) {
  const int exponent = f.sign_exponent & 0x7FFF;
  return normalised(wide(f.mantissa, 0), (exponent == 0 ? 1 : exponent) - 16383, negative(f));
}

constexpr X87Status kIe = 1, kDe = 2, kZe = 4, kOe = 8, kUe = 16, kPe = 32, kC1 = 0x200, kC2 = 0x400,
                    kReported = 0x3F | kC1;
constexpr int kWrap = 24576;  // exponent adjustment of unmasked over- and underflow (SDM vol. 1, 8.5.4)

Vector zero(bool sign) { return memory_form({0, static_cast<std::uint16_t>(sign ? 0x8000 : 0)}); }
Vector infinity(bool sign) {
  return memory_form({std::uint64_t{1} << 63, static_cast<std::uint16_t>(sign ? 0xFFFF : 0x7FFF)});
}
X87Status invalid(Vector& out) {
  out = memory_form(kDefaultNan);
  return kIe;
}

/// The value just above or below 2^16384 as the rounding asks.
X87Status overflowed(Vector& out, bool sign, unsigned rounding) {
  const bool up = rounding == 0 || (rounding == 1 && sign) || (rounding == 2 && !sign);
  out = up ? infinity(sign)
           : memory_form({~std::uint64_t{0}, static_cast<std::uint16_t>(0x7FFE | (sign ? 0x8000 : 0))});
  return static_cast<X87Status>(kOe | kPe | (up ? kC1 : 0));
}

/// Rounds an inexact result.
X87Status round(Vector& out, Real r, std::uint16_t control) {
  const unsigned rounding = (control >> 10) & 3;
  int exponent = r.exponent + 16383;
  X87Status status = kPe;
  if (exponent <= 0) {
    status |= kUe;
    if ((control & kUe) == 0) {
      exponent += kWrap;
    } else {
      const int shift = 1 - exponent;
      r.mantissa = shift < 128 ? r.mantissa >> shift : 0;
      exponent = 0;
    }
  }
  auto mantissa = static_cast<std::uint64_t>(r.mantissa >> 64);
  const bool half = ((r.mantissa >> 63) & 1) != 0;
  const bool up = rounding == 0 ? half : (rounding == 1 && r.negative) || (rounding == 2 && !r.negative);
  if (up) {
    status |= kC1;
    if (++mantissa == 0) {
      mantissa = std::uint64_t{1} << 63;
      ++exponent;
    }
  }
  if (exponent == 0 && (mantissa >> 63) != 0) exponent = 1;
  if (exponent >= 0x7FFF) {
    if ((control & kOe) != 0) return overflowed(out, r.negative, rounding);
    exponent -= kWrap;
    status |= kOe;
  }
  out = memory_form({mantissa, static_cast<std::uint16_t>(exponent | (r.negative ? 0x8000 : 0))});
  return status;
}

// --- sine and cosine ---

struct Reduced {
  Real rest;          ///< |rest| <= pi/4
  unsigned quadrant;  ///< 0 to 3
};

/// x modulo pi/2 for |x| < 2^63, with pi the 66-bit number P / 2^66.
Reduced reduce(const Real& x) {
  constexpr Wide kPi66 = wide(0xC, 0x90FDAA22168C234C);
  if (x.exponent < -1) return {x, 0};
  // In units of 2^-67, x is the integer m * 2^(exponent + 4) and pi/2 is P.
  Wide rest = x.mantissa >> 64;
  std::uint64_t quotient = 0;
  for (int left = x.exponent + 4; left > 0;) {
    const int step = left < 58 ? left : 58;
    rest <<= step;
    quotient = (quotient << step) + static_cast<std::uint64_t>(rest / kPi66);
    rest %= kPi66;
    left -= step;
  }
  bool below = false;
  if (rest > kPi66 / 2) {
    rest = kPi66 - rest;
    below = true;
    ++quotient;
  }
  if (x.negative) quotient = 0 - quotient;
  return {normalised(rest, 127 - 67, below != x.negative), static_cast<unsigned>(quotient & 3)};
}

struct SineCosine {
  Real sine, cosine;
};
SineCosine sine_cosine(const Real& x) {
  const Reduced r = reduce(x);
  const Wide t = fraction(multiply(r.rest, r.rest));
  const Real s = multiply(r.rest, series(kSine, t, true)), c = series(kCosine, t, true);
  switch (r.quadrant) {
    case 0:
      return {s, c};
    case 1:
      return {c, negated(s)};
    case 2:
      return {negated(s), negated(c)};
    default:
      return {negated(c), s};
  }
}

/// Handles what the four circular functions have in common; true if there is a finite value to work on.
bool circular_operand(Vector& x, const Float80& f, std::uint16_t control, X87Status& status) {
  switch (kind_of(f)) {
    case Kind::nan:
      status = host::rndint(x, control) & kReported;
      return false;
    case Kind::infinite:
      status = invalid(x);
      return false;
    case Kind::zero:
      status = 0;
      return false;
    case Kind::finite:
      break;
  }
  if ((f.sign_exponent & 0x7FFF) >= 16383 + 63) {
    status = kC2;
    return false;
  }
  status = is_denormal(f) ? kDe : X87Status{0};
  return true;
}

const Vector kOneVector = memory_form({std::uint64_t{1} << 63, 16383});

// --- logarithm ---

/// log2(x) for a positive finite x whose mantissa is not a power of two.
Real log2_of(Real x) {
  int k = x.exponent;
  x.exponent = 0;
  // Above sqrt(2): halve, so that the argument of the series is small.
  if (x.mantissa > wide(0xB504F333F9DE6484, 0)) {
    x.exponent = -1;
    ++k;
  }
  const Real s = divide(add(x, negated(kUnit)), add(x, kUnit));
  const Real fractional = multiply(multiply(kTwoOverLn2, s), series(kOdd, fraction(multiply(s, s)), false));
  if (k == 0) return fractional;
  const bool below = k < 0;
  const auto size = static_cast<std::uint64_t>(below ? -static_cast<std::int64_t>(k) : k);
  return add(normalised(wide(size, 0), 63, below), fractional);
}

/// y log2(1 + x) for small x: without the loss of adding one.
Real log2_of_sum(const Real& x) {
  const Real s = divide(x, add(x, add(kUnit, kUnit)));
  return multiply(multiply(kTwoOverLn2, s), series(kOdd, fraction(multiply(s, s)), false));
}

X87Status denormal_flag(const Float80& a, const Float80& b) {
  return is_denormal(a) || is_denormal(b) ? kDe : X87Status{0};
}

/// y times a logarithm that is infinite or zero or whose sign alone counts: `sign` of the logarithm.
X87Status log_special(Vector& y, const Float80& fy, Kind log, bool sign) {
  const Kind ky = kind_of(fy);
  const bool result_sign = negative(fy) != sign;
  if ((log == Kind::infinite && ky == Kind::zero) || (log == Kind::zero && ky == Kind::infinite))
    return invalid(y);
  y = log == Kind::infinite || ky == Kind::infinite ? infinity(result_sign) : zero(result_sign);
  return 0;
}

// --- arctangent ---

/// atan(small / large), both positive, small <= large.
Real arctangent(const Real& small, const Real& large) {
  const int distance = large.exponent - small.exponent;
  unsigned index = 0;
  if (distance <= 6) {
    const auto n = static_cast<std::uint64_t>(small.mantissa >> 64) >> distance;
    const auto d = static_cast<std::uint64_t>(large.mantissa >> 64);
    CHECK(d != 0, "a normalised divisor expected");
    index = static_cast<unsigned>((Wide{n} * 16 + d / 2) / d);
  }
  Real w;
  if (index == 0) {
    w = divide(small, large);
  } else {
    // (small/large - c) / (1 + c small/large), c = index / 16
    const Real c = normalised(wide(index, 0), 63 - 4, false);
    w = divide(add(small, negated(multiply(c, large))), add(large, multiply(c, small)));
    if (w.mantissa == 0) return normalised(kArctangents[index], 0, false);
  }
  const Real near = multiply(w, series(kOdd, fraction(multiply(w, w)), true));
  return index == 0 ? near : add(normalised(kArctangents[index], 0, false), near);
}

X87Status angle(Vector& out, Real r, bool sign, std::uint16_t control) {
  r.negative = sign;
  return round(out, r, control);
}

/// Zero and infinite operands (SDM vol. 2, table FPATAN results).
X87Status arctangent_special(Vector& y, const Float80& fy, const Float80& fx, std::uint16_t control) {
  const bool sign = negative(fy), left = negative(fx);
  const Kind ky = kind_of(fy), kx = kind_of(fx);
  if (ky == Kind::infinite) {
    if (kx != Kind::infinite) return angle(y, kHalfPi, sign, control);
    Real quarter = kHalfPi;
    --quarter.exponent;
    return angle(y, left ? add(kHalfPi, quarter) : quarter, sign, control);
  }
  if (ky == Kind::zero || kx == Kind::infinite) {
    if (left) return angle(y, kPi, sign, control);
    y = zero(sign);
    return 0;
  }
  return angle(y, kHalfPi, sign, control);
}

}  // namespace

X87Status fsin(Vector& x, std::uint16_t control) {
  X87Status status;
  const Float80 f = parts(x);
  if (!circular_operand(x, f, control, status)) return status;
  return status | round(x, sine_cosine(real(f)).sine, control);
}
X87Status fcos(Vector& x, std::uint16_t control) {
  X87Status status;
  const Float80 f = parts(x);
  if (!circular_operand(x, f, control, status)) {
    if (kind_of(f) == Kind::zero) x = kOneVector;
    return status;
  }
  return status | round(x, sine_cosine(real(f)).cosine, control);
}
X87Status fsincos(Vector& x, Vector& cosine, std::uint16_t control) {
  X87Status status;
  const Float80 f = parts(x);
  if (!circular_operand(x, f, control, status)) {
    cosine = kind_of(f) == Kind::zero ? kOneVector : x;
    return status;
  }
  const SineCosine r = sine_cosine(real(f));
  status |= round(x, r.sine, control);
  return static_cast<X87Status>((status & ~kC1) | round(cosine, r.cosine, control));
}
X87Status fptan(Vector& x, Vector& one, std::uint16_t control) {
  X87Status status;
  const Float80 f = parts(x);
  if (!circular_operand(x, f, control, status)) {
    one = kind_of(f) == Kind::finite || kind_of(f) == Kind::zero ? kOneVector : x;
    return status;
  }
  const SineCosine r = sine_cosine(real(f));
  one = kOneVector;
  return status | round(x, divide(r.sine, r.cosine), control);
}

X87Status f2xm1(Vector& x, std::uint16_t control) {
  const Float80 f = parts(x);
  switch (kind_of(f)) {
    case Kind::nan:
      return host::rndint(x, control);
    case Kind::zero:
      return 0;
    case Kind::infinite:
      if (negative(f)) x = memory_form({std::uint64_t{1} << 63, 0x8000 | 16383});
      return 0;
    case Kind::finite:
      break;
  }
  const Real r = real(f);
  if (r.exponent >= 0) {
    if (r.mantissa == kUnit.mantissa && r.exponent == 0 && r.negative)
      x = memory_form({std::uint64_t{1} << 63, 0x8000 | 16382});
    return 0;  // 1 is its own result; beyond, the operand
  }
  const Real t = multiply(r, kLn2);
  const X87Status status = is_denormal(f) ? kDe : X87Status{0};
  return status | round(x, multiply(t, series(kExponential, fraction(t), r.negative)), control);
}

X87Status fyl2x(Vector& y, const Vector& x, std::uint16_t control) {
  const Float80 fy = parts(y), fx = parts(x);
  const Kind ky = kind_of(fy), kx = kind_of(fx);
  if (ky == Kind::nan || kx == Kind::nan) return host::add(y, x, control);
  if (kx == Kind::zero) {
    const X87Status divide_by_zero = ky == Kind::finite ? kZe : X87Status{0};
    return divide_by_zero | log_special(y, fy, Kind::infinite, true);
  }
  if (negative(fx)) return invalid(y);
  if (kx == Kind::infinite) return log_special(y, fy, Kind::infinite, false);
  const Real r = real(fx);
  const X87Status status = denormal_flag(fy, fx);
  if (ky != Kind::finite) {
    const bool one = r.exponent == 0 && r.mantissa == kUnit.mantissa;
    return status | log_special(y, fy, one ? Kind::zero : Kind::finite, r.exponent < 0);
  }
  // A power of two: an integer logarithm, an ordinary product at full precision.
  if (r.mantissa == kUnit.mantissa)
    return status | (host::mul_i32(y, static_cast<std::uint32_t>(r.exponent), control | 0x300) & kReported);
  return status | round(y, multiply(real(fy), log2_of(r)), control);
}

X87Status fyl2xp1(Vector& y, const Vector& x, std::uint16_t control) {
  const Float80 fy = parts(y), fx = parts(x);
  const Kind ky = kind_of(fy), kx = kind_of(fx);
  if (ky == Kind::nan || kx == Kind::nan) return host::add(y, x, control);
  if (kx == Kind::infinite) return negative(fx) ? invalid(y) : log_special(y, fy, Kind::infinite, false);
  if (kx == Kind::zero) return log_special(y, fy, Kind::zero, negative(fx));
  const Real r = real(fx);
  const X87Status status = denormal_flag(fy, fx);
  if (r.negative && r.exponent >= 0) return status | invalid(y);
  if (ky != Kind::finite) return status | log_special(y, fy, Kind::finite, r.negative);
  // |x| < 1/4 lies within the domain where the series converges fast.
  const Real log = r.exponent < -2 ? log2_of_sum(r) : log2_of(add(kUnit, r));
  if (log.mantissa == 0) return status | log_special(y, fy, Kind::zero, r.negative);
  return status | round(y, multiply(real(fy), log), control);
}

X87Status fpatan(Vector& y, const Vector& x, std::uint16_t control) {
  const Float80 fy = parts(y), fx = parts(x);
  const Kind ky = kind_of(fy), kx = kind_of(fx);
  if (ky == Kind::nan || kx == Kind::nan) return host::add(y, x, control);
  const X87Status status = denormal_flag(fy, fx);
  if (ky != Kind::finite || kx != Kind::finite) return status | arctangent_special(y, fy, fx, control);
  Real a = real(fy), b = real(fx);
  const bool left = b.negative;
  a.negative = b.negative = false;
  const bool steep = a.exponent > b.exponent || (a.exponent == b.exponent && a.mantissa > b.mantissa);
  Real r = steep ? add(kHalfPi, negated(arctangent(b, a))) : arctangent(a, b);
  if (left) r = add(kPi, negated(r));
  return status | angle(y, r, negative(fy), control);
}

int partial_remainder_shift(Float80 a, Float80 b) {
  if (kind_of(a) != Kind::finite || kind_of(b) != Kind::finite) return 0;
  const int distance = real(a).exponent - real(b).exponent;
  return distance < 64 ? 0 : distance - (32 + distance % 32);
}

Float80 scaled(Float80 f, int shift) {
  const Real r = real(f);
  return {static_cast<std::uint64_t>(r.mantissa >> 64),
          static_cast<std::uint16_t>((r.exponent + shift + 16383) | (f.sign_exponent & 0x8000))};
}

}  // namespace hindsight::engine::guest::x86::fp
