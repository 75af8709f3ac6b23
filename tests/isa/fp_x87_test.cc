// The transcendental x87 functions against the host's libm, within the error of a long double.
#if defined(__x86_64__)

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "engine/guest/x86/fp_transcendental.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

constexpr std::uint16_t kControl = 0x37F;
constexpr X87Status kPrecision = 0x20, kInvalid = 1, kZeroDivide = 4, kC2 = 0x400;
constexpr long double kInfinity = std::numeric_limits<long double>::infinity();

Vector vector(long double v) {
  Vector out{};
  std::memcpy(out.bytes, &v, 10);
  return out;
}
long double value(const Vector& v) {
  long double out = 0;
  std::memcpy(&out, v.bytes, 10);
  return out;
}
/// Distance in units of the last place of `expected`.
long double ulps(const Vector& actual, long double expected) {
  if (expected == 0) return value(actual) == 0 ? 0 : kInfinity;
  int exponent;
  std::frexp(expected, &exponent);
  return std::fabs(value(actual) - expected) / std::ldexp(1.0L, exponent - 64);
}

class X87Functions : public ::testing::Test {
 protected:
  long double uniform(long double low, long double high) {
    return low + (high - low) * (static_cast<long double>(random_()) / 18446744073709551616.0L);
  }
  /// Any magnitude between 2^low and 2^high.
  long double scaled(int low, int high) {
    return std::ldexp(uniform(1, 2), low + static_cast<int>(random_() % static_cast<unsigned>(high - low)));
  }
  std::mt19937_64 random_{7};
};

TEST_F(X87Functions, SineAndCosineNearZeroAgreeWithLibm) {
  for (int n = 0; n < 2000; ++n) {
    const long double x = n % 2 == 0 ? uniform(-0.78L, 0.78L) : scaled(-60, -1);
    Vector s = vector(x), c = vector(x);
    EXPECT_TRUE(fsin(s, kControl) & kPrecision);
    fcos(c, kControl);
    EXPECT_LE(ulps(s, std::sin(x)), 1.0L) << x;
    EXPECT_LE(ulps(c, std::cos(x)), 1.0L) << x;
  }
}
TEST_F(X87Functions, SineAndCosineSquareToOneForLargeArguments) {
  for (int n = 0; n < 2000; ++n) {
    Vector s = vector(scaled(0, 62)), c{};
    EXPECT_EQ(fsincos(s, c, kControl) & kC2, 0);
    EXPECT_NEAR(static_cast<double>(value(s) * value(s) + value(c) * value(c)), 1.0, 1e-17);
  }
}
TEST_F(X87Functions, SineOfPiShowsTheSixtySixBitPi) {
  // Pi rounded to 64 bits is 2^-64 above the 66-bit value that arguments are reduced by.
  Vector x = vector(0x3.243F6A8885A308D4p0L);
  fsin(x, kControl);
  EXPECT_EQ(value(x), -0x1p-64L);
}
TEST_F(X87Functions, ArgumentOfTwoToTheSixtyThreeIsLeftWithC2) {
  Vector x = vector(0x1p63L);
  EXPECT_EQ(fsin(x, kControl), kC2);
  EXPECT_EQ(value(x), 0x1p63L);
}
TEST_F(X87Functions, NanIsPassedOnWithoutC2WhateverTheHostLastCompared) {
  long double one = 1;
  asm volatile("fldt %0; fxam; fstp %%st(0)" : : "m"(one) : "st");  // leaves C2 set in the host
  Vector x = vector(std::numeric_limits<long double>::quiet_NaN());
  EXPECT_EQ(fsin(x, kControl), 0);
  EXPECT_TRUE(std::isnan(value(x)));
}
TEST_F(X87Functions, TangentAgreesWithLibm) {
  for (int n = 0; n < 2000; ++n) {
    const long double x = uniform(-0.78L, 0.78L);
    Vector t = vector(x), one{};
    fptan(t, one, kControl);
    EXPECT_LE(ulps(t, std::tan(x)), 1.0L) << x;
    EXPECT_EQ(value(one), 1.0L);
  }
}
TEST_F(X87Functions, ArctangentAgreesWithLibmInEveryQuadrant) {
  for (int n = 0; n < 4000; ++n) {
    const long double y = (n & 1 ? -1 : 1) * scaled(-20, 20), x = (n & 2 ? -1 : 1) * scaled(-20, 20);
    Vector r = vector(y);
    fpatan(r, vector(x), kControl);
    EXPECT_LE(ulps(r, std::atan2(y, x)), 1.0L) << y << " " << x;
  }
}
TEST_F(X87Functions, ArctangentOfMinusZeroAndMinusOneIsMinusPi) {
  Vector r = vector(-0.0L);
  fpatan(r, vector(-1.0L), kControl);
  EXPECT_EQ(value(r), -0x3.243F6A8885A308D4p0L);
}
TEST_F(X87Functions, LogarithmAgreesWithLibm) {
  for (int n = 0; n < 4000; ++n) {
    const long double x = n % 2 == 0 ? scaled(-16000, 16000) : uniform(0.5L, 2.0L);
    Vector r = vector(1.0L);
    fyl2x(r, vector(x), kControl);
    EXPECT_LE(ulps(r, std::log2(x)), 1.0L) << x;
  }
}
TEST_F(X87Functions, LogarithmOfAPowerOfTwoIsExact) {
  Vector r = vector(3.0L);
  EXPECT_EQ(fyl2x(r, vector(0x1p-77L), kControl), 0);
  EXPECT_EQ(value(r), -231.0L);
}
TEST_F(X87Functions, LogarithmOfZeroDividesByZeroAndOfMinusOneIsInvalid) {
  Vector r = vector(2.0L);
  EXPECT_EQ(fyl2x(r, vector(0.0L), kControl), kZeroDivide);
  EXPECT_EQ(value(r), -kInfinity);
  r = vector(2.0L);
  EXPECT_EQ(fyl2x(r, vector(-1.0L), kControl), kInvalid);
  EXPECT_TRUE(std::isnan(value(r)));
}
// The reference is a product of two rounded numbers, hence the wider bound; so below.
TEST_F(X87Functions, LogarithmOfOnePlusXAgreesWithLibm) {
  constexpr long double kLog2E = 1.442695040888963407359924681001892137L;
  for (int n = 0; n < 2000; ++n) {
    const long double x = n % 2 == 0 ? uniform(-0.29L, 0.41L) : scaled(-200, -3);
    Vector r = vector(1.0L);
    fyl2xp1(r, vector(x), kControl);
    EXPECT_LE(ulps(r, std::log1p(x) * kLog2E), 4.0L) << x;
  }
}
TEST_F(X87Functions, PowerOfTwoMinusOneAgreesWithLibm) {
  constexpr long double kLn2 = 0.693147180559945309417232121458176568L;
  for (int n = 0; n < 2000; ++n) {
    const long double x = n % 2 == 0 ? uniform(-1, 1) : -scaled(-100, -1);
    Vector r = vector(x);
    f2xm1(r, kControl);
    EXPECT_LE(ulps(r, std::expm1(x * kLn2)), 4.0L) << x;
  }
}
TEST_F(X87Functions, RoundingControlMovesTheResultByOneUnit) {
  Vector down = vector(0.5L), up = down;
  fsin(down, kControl | 0x400);
  EXPECT_TRUE(fsin(up, kControl | 0x800) & 0x200);  // C1: rounded up
  EXPECT_EQ(std::nextafter(value(down), 1.0L), value(up));
}

}  // namespace
}  // namespace hindsight::engine::guest::x86::fp

#endif
