#include "engine/guest/x86/fp_sse_helpers.h"

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "engine/guest/x86/fp_common.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

/// Round to nearest, DAZ, FTZ, everything masked.
constexpr std::uint32_t kApproximationMxcsr = 0x1F80 | ir::mxcsr::kDaz | ir::mxcsr::kFtz;

struct Pair {
  float lane[2];
};

// Assembly, so that nothing is computed before MXCSR is set or folded away.
float divide(float a, float b) {
  asm volatile("divss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
float square_root(float a) {
  asm volatile("sqrtss %0, %0" : "+x"(a));
  return a;
}

std::uint64_t reciprocal(ir::CoreState*, std::uint64_t bits, std::uint64_t, std::uint64_t) {
  const ir::HostMxcsrScope scope(kApproximationMxcsr);
  auto v = std::bit_cast<Pair>(bits);
  for (float& lane : v.lane) lane = divide(1.0f, lane);
  return std::bit_cast<std::uint64_t>(v);
}
std::uint64_t reciprocal_root(ir::CoreState*, std::uint64_t bits, std::uint64_t, std::uint64_t) {
  const ir::HostMxcsrScope scope(kApproximationMxcsr);
  auto v = std::bit_cast<Pair>(bits);
  for (float& lane : v.lane) lane = divide(1.0f, square_root(lane));
  return std::bit_cast<std::uint64_t>(v);
}

/// Where any byte of a page's part is to be stored, the whole part is checked first, as processors do; a part
/// without one is not accessed.
void masked_store(ir::CoreState* state, std::uint64_t address, const Vector& data, const Vector& mask,
                  unsigned count, std::uint32_t access) {
  const auto wanted = [&](unsigned i) { return (mask.bytes[i] & 0x80) != 0; };
  const auto in_page = static_cast<unsigned>(kPageSize - (address & kPageMask));
  for (unsigned from = 0; from < count;) {
    const unsigned to = from == 0 && in_page < count ? in_page : count;
    bool any = false;
    for (unsigned i = from; i < to; ++i) any = any || wanted(i);
    if (any) state->memory->probe_write(state, address + from, to - from, access);
    if (state->trap.kind != ir::TrapKind::none) return;
    from = to;
  }
  for (unsigned i = 0; i < count; ++i) {
    if (!wanted(i)) continue;
    state->memory->store(state, address + i, data.bytes[i], 1, access);
    if (state->trap.kind != ir::TrapKind::none) return;
  }
}
std::uint64_t masked_store_xmm(ir::CoreState* state, std::uint64_t address, std::uint64_t which,
                               std::uint64_t access) {
  const CpuState* s = cpu(state);
  masked_store(state, address, s->xmm[which & 15], s->xmm[(which >> 8) & 15],
               static_cast<unsigned>(which >> 16), static_cast<std::uint32_t>(access));
  return 0;
}
std::uint64_t masked_store_mm(ir::CoreState* state, std::uint64_t address, std::uint64_t which,
                              std::uint64_t access) {
  CpuState* s = cpu(state);
  enter_mmx(*s);
  masked_store(state, address, s->st[which & 7], s->st[(which >> 8) & 7], static_cast<unsigned>(which >> 16),
               static_cast<std::uint32_t>(access));
  return 0;
}

// --- string comparison, SDM vol. 2, 4.1: exact on every host, so the host's own instruction does it ---

__m128i vector_of(const Vector& v) { return _mm_load_si128(reinterpret_cast<const __m128i*>(v.bytes)); }

struct Comparison {
  Vector mask;
  std::uint32_t index, flags;
};

template <int kImm>
Comparison compare_explicit(const Vector& first, int length_a, const Vector& second, int length_b) {
  const __m128i a = vector_of(first), b = vector_of(second);
  const auto flag = [](int set, std::uint32_t bit) { return set != 0 ? bit : 0u; };
  const std::uint32_t flags = flag(_mm_cmpestrc(a, length_a, b, length_b, kImm), ir::eflags::kC) |
                              flag(_mm_cmpestrz(a, length_a, b, length_b, kImm), ir::eflags::kZ) |
                              flag(_mm_cmpestrs(a, length_a, b, length_b, kImm), ir::eflags::kS) |
                              flag(_mm_cmpestro(a, length_a, b, length_b, kImm), ir::eflags::kV);
  Comparison out{{}, 0, flags};
  _mm_store_si128(reinterpret_cast<__m128i*>(out.mask.bytes), _mm_cmpestrm(a, length_a, b, length_b, kImm));
  out.index = static_cast<std::uint32_t>(_mm_cmpestri(a, length_a, b, length_b, kImm));
  return out;
}
template <int kImm>
Comparison compare_implicit(const Vector& first, int, const Vector& second, int) {
  const __m128i a = vector_of(first), b = vector_of(second);
  const auto flag = [](int set, std::uint32_t bit) { return set != 0 ? bit : 0u; };
  const std::uint32_t flags =
      flag(_mm_cmpistrc(a, b, kImm), ir::eflags::kC) | flag(_mm_cmpistrz(a, b, kImm), ir::eflags::kZ) |
      flag(_mm_cmpistrs(a, b, kImm), ir::eflags::kS) | flag(_mm_cmpistro(a, b, kImm), ir::eflags::kV);
  Comparison out{{}, 0, flags};
  _mm_store_si128(reinterpret_cast<__m128i*>(out.mask.bytes), _mm_cmpistrm(a, b, kImm));
  out.index = static_cast<std::uint32_t>(_mm_cmpistri(a, b, kImm));
  return out;
}

using Compare = Comparison (*)(const Vector&, int, const Vector&, int);
/// By the immediate's bits 0..6; bit 7 is reserved and ignored.
constexpr auto kCompareExplicit = []<std::size_t... kImm>(std::index_sequence<kImm...>) {
  return std::array<Compare, sizeof...(kImm)>{compare_explicit<static_cast<int>(kImm)>...};
}
(std::make_index_sequence<128>{});
constexpr auto kCompareImplicit = []<std::size_t... kImm>(std::index_sequence<kImm...>) {
  return std::array<Compare, sizeof...(kImm)>{compare_implicit<static_cast<int>(kImm)>...};
}
(std::make_index_sequence<128>{});

/// |value| saturated at the most elements there can be.
int explicit_length_of(std::uint64_t value, bool wide) {
  const std::int64_t v = wide ? static_cast<std::int64_t>(value) : static_cast<std::int32_t>(value);
  const std::uint64_t size = v < 0 ? 0 - static_cast<std::uint64_t>(v) : static_cast<std::uint64_t>(v);
  return size > 16 ? 16 : static_cast<int>(size);
}

std::uint64_t string_compare(ir::CoreState* state, std::uint64_t descriptor, std::uint64_t low,
                             std::uint64_t high) {
  CpuState* s = cpu(state);
  const bool is_explicit = ((descriptor >> 16) & 1) != 0, wide = ((descriptor >> 17) & 1) != 0;
  Vector second;
  std::memcpy(second.bytes, &low, 8);
  std::memcpy(second.bytes + 8, &high, 8);
  const Compare compare = (is_explicit ? kCompareExplicit : kCompareImplicit)[descriptor & 0x7F];
  const Comparison result = compare(s->xmm[(descriptor >> 8) & 15], explicit_length_of(s->gpr[kRax], wide),
                                    second, explicit_length_of(s->gpr[kRdx], wide));
  const bool to_mask = ((descriptor >> 18) & 1) == 0;
  if (to_mask) s->xmm[0] = result.mask;
  return (to_mask ? 0u : result.index) | std::uint64_t{result.flags} << 32;
}

std::uint64_t load_mxcsr(ir::CoreState* state, std::uint64_t value, std::uint64_t next_pc, std::uint64_t) {
  if ((value & ~std::uint64_t{ir::mxcsr::kWritable}) != 0) {
    ir::raise(state, exception::kGp, 0);
    return 0;
  }
  set_mxcsr(state, static_cast<std::uint32_t>(value));
  state->memory->context_changed(state);
  return next_pc;
}
std::uint64_t store_mxcsr(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  return current_mxcsr(state);
}

}  // namespace

std::uint32_t current_mxcsr(const ir::CoreState* state) {
  return ir::mxcsr::from_host(state->guest_mxcsr, ir::read_host_mxcsr());
}
void set_mxcsr(ir::CoreState* state, std::uint32_t value) {
  state->guest_mxcsr = value;
  ir::write_host_mxcsr(ir::mxcsr::to_host(value));
}

const ir::HelperInfo kReciprocal{"reciprocal", reciprocal, ir::kPure};
const ir::HelperInfo kReciprocalRoot{"reciprocal_root", reciprocal_root, ir::kPure};
const ir::HelperInfo kMaskedStoreXmm{"masked_store_xmm", masked_store_xmm,
                                     ir::kTouchesVectors | ir::kMayTrap};
const ir::HelperInfo kMaskedStoreMm{"masked_store_mm", masked_store_mm, ir::kTouchesVectors | ir::kMayTrap};
const ir::HelperInfo kStringCompare{"string_compare", string_compare,
                                    ir::kTouchesVectors | ir::kReadsRegisters};
const ir::HelperInfo kLoadMxcsr{"load_mxcsr", load_mxcsr, ir::kTouchesVectors | ir::kMayTrap};
const ir::HelperInfo kStoreMxcsr{"store_mxcsr", store_mxcsr, ir::kTouchesVectors};

}  // namespace hindsight::engine::guest::x86::fp
