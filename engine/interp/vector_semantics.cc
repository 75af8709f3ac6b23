#include "engine/interp/vector_semantics.h"

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace hindsight::engine::interp {
namespace {

using ir::VecOp;
using I = __m128i;
using F = __m128;
using D = __m128d;

I load(const Cell& c) { return std::bit_cast<I>(c); }
Cell cell(I v) { return std::bit_cast<Cell>(v); }
F f(I v) { return _mm_castsi128_ps(v); }
D d(I v) { return _mm_castsi128_pd(v); }
I i(F v) { return _mm_castps_si128(v); }
I i(D v) { return _mm_castpd_si128(v); }
I i(I v) { return v; }

template <typename Lane>
using Lanes = std::array<Lane, 16 / sizeof(Lane)>;
template <typename Lane>
Lanes<Lane> split(I v) {
  return std::bit_cast<Lanes<Lane>>(v);
}
template <typename Lane>
I join(const Lanes<Lane>& lanes) {
  return std::bit_cast<I>(lanes);
}

using Function = I (*)(I, I, unsigned);

// Immediates of floating-point instructions are part of the instruction, so there is one function for each.
template <template <int> class Choice, std::size_t... N>
I choose(std::index_sequence<N...>, I a, I b, unsigned imm) {
  static constexpr Function kChoices[] = {Choice<static_cast<int>(N)>::run...};
  return kChoices[imm & (sizeof...(N) - 1)](a, b, imm);
}
template <template <int> class Choice, std::size_t count>
I choose(I a, I b, unsigned imm) {
  return choose<Choice>(std::make_index_sequence<count>{}, a, b, imm);
}

// The predicates 0..7 of CMPPS and its kin.
template <typename V, auto eq, auto lt, auto le, auto unord, auto neq, auto nlt, auto nle, auto ord,
          V (*cast)(I)>
I compare(I a, I b, unsigned imm) {
  static constexpr V (*kPredicates[])(V, V) = {eq, lt, le, unord, neq, nlt, nle, ord};
  return i(kPredicates[imm & 7](cast(a), cast(b)));
}

// The intrinsics as functions with an address.
#define BINARY(name, type, intrinsic) \
  type name(type a, type b) { return intrinsic(a, b); }
#define COMPARES(suffix, type)                           \
  BINARY(cmpeq_##suffix, type, _mm_cmpeq_##suffix)       \
  BINARY(cmplt_##suffix, type, _mm_cmplt_##suffix)       \
  BINARY(cmple_##suffix, type, _mm_cmple_##suffix)       \
  BINARY(cmpunord_##suffix, type, _mm_cmpunord_##suffix) \
  BINARY(cmpneq_##suffix, type, _mm_cmpneq_##suffix)     \
  BINARY(cmpnlt_##suffix, type, _mm_cmpnlt_##suffix)     \
  BINARY(cmpnle_##suffix, type, _mm_cmpnle_##suffix)     \
  BINARY(cmpord_##suffix, type, _mm_cmpord_##suffix)
COMPARES(ps, F)
COMPARES(ss, F)
COMPARES(pd, D)
COMPARES(sd, D)
#undef COMPARES
#undef BINARY
#define COMPARE(suffix, type, cast)                                                                 \
  compare<type, cmpeq_##suffix, cmplt_##suffix, cmple_##suffix, cmpunord_##suffix, cmpneq_##suffix, \
          cmpnlt_##suffix, cmpnle_##suffix, cmpord_##suffix, cast>

template <int imm>
struct RoundPs {
  static I run(I, I b, unsigned) { return i(_mm_round_ps(f(b), imm)); }
};
template <int imm>
struct RoundPd {
  static I run(I, I b, unsigned) { return i(_mm_round_pd(d(b), imm)); }
};
template <int imm>
struct RoundSs {
  static I run(I a, I b, unsigned) { return i(_mm_round_ss(f(a), f(b), imm)); }
};
template <int imm>
struct RoundSd {
  static I run(I a, I b, unsigned) { return i(_mm_round_sd(d(a), d(b), imm)); }
};

// SDM vol. 2: SHUFPS and SHUFPD take the low half from a and the high half from b.
I shuf_f32x4(I a, I b, unsigned imm) {
  const auto x = split<std::uint32_t>(a), y = split<std::uint32_t>(b);
  return join<std::uint32_t>({x[imm & 3], x[(imm >> 2) & 3], y[(imm >> 4) & 3], y[(imm >> 6) & 3]});
}
I shuf_f64x2(I a, I b, unsigned imm) {
  return join<std::uint64_t>({split<std::uint64_t>(a)[imm & 1], split<std::uint64_t>(b)[(imm >> 1) & 1]});
}
I shuf_i32x4(I, I b, unsigned imm) { return shuf_f32x4(b, b, imm); }
I shuf_words(I b, unsigned imm, unsigned base) {
  const auto from = split<std::uint16_t>(b);
  auto to = from;
  for (unsigned n = 0; n < 4; ++n) to[base + n] = from[base + ((imm >> (2 * n)) & 3)];
  return join<std::uint16_t>(to);
}
I shuf_high(I, I b, unsigned imm) { return shuf_words(b, imm, 4); }
I shuf_low(I, I b, unsigned imm) { return shuf_words(b, imm, 0); }

template <typename Lane>
I blend(I a, I b, unsigned imm) {
  auto x = split<Lane>(a);
  const auto y = split<Lane>(b);
  for (std::size_t n = 0; n < x.size(); ++n)
    if ((imm >> n) & 1) x[n] = y[n];
  return join<Lane>(x);
}

/// Bytes imm.. of the 32 bytes b, a.
I align(I a, I b, unsigned imm) {
  std::uint8_t bytes[32 + 256] = {};
  std::memcpy(bytes, &b, 16);
  std::memcpy(bytes + 16, &a, 16);
  I out;
  std::memcpy(&out, bytes + (imm & 0xFF), 16);
  return out;
}
I shl_bytes(I a, I, unsigned imm) { return (imm & 0xFF) > 15 ? I{} : align(a, I{}, 16 - (imm & 0xFF)); }
I shr_bytes(I a, I, unsigned imm) { return align(I{}, a, imm); }

I insert_f32x4(I a, I b, unsigned imm) {
  auto x = split<std::uint32_t>(a);
  x[(imm >> 4) & 3] = split<std::uint32_t>(b)[(imm >> 6) & 3];
  for (unsigned n = 0; n < 4; ++n)
    if ((imm >> n) & 1) x[n] = 0;
  return join<std::uint32_t>(x);
}

/// MPSADBW: eight sums of four absolute differences, a sliding window of a against one block of b.
I multi_sad(I a, I b, unsigned imm) {
  const auto x = split<std::uint8_t>(a), y = split<std::uint8_t>(b);
  const unsigned from_a = (imm & 4), from_b = (imm & 3) * 4;
  Lanes<std::uint16_t> out{};
  for (unsigned n = 0; n < 8; ++n) {
    int sum = 0;
    for (unsigned k = 0; k < 4; ++k) sum += std::abs(int{x[from_a + n + k]} - int{y[from_b + k]});
    out[n] = static_cast<std::uint16_t>(sum);
  }
  return join<std::uint16_t>(out);
}

I count(unsigned imm) { return _mm_cvtsi32_si128(static_cast<int>(imm & 0xFF)); }

// Which of two NaNs is the result depends on the order of the operands, and a compiler may swap those of an
// addition or multiplication: so these are assembly.
#define ORDERED(mnemonic)                                \
  [](I a, I b, unsigned) -> I {                          \
    asm volatile(mnemonic " %1, %0" : "+x"(a) : "x"(b)); \
    return a;                                            \
  }
#define V2(intrinsic) [](I a, I b, unsigned) -> I { return i(intrinsic(a, b)); }
#define V1(intrinsic) [](I, I b, unsigned) -> I { return i(intrinsic(b)); }
#define F2(intrinsic) [](I a, I b, unsigned) -> I { return i(intrinsic(f(a), f(b))); }
#define F1(intrinsic) [](I, I b, unsigned) -> I { return i(intrinsic(f(b))); }
#define D2(intrinsic) [](I a, I b, unsigned) -> I { return i(intrinsic(d(a), d(b))); }
#define D1(intrinsic) [](I, I b, unsigned) -> I { return i(intrinsic(d(b))); }
#define SHIFT(intrinsic) [](I a, I, unsigned imm) -> I { return intrinsic(a, count(imm)); }

struct Row {
  VecOp op;
  Function function;
};

constexpr Row kRows[] = {
    {VecOp::And, V2(_mm_and_si128)},
    {VecOp::AndNot, V2(_mm_andnot_si128)},
    {VecOp::Or, V2(_mm_or_si128)},
    {VecOp::Xor, V2(_mm_xor_si128)},
    {VecOp::AddF32x4, ORDERED("addps")},
    {VecOp::SubF32x4, F2(_mm_sub_ps)},
    {VecOp::MulF32x4, ORDERED("mulps")},
    {VecOp::DivF32x4, F2(_mm_div_ps)},
    {VecOp::MinF32x4, F2(_mm_min_ps)},
    {VecOp::MaxF32x4, F2(_mm_max_ps)},
    {VecOp::SqrtF32x4, F1(_mm_sqrt_ps)},
    {VecOp::CmpF32x4, COMPARE(ps, F, f)},
    {VecOp::AddSubF32x4, F2(_mm_addsub_ps)},
    {VecOp::RoundF32x4, choose<RoundPs, 16>},
    {VecOp::AddF32x1, ORDERED("addss")},
    {VecOp::SubF32x1, F2(_mm_sub_ss)},
    {VecOp::MulF32x1, ORDERED("mulss")},
    {VecOp::DivF32x1, F2(_mm_div_ss)},
    {VecOp::MinF32x1, F2(_mm_min_ss)},
    {VecOp::MaxF32x1, F2(_mm_max_ss)},
    {VecOp::SqrtF32x1, [](I a, I b, unsigned) -> I { return i(_mm_move_ss(f(a), _mm_sqrt_ss(f(b)))); }},
    {VecOp::CmpF32x1, COMPARE(ss, F, f)},
    {VecOp::RoundF32x1, choose<RoundSs, 16>},
    {VecOp::AddF64x2, ORDERED("addpd")},
    {VecOp::SubF64x2, D2(_mm_sub_pd)},
    {VecOp::MulF64x2, ORDERED("mulpd")},
    {VecOp::DivF64x2, D2(_mm_div_pd)},
    {VecOp::MinF64x2, D2(_mm_min_pd)},
    {VecOp::MaxF64x2, D2(_mm_max_pd)},
    {VecOp::SqrtF64x2, D1(_mm_sqrt_pd)},
    {VecOp::CmpF64x2, COMPARE(pd, D, d)},
    {VecOp::AddSubF64x2, D2(_mm_addsub_pd)},
    {VecOp::RoundF64x2, choose<RoundPd, 16>},
    {VecOp::AddF64x1, ORDERED("addsd")},
    {VecOp::SubF64x1, D2(_mm_sub_sd)},
    {VecOp::MulF64x1, ORDERED("mulsd")},
    {VecOp::DivF64x1, D2(_mm_div_sd)},
    {VecOp::MinF64x1, D2(_mm_min_sd)},
    {VecOp::MaxF64x1, D2(_mm_max_sd)},
    {VecOp::SqrtF64x1, D2(_mm_sqrt_sd)},
    {VecOp::CmpF64x1, COMPARE(sd, D, d)},
    {VecOp::RoundF64x1, choose<RoundSd, 16>},
    {VecOp::CvtF32x2ToF64x2, F1(_mm_cvtps_pd)},
    {VecOp::CvtF64x2ToF32x2, D1(_mm_cvtpd_ps)},
    {VecOp::CvtF32x1ToF64x1, [](I a, I b, unsigned) -> I { return i(_mm_cvtss_sd(d(a), f(b))); }},
    {VecOp::CvtF64x1ToF32x1, [](I a, I b, unsigned) -> I { return i(_mm_cvtsd_ss(f(a), d(b))); }},
    {VecOp::CvtI32x4ToF32x4, V1(_mm_cvtepi32_ps)},
    {VecOp::CvtF32x4ToI32x4, F1(_mm_cvtps_epi32)},
    {VecOp::CvtTruncF32x4ToI32x4, F1(_mm_cvttps_epi32)},
    {VecOp::CvtI32x2ToF64x2, V1(_mm_cvtepi32_pd)},
    {VecOp::CvtF64x2ToI32x2, D1(_mm_cvtpd_epi32)},
    {VecOp::CvtTruncF64x2ToI32x2, D1(_mm_cvttpd_epi32)},
    {VecOp::MergeF32x1, F2(_mm_move_ss)},
    {VecOp::MergeF64x1, D2(_mm_move_sd)},
    {VecOp::MoveLowI64, V1(_mm_move_epi64)},
    {VecOp::MoveLowToHigh, F2(_mm_movelh_ps)},
    {VecOp::MoveHighToLow, F2(_mm_movehl_ps)},
    {VecOp::DupEvenF32x4, F1(_mm_moveldup_ps)},
    {VecOp::DupOddF32x4, F1(_mm_movehdup_ps)},
    {VecOp::DupLowF64x2, D1(_mm_movedup_pd)},
    {VecOp::UnpackLowF32x4, F2(_mm_unpacklo_ps)},
    {VecOp::UnpackHighF32x4, F2(_mm_unpackhi_ps)},
    {VecOp::UnpackLowF64x2, D2(_mm_unpacklo_pd)},
    {VecOp::UnpackHighF64x2, D2(_mm_unpackhi_pd)},
    {VecOp::ShufF32x4, shuf_f32x4},
    {VecOp::ShufF64x2, shuf_f64x2},
    {VecOp::ShufI32x4, shuf_i32x4},
    {VecOp::ShufHighI16x8, shuf_high},
    {VecOp::ShufLowI16x8, shuf_low},
    {VecOp::ShufI8x16, V2(_mm_shuffle_epi8)},
    {VecOp::BlendF32x4, blend<std::uint32_t>},
    {VecOp::BlendF64x2, blend<std::uint64_t>},
    {VecOp::BlendI16x8, blend<std::uint16_t>},
    {VecOp::AlignI8x16, align},
    {VecOp::InsertF32x4, insert_f32x4},
    {VecOp::UnpackLowI8x16, V2(_mm_unpacklo_epi8)},
    {VecOp::UnpackLowI16x8, V2(_mm_unpacklo_epi16)},
    {VecOp::UnpackLowI32x4, V2(_mm_unpacklo_epi32)},
    {VecOp::UnpackLowI64x2, V2(_mm_unpacklo_epi64)},
    {VecOp::UnpackHighI8x16, V2(_mm_unpackhi_epi8)},
    {VecOp::UnpackHighI16x8, V2(_mm_unpackhi_epi16)},
    {VecOp::UnpackHighI32x4, V2(_mm_unpackhi_epi32)},
    {VecOp::UnpackHighI64x2, V2(_mm_unpackhi_epi64)},
    {VecOp::PackSatI16ToI8, V2(_mm_packs_epi16)},
    {VecOp::PackSatI32ToI16, V2(_mm_packs_epi32)},
    {VecOp::PackSatI16ToU8, V2(_mm_packus_epi16)},
    {VecOp::PackSatI32ToU16, V2(_mm_packus_epi32)},
    {VecOp::SextI8x8ToI16, V1(_mm_cvtepi8_epi16)},
    {VecOp::SextI8x4ToI32, V1(_mm_cvtepi8_epi32)},
    {VecOp::SextI8x2ToI64, V1(_mm_cvtepi8_epi64)},
    {VecOp::SextI16x4ToI32, V1(_mm_cvtepi16_epi32)},
    {VecOp::SextI16x2ToI64, V1(_mm_cvtepi16_epi64)},
    {VecOp::SextI32x2ToI64, V1(_mm_cvtepi32_epi64)},
    {VecOp::ZextI8x8ToI16, V1(_mm_cvtepu8_epi16)},
    {VecOp::ZextI8x4ToI32, V1(_mm_cvtepu8_epi32)},
    {VecOp::ZextI8x2ToI64, V1(_mm_cvtepu8_epi64)},
    {VecOp::ZextI16x4ToI32, V1(_mm_cvtepu16_epi32)},
    {VecOp::ZextI16x2ToI64, V1(_mm_cvtepu16_epi64)},
    {VecOp::ZextI32x2ToI64, V1(_mm_cvtepu32_epi64)},
    {VecOp::AddI8x16, V2(_mm_add_epi8)},
    {VecOp::AddI16x8, V2(_mm_add_epi16)},
    {VecOp::AddI32x4, V2(_mm_add_epi32)},
    {VecOp::AddI64x2, V2(_mm_add_epi64)},
    {VecOp::AddSatI8x16, V2(_mm_adds_epi8)},
    {VecOp::AddSatI16x8, V2(_mm_adds_epi16)},
    {VecOp::AddSatU8x16, V2(_mm_adds_epu8)},
    {VecOp::AddSatU16x8, V2(_mm_adds_epu16)},
    {VecOp::SubI8x16, V2(_mm_sub_epi8)},
    {VecOp::SubI16x8, V2(_mm_sub_epi16)},
    {VecOp::SubI32x4, V2(_mm_sub_epi32)},
    {VecOp::SubI64x2, V2(_mm_sub_epi64)},
    {VecOp::SubSatI8x16, V2(_mm_subs_epi8)},
    {VecOp::SubSatI16x8, V2(_mm_subs_epi16)},
    {VecOp::SubSatU8x16, V2(_mm_subs_epu8)},
    {VecOp::SubSatU16x8, V2(_mm_subs_epu16)},
    {VecOp::HAddI16x8, V2(_mm_hadd_epi16)},
    {VecOp::HAddI32x4, V2(_mm_hadd_epi32)},
    {VecOp::HAddSatI16x8, V2(_mm_hadds_epi16)},
    {VecOp::HSubI16x8, V2(_mm_hsub_epi16)},
    {VecOp::HSubI32x4, V2(_mm_hsub_epi32)},
    {VecOp::HSubSatI16x8, V2(_mm_hsubs_epi16)},
    {VecOp::MulLowI16x8, V2(_mm_mullo_epi16)},
    {VecOp::MulHighI16x8, V2(_mm_mulhi_epi16)},
    {VecOp::MulHighU16x8, V2(_mm_mulhi_epu16)},
    {VecOp::MulHighRoundI16x8, V2(_mm_mulhrs_epi16)},
    {VecOp::MulLowI32x4, V2(_mm_mullo_epi32)},
    {VecOp::MulEvenI32x4, V2(_mm_mul_epi32)},
    {VecOp::MulEvenU32x4, V2(_mm_mul_epu32)},
    {VecOp::MulAddI16x8, V2(_mm_madd_epi16)},
    {VecOp::MulAddU8I8x16, V2(_mm_maddubs_epi16)},
    {VecOp::SumAbsDiffU8x16, V2(_mm_sad_epu8)},
    {VecOp::MultiSumAbsDiffU8x16, multi_sad},
    {VecOp::AverageU8x16, V2(_mm_avg_epu8)},
    {VecOp::AverageU16x8, V2(_mm_avg_epu16)},
    {VecOp::MinI8x16, V2(_mm_min_epi8)},
    {VecOp::MinI16x8, V2(_mm_min_epi16)},
    {VecOp::MinI32x4, V2(_mm_min_epi32)},
    {VecOp::MinU8x16, V2(_mm_min_epu8)},
    {VecOp::MinU16x8, V2(_mm_min_epu16)},
    {VecOp::MinU32x4, V2(_mm_min_epu32)},
    {VecOp::MaxI8x16, V2(_mm_max_epi8)},
    {VecOp::MaxI16x8, V2(_mm_max_epi16)},
    {VecOp::MaxI32x4, V2(_mm_max_epi32)},
    {VecOp::MaxU8x16, V2(_mm_max_epu8)},
    {VecOp::MaxU16x8, V2(_mm_max_epu16)},
    {VecOp::MaxU32x4, V2(_mm_max_epu32)},
    {VecOp::MinPosU16x8, V1(_mm_minpos_epu16)},
    {VecOp::AbsI8x16, V1(_mm_abs_epi8)},
    {VecOp::AbsI16x8, V1(_mm_abs_epi16)},
    {VecOp::AbsI32x4, V1(_mm_abs_epi32)},
    {VecOp::SignI8x16, V2(_mm_sign_epi8)},
    {VecOp::SignI16x8, V2(_mm_sign_epi16)},
    {VecOp::SignI32x4, V2(_mm_sign_epi32)},
    {VecOp::CmpEqI8x16, V2(_mm_cmpeq_epi8)},
    {VecOp::CmpEqI16x8, V2(_mm_cmpeq_epi16)},
    {VecOp::CmpEqI32x4, V2(_mm_cmpeq_epi32)},
    {VecOp::CmpEqI64x2, V2(_mm_cmpeq_epi64)},
    {VecOp::CmpGtI8x16, V2(_mm_cmpgt_epi8)},
    {VecOp::CmpGtI16x8, V2(_mm_cmpgt_epi16)},
    {VecOp::CmpGtI32x4, V2(_mm_cmpgt_epi32)},
    {VecOp::CmpGtI64x2, V2(_mm_cmpgt_epi64)},
    {VecOp::ShlI16x8, V2(_mm_sll_epi16)},
    {VecOp::ShlI32x4, V2(_mm_sll_epi32)},
    {VecOp::ShlI64x2, V2(_mm_sll_epi64)},
    {VecOp::ShrI16x8, V2(_mm_srl_epi16)},
    {VecOp::ShrI32x4, V2(_mm_srl_epi32)},
    {VecOp::ShrI64x2, V2(_mm_srl_epi64)},
    {VecOp::SarI16x8, V2(_mm_sra_epi16)},
    {VecOp::SarI32x4, V2(_mm_sra_epi32)},
    {VecOp::ShlImmI16x8, SHIFT(_mm_sll_epi16)},
    {VecOp::ShlImmI32x4, SHIFT(_mm_sll_epi32)},
    {VecOp::ShlImmI64x2, SHIFT(_mm_sll_epi64)},
    {VecOp::ShrImmI16x8, SHIFT(_mm_srl_epi16)},
    {VecOp::ShrImmI32x4, SHIFT(_mm_srl_epi32)},
    {VecOp::ShrImmI64x2, SHIFT(_mm_srl_epi64)},
    {VecOp::SarImmI16x8, SHIFT(_mm_sra_epi16)},
    {VecOp::SarImmI32x4, SHIFT(_mm_sra_epi32)},
    {VecOp::ShlBytes, shl_bytes},
    {VecOp::ShrBytes, shr_bytes},
};
#undef ORDERED
#undef V2
#undef V1
#undef F2
#undef F1
#undef D2
#undef D1
#undef SHIFT
#undef COMPARE

consteval bool rows_in_order() {
  for (std::size_t n = 0; n < std::size(kRows); ++n)
    if (static_cast<std::size_t>(kRows[n].op) != n) return false;
  return std::size(kRows) == ir::kVecOpCount;
}
static_assert(rows_in_order());

template <typename Lane>
I insert(I a, std::uint64_t b, std::int64_t imm) {
  auto lanes = split<Lane>(a);
  lanes[static_cast<std::size_t>(imm) & (lanes.size() - 1)] = static_cast<Lane>(b);
  return join<Lane>(lanes);
}
template <typename Lane>
std::uint64_t extract(I a, std::int64_t imm) {
  const auto lanes = split<Lane>(a);
  return lanes[static_cast<std::size_t>(imm) & (lanes.size() - 1)];
}

std::uint64_t zext(int v) { return static_cast<std::uint32_t>(v); }
std::uint64_t zext(long long v) { return static_cast<std::uint64_t>(v); }

/// COMISS and kin: unordered sets Z, P, C; equal Z; less C.
std::uint32_t ordering(bool less, bool equal, bool greater) {
  if (less) return ir::eflags::kC;
  if (equal) return ir::eflags::kZ;
  return greater ? 0 : ir::eflags::kZ | ir::eflags::kP | ir::eflags::kC;
}
// Assembly, because compilers merge or drop comparisons without regard to the exceptions they raise.
std::uint32_t compare_f32(F a, F b, bool quiet) {
  std::uint8_t z, p, c;
  if (quiet) {
    asm volatile("ucomiss %4, %3; setz %0; setp %1; setc %2"
                 : "=r"(z), "=r"(p), "=r"(c)
                 : "x"(a), "x"(b)
                 : "cc");
  } else {
    asm volatile("comiss %4, %3; setz %0; setp %1; setc %2"
                 : "=r"(z), "=r"(p), "=r"(c)
                 : "x"(a), "x"(b)
                 : "cc");
  }
  return ordering(c && !p, z && !p, !z && !c);
}
std::uint32_t compare_f64(D a, D b, bool quiet) {
  std::uint8_t z, p, c;
  if (quiet) {
    asm volatile("ucomisd %4, %3; setz %0; setp %1; setc %2"
                 : "=r"(z), "=r"(p), "=r"(c)
                 : "x"(a), "x"(b)
                 : "cc");
  } else {
    asm volatile("comisd %4, %3; setz %0; setp %1; setc %2"
                 : "=r"(z), "=r"(p), "=r"(c)
                 : "x"(a), "x"(b)
                 : "cc");
  }
  return ordering(c && !p, z && !p, !z && !c);
}

}  // namespace

Cell vec(std::uint16_t sub, const Cell& a, const Cell& b, std::int64_t imm) {
  return cell(kRows[sub].function(load(a), load(b), static_cast<unsigned>(imm)));
}

Cell vec_int(std::uint16_t sub, const Cell& a, std::uint64_t b, std::int64_t imm) {
  using ir::VecIntOp;
  const I x = load(a);
  const auto narrow = static_cast<std::int32_t>(b);
  const auto wide = static_cast<std::int64_t>(b);
  switch (static_cast<VecIntOp>(sub)) {
    case VecIntOp::FromI32:
      return {b & 0xFFFFFFFF, 0};
    case VecIntOp::FromI64:
      return {b, 0};
    case VecIntOp::InsertI8x16:
      return cell(insert<std::uint8_t>(x, b, imm));
    case VecIntOp::InsertI16x8:
      return cell(insert<std::uint16_t>(x, b, imm));
    case VecIntOp::InsertI32x4:
      return cell(insert<std::uint32_t>(x, b, imm));
    case VecIntOp::InsertI64x2:
      return cell(insert<std::uint64_t>(x, b, imm));
    case VecIntOp::CvtI32ToF32x1:
      return cell(i(_mm_cvtsi32_ss(f(x), narrow)));
    case VecIntOp::CvtI64ToF32x1:
      return cell(i(_mm_cvtsi64_ss(f(x), wide)));
    case VecIntOp::CvtI32ToF64x1:
      return cell(i(_mm_cvtsi32_sd(d(x), narrow)));
    case VecIntOp::CvtI64ToF64x1:
      return cell(i(_mm_cvtsi64_sd(d(x), wide)));
  }
  return {};
}

std::uint64_t int_vec(std::uint16_t sub, const Cell& a, std::int64_t imm) {
  using ir::IntVecOp;
  const I x = load(a);
  switch (static_cast<IntVecOp>(sub)) {
    case IntVecOp::ExtractI8x16:
      return extract<std::uint8_t>(x, imm);
    case IntVecOp::ExtractI16x8:
      return extract<std::uint16_t>(x, imm);
    case IntVecOp::ExtractI32x4:
      return extract<std::uint32_t>(x, imm);
    case IntVecOp::ExtractI64x2:
      return extract<std::uint64_t>(x, imm);
    case IntVecOp::SignsI8x16:
      return zext(_mm_movemask_epi8(x));
    case IntVecOp::SignsF32x4:
      return zext(_mm_movemask_ps(f(x)));
    case IntVecOp::SignsF64x2:
      return zext(_mm_movemask_pd(d(x)));
    case IntVecOp::CvtF32x1ToI32:
      return zext(_mm_cvtss_si32(f(x)));
    case IntVecOp::CvtF32x1ToI64:
      return zext(_mm_cvtss_si64(f(x)));
    case IntVecOp::CvtTruncF32x1ToI32:
      return zext(_mm_cvttss_si32(f(x)));
    case IntVecOp::CvtTruncF32x1ToI64:
      return zext(_mm_cvttss_si64(f(x)));
    case IntVecOp::CvtF64x1ToI32:
      return zext(_mm_cvtsd_si32(d(x)));
    case IntVecOp::CvtF64x1ToI64:
      return zext(_mm_cvtsd_si64(d(x)));
    case IntVecOp::CvtTruncF64x1ToI32:
      return zext(_mm_cvttsd_si32(d(x)));
    case IntVecOp::CvtTruncF64x1ToI64:
      return zext(_mm_cvttsd_si64(d(x)));
  }
  return 0;
}

std::uint32_t vec_flags(std::uint16_t sub, const Cell& a, const Cell& b) {
  using ir::VecFlagsOp;
  const I x = load(a), y = load(b);
  switch (static_cast<VecFlagsOp>(sub)) {
    case VecFlagsOp::UnorderedCmpF32x1:
      return compare_f32(f(x), f(y), true);
    case VecFlagsOp::OrderedCmpF32x1:
      return compare_f32(f(x), f(y), false);
    case VecFlagsOp::UnorderedCmpF64x1:
      return compare_f64(d(x), d(y), true);
    case VecFlagsOp::OrderedCmpF64x1:
      return compare_f64(d(x), d(y), false);
    case VecFlagsOp::TestBits:
      return (_mm_testz_si128(x, y) != 0 ? ir::eflags::kZ : 0u) |
             (_mm_testc_si128(x, y) != 0 ? ir::eflags::kC : 0u);
  }
  return 0;
}

}  // namespace hindsight::engine::interp
