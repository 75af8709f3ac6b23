#include "engine/guest/x86/integer_helpers.h"

#include <array>
#include <bit>
#include <cstring>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/system_bits.h"

namespace hindsight::engine::guest::x86 {
namespace {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

CpuState& cpu(ir::CoreState* state) { return *static_cast<CpuState*>(state); }

std::uint64_t divide_error(ir::CoreState* state) {
  ir::raise(state, exception::kDe);
  return 0;
}

std::uint64_t divide_unsigned(ir::CoreState* state, std::uint64_t dividend, std::uint64_t divisor,
                              std::uint64_t bits) {
  if (divisor == 0) return divide_error(state);
  const std::uint64_t quotient = dividend / divisor;
  return quotient >> bits != 0 ? divide_error(state) : quotient;
}

std::uint64_t divide_signed(ir::CoreState* state, std::uint64_t dividend, std::uint64_t divisor,
                            std::uint64_t bits) {
  const auto n = static_cast<std::int64_t>(dividend), d = static_cast<std::int64_t>(divisor);
  // The smallest dividend by -1 overflows on the host as well.
  if (d == 0 || (d == -1 && n == std::numeric_limits<std::int64_t>::min())) return divide_error(state);
  const std::int64_t quotient = n / d;
  const std::int64_t limit = std::int64_t{1} << (bits - 1);
  return quotient < -limit || quotient >= limit ? divide_error(state) : static_cast<std::uint64_t>(quotient);
}

std::uint64_t divide_unsigned128(ir::CoreState* state, std::uint64_t high, std::uint64_t low,
                                 std::uint64_t divisor) {
  if (high >= divisor) return divide_error(state);  // covers zero: the quotient would not fit
  if (high == 0) return low / divisor;
  return static_cast<std::uint64_t>((Wide{high} << 64 | low) / divisor);
}

std::uint64_t divide_signed128(ir::CoreState* state, std::uint64_t high, std::uint64_t low,
                               std::uint64_t divisor) {
  const auto d = static_cast<std::int64_t>(divisor);
  if (d == 0) return divide_error(state);
  if (high == (low >> 63 != 0 ? ~std::uint64_t{0} : 0) && d != -1)  // the dividend is a sign-extended RAX
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(low) / d);
  const auto n = static_cast<SignedWide>(Wide{high} << 64 | low);
  // Only -2^127 / -1 overflows 128 bits; its quotient would not fit 64 either.
  if (d == -1 && n == static_cast<SignedWide>(Wide{1} << 127)) return divide_error(state);
  const SignedWide quotient = n / d;
  if (quotient != static_cast<std::int64_t>(quotient)) return divide_error(state);
  return static_cast<std::uint64_t>(quotient);
}

void set_packed(ir::CoreState* state, std::uint16_t bit, bool on) {
  state->flags = static_cast<std::uint16_t>(on ? state->flags | bit : state->flags & ~bit);
}

/// SDM vol. 2, RCL/RCR/ROL/ROR. OF is defined for a count of one; for others it is cleared.
std::uint64_t rotate_carry_left(ir::CoreState* state, std::uint64_t value, std::uint64_t count,
                                std::uint64_t bits) {
  const std::uint64_t masked = count & (bits == 64 ? 63 : 31);
  if (masked == 0) return value;
  bool carry = (state->flags & ir::packed::kC) != 0;
  for (std::uint64_t i = 0; i < masked % (bits + 1); ++i) {
    const bool out = (value >> (bits - 1) & 1) != 0;
    value = value << 1 | (carry ? 1 : 0);
    carry = out;
  }
  const bool sign = (value >> (bits - 1) & 1) != 0;
  set_packed(state, ir::packed::kC, carry);
  set_packed(state, ir::packed::kV, masked == 1 && sign != carry);
  return value;
}

std::uint64_t rotate_carry_right(ir::CoreState* state, std::uint64_t value, std::uint64_t count,
                                 std::uint64_t bits) {
  const std::uint64_t masked = count & (bits == 64 ? 63 : 31);
  if (masked == 0) return value;
  bool carry = (state->flags & ir::packed::kC) != 0;
  const bool overflow = masked == 1 && carry != ((value >> (bits - 1) & 1) != 0);
  for (std::uint64_t i = 0; i < masked % (bits + 1); ++i) {
    const bool out = (value & 1) != 0;
    value = value >> 1 | (carry ? std::uint64_t{1} << (bits - 1) : 0);
    carry = out;
  }
  set_packed(state, ir::packed::kC, carry);
  set_packed(state, ir::packed::kV, overflow);
  return value;
}

/// CRC-32C by table, bit-reflected: polynomial 82F63B78H.
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint64_t crc32(ir::CoreState*, std::uint64_t crc, std::uint64_t value, std::uint64_t bytes) {
  auto sum = static_cast<std::uint32_t>(crc);
  for (std::uint64_t i = 0; i < bytes; ++i, value >>= 8) sum = sum >> 8 ^ kCrcTable[(sum ^ value) & 0xFF];
  return sum;
}

std::uint64_t compare_exchange16(ir::CoreState* state, std::uint64_t address, std::uint64_t access,
                                 std::uint64_t) {
  if ((address & 15) != 0) {
    ir::raise(state, exception::kGp, 0);
    return 0;
  }
  CpuState& s = cpu(state);
  const auto flags = static_cast<std::uint32_t>(access);
  s.memory->load16(&s, address, flags | ir::kAccessWriteIntent);
  if (s.trap.kind != ir::TrapKind::none) return 0;
  std::uint64_t old[2];
  std::memcpy(old, s.wide, 16);
  const bool equal = old[0] == s.gpr[kRax] && old[1] == s.gpr[kRdx];
  const std::uint64_t fresh[2] = {s.gpr[kRbx], s.gpr[kRcx]};
  std::memcpy(s.wide, equal ? fresh : old, 16);
  s.memory->store16(&s, address, flags);
  if (s.trap.kind != ir::TrapKind::none) return 0;
  if (!equal) {
    s.gpr[kRax] = old[0];
    s.gpr[kRdx] = old[1];
  }
  set_packed(state, ir::packed::kZ, equal);
  return 0;
}

std::uint64_t bound_check(ir::CoreState* state, std::uint64_t index, std::uint64_t lower,
                          std::uint64_t upper) {
  const auto i = static_cast<std::int64_t>(index);
  if (i < static_cast<std::int64_t>(lower) || i > static_cast<std::int64_t>(upper))
    ir::raise(state, exception::kBr);
  return 0;
}

// Decimal adjustment (SDM vol. 2). Flags that the manual leaves undefined are cleared.

struct Ax {
  std::uint8_t al, ah;
  bool carry, adjust;
};

Ax read_ax(ir::CoreState* state) {
  const std::uint64_t rax = cpu(state).gpr[kRax];
  return {static_cast<std::uint8_t>(rax), static_cast<std::uint8_t>(rax >> 8),
          (state->flags & ir::packed::kC) != 0, (state->flags & ir::packed::kA) != 0};
}

std::uint64_t write_ax(ir::CoreState* state, const Ax& ax) {
  std::uint64_t& rax = cpu(state).gpr[kRax];
  rax = (rax & ~std::uint64_t{0xFFFF}) | static_cast<std::uint64_t>(ax.ah << 8 | ax.al);
  std::uint16_t flags = ir::packed::kFixed;
  if (ax.carry) flags |= ir::packed::kC;
  if (ax.adjust) flags |= ir::packed::kA;
  state->flags = packed_with_szp8(flags, ax.al);
  return 0;
}

std::uint64_t decimal_adjust(ir::CoreState* state, int sign) {
  Ax ax = read_ax(state);
  const std::uint8_t old_al = ax.al;
  const bool old_carry = ax.carry;
  ax.carry = false;
  if ((old_al & 15) > 9 || ax.adjust) {
    // DAS borrows out of AL, DAA carries out of it.
    ax.carry = old_carry || (sign > 0 ? old_al > 0xFF - 6 : old_al < 6);
    ax.al = static_cast<std::uint8_t>(ax.al + 6 * sign);
    ax.adjust = true;
  }
  if (old_al > 0x99 || old_carry) {
    ax.al = static_cast<std::uint8_t>(ax.al + 0x60 * sign);
    ax.carry = true;
  }
  return write_ax(state, ax);
}
std::uint64_t daa(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  return decimal_adjust(state, 1);
}
std::uint64_t das(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  return decimal_adjust(state, -1);
}

std::uint64_t ascii_adjust(ir::CoreState* state, int sign) {
  Ax ax = read_ax(state);
  const bool adjust = (ax.al & 15) > 9 || ax.adjust;
  if (adjust) {
    const auto sum = static_cast<std::uint16_t>((ax.ah << 8 | ax.al) + 0x106 * sign);
    ax.al = static_cast<std::uint8_t>(sum);
    ax.ah = static_cast<std::uint8_t>(sum >> 8);
  }
  ax.carry = ax.adjust = adjust;
  ax.al &= 15;
  return write_ax(state, ax);
}
std::uint64_t aaa(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  return ascii_adjust(state, 1);
}
std::uint64_t aas(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  return ascii_adjust(state, -1);
}

std::uint64_t aam(ir::CoreState* state, std::uint64_t base, std::uint64_t, std::uint64_t) {
  if (base == 0) return divide_error(state);
  const std::uint8_t al = read_ax(state).al;
  return write_ax(state,
                  {static_cast<std::uint8_t>(al % base), static_cast<std::uint8_t>(al / base), false, false});
}

std::uint64_t aad(ir::CoreState* state, std::uint64_t base, std::uint64_t, std::uint64_t) {
  const Ax ax = read_ax(state);
  return write_ax(state, {static_cast<std::uint8_t>(ax.al + ax.ah * base), 0, false, false});
}

constexpr std::uint32_t kFlagsInOut = ir::kReadsFlags | ir::kWritesFlags;
constexpr std::uint32_t kAllIntegers = kFlagsInOut | ir::kReadsRegisters | ir::kWritesRegisters;

}  // namespace

