#include "engine/guest/x86/fp_sse_helpers.h"

#include <bit>
#include <cstring>

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

// --- string comparison, SDM vol. 2, 4.1 ---

struct Strings {
  std::int32_t a[16], b[16];  ///< elements, extended as their format says
  unsigned count;             ///< 16 bytes or 8 words
  unsigned length_a, length_b;
};

void split(const Vector& v, unsigned imm, std::int32_t (&out)[16]) {
  const bool words = (imm & 1) != 0, is_signed = (imm & 2) != 0;
  for (unsigned i = 0; i < (words ? 8u : 16u); ++i) {
    if (words) {
      std::uint16_t lane;
      std::memcpy(&lane, v.bytes + 2 * i, 2);
      out[i] = is_signed ? static_cast<std::int16_t>(lane) : lane;
    } else {
      out[i] = is_signed ? static_cast<std::int8_t>(v.bytes[i]) : v.bytes[i];
    }
  }
}

unsigned implicit_length(const std::int32_t (&elements)[16], unsigned count) {
  unsigned n = 0;
  while (n < count && elements[n] != 0) ++n;
  return n;
}
/// |value| saturated at the number of elements.
unsigned explicit_length_of(std::uint64_t value, bool wide, unsigned count) {
  const std::int64_t v = wide ? static_cast<std::int64_t>(value) : static_cast<std::int32_t>(value);
  const std::uint64_t size = v < 0 ? 0 - static_cast<std::uint64_t>(v) : static_cast<std::uint64_t>(v);
  return size > count ? count : static_cast<unsigned>(size);
}

bool equal_any(const Strings& s, unsigned j) {
  for (unsigned i = 0; i < s.length_a; ++i)
    if (s.a[i] == s.b[j]) return true;
  return false;
}
bool in_ranges(const Strings& s, unsigned j) {
  for (unsigned i = 0; i + 1 < s.length_a; i += 2)
    if (s.a[i] <= s.b[j] && s.b[j] <= s.a[i + 1]) return true;
  return false;
}
/// Substring a starts at j, as far as b reaches. Where a has ended the comparison holds; past the end of b it
/// fails, past the end of the register it is not made (SDM vol. 2, table 4-5).
bool ordered(const Strings& s, unsigned j) {
  for (unsigned i = 0; i < s.length_a && i + j < s.count; ++i)
    if (i + j >= s.length_b || s.a[i] != s.b[i + j]) return false;
  return true;
}

unsigned compare(const Strings& s, unsigned imm) {
  unsigned result = 0;
  for (unsigned j = 0; j < s.count; ++j) {
    const bool valid_a = j < s.length_a, valid_b = j < s.length_b;
    bool bit = false;
    switch ((imm >> 2) & 3) {
      case 0:
        bit = valid_b && equal_any(s, j);
        break;
      case 1:
        bit = valid_b && in_ranges(s, j);
        break;
      case 2:
        bit = valid_a && valid_b ? s.a[j] == s.b[j] : valid_a == valid_b;
        break;
      default:
        bit = ordered(s, j);
        break;
    }
    result |= unsigned{bit} << j;
  }
  const unsigned all = (1u << s.count) - 1;
  if ((imm & 0x30) == 0x10) result ^= all;
  if ((imm & 0x30) == 0x30) result ^= (1u << s.length_b) - 1;
  return result;
}

void write_mask(Vector& out, unsigned bits, unsigned imm, unsigned count) {
  out = {};
  if ((imm & 0x40) == 0) {
    std::memcpy(out.bytes, &bits, 2);
    return;
  }
  const unsigned size = 16 / count;
  for (unsigned i = 0; i < count; ++i)
    if (((bits >> i) & 1) != 0) std::memset(out.bytes + i * size, 0xFF, size);
}

std::uint64_t string_compare(ir::CoreState* state, std::uint64_t descriptor, std::uint64_t low,
                             std::uint64_t high) {
  CpuState* s = cpu(state);
  const auto imm = static_cast<unsigned>(descriptor & 0xFF);
  Vector second;
  std::memcpy(second.bytes, &low, 8);
  std::memcpy(second.bytes + 8, &high, 8);
  Strings strings{};
  strings.count = (imm & 1) != 0 ? 8 : 16;
  split(s->xmm[(descriptor >> 8) & 15], imm, strings.a);
  split(second, imm, strings.b);
  if (((descriptor >> 16) & 1) != 0) {
    const bool wide = ((descriptor >> 17) & 1) != 0;
    strings.length_a = explicit_length_of(s->gpr[kRax], wide, strings.count);
    strings.length_b = explicit_length_of(s->gpr[kRdx], wide, strings.count);
  } else {
    strings.length_a = implicit_length(strings.a, strings.count);
    strings.length_b = implicit_length(strings.b, strings.count);
  }
  const unsigned bits = compare(strings, imm);
  std::uint64_t index = 0;
  if (((descriptor >> 18) & 1) == 0) {
    write_mask(s->xmm[0], bits, imm, strings.count);
  } else if (bits == 0) {
    index = strings.count;
  } else {
    index = (imm & 0x40) != 0 ? static_cast<unsigned>(std::bit_width(bits)) - 1
                              : static_cast<unsigned>(std::countr_zero(bits));
  }
  const std::uint32_t flags =
      (bits != 0 ? ir::eflags::kC : 0u) | (strings.length_b < strings.count ? ir::eflags::kZ : 0u) |
      (strings.length_a < strings.count ? ir::eflags::kS : 0u) | ((bits & 1) != 0 ? ir::eflags::kV : 0u);
  return index | std::uint64_t{flags} << 32;
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