const ir::HelperInfo kDivideUnsigned = {"divide_unsigned", divide_unsigned, ir::kMayTrap};
const ir::HelperInfo kDivideSigned = {"divide_signed", divide_signed, ir::kMayTrap};
const ir::HelperInfo kDivideUnsigned128 = {"divide_unsigned128", divide_unsigned128, ir::kMayTrap};
const ir::HelperInfo kDivideSigned128 = {"divide_signed128", divide_signed128, ir::kMayTrap};
const ir::HelperInfo kRotateCarryLeft = {"rotate_carry_left", rotate_carry_left, kFlagsInOut};
const ir::HelperInfo kRotateCarryRight = {"rotate_carry_right", rotate_carry_right, kFlagsInOut};
const ir::HelperInfo kCrc32 = {"crc32", crc32, ir::kPure};
const ir::HelperInfo kCompareExchange16 = {"compare_exchange16", compare_exchange16,
                                           kAllIntegers | ir::kMayTrap};
const ir::HelperInfo kBoundCheck = {"bound_check", bound_check, ir::kMayTrap};
const ir::HelperInfo kDaa = {"daa", daa, kAllIntegers};
const ir::HelperInfo kDas = {"das", das, kAllIntegers};
const ir::HelperInfo kAaa = {"aaa", aaa, kAllIntegers};
const ir::HelperInfo kAas = {"aas", aas, kAllIntegers};
const ir::HelperInfo kAam = {"aam", aam, kAllIntegers | ir::kMayTrap};
const ir::HelperInfo kAad = {"aad", aad, kAllIntegers};

std::uint16_t packed_flags_of_sub(std::uint64_t left, std::uint64_t right, unsigned bytes) {
  const unsigned shift = 64 - 8 * bytes;
  // At the top of 64 bits, carry, sign and overflow are those of the full width.
  const std::uint64_t a = left << shift, b = right << shift, difference = a - b;
  std::uint16_t flags = ir::packed::kFixed;
  if (a < b) flags |= ir::packed::kC;
  if (difference == 0) flags |= ir::packed::kZ;
  if (difference >> 63 != 0) flags |= ir::packed::kS;
  if (((a ^ b) & (a ^ difference)) >> 63 != 0) flags |= ir::packed::kV;
  if ((left & 15) < (right & 15)) flags |= ir::packed::kA;
  if (std::popcount(static_cast<std::uint8_t>(left - right)) % 2 == 0) flags |= ir::packed::kP;
  return flags;
}

std::uint16_t packed_with_szp8(std::uint16_t packed, std::uint8_t result) {
  packed = static_cast<std::uint16_t>(packed & ~(ir::packed::kS | ir::packed::kZ | ir::packed::kP));
  if (result == 0) packed |= ir::packed::kZ;
  if (result >= 0x80) packed |= ir::packed::kS;
  if (std::popcount(result) % 2 == 0) packed |= ir::packed::kP;
  return packed;
}

}  // namespace hindsight::engine::guest::x86
