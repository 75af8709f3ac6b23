#include "engine/interp/flags.h"

#include "engine/base/check.h"

namespace hindsight::engine::interp {
namespace {

using ir::Op;
namespace p = ir::packed;
__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

std::int64_t sign_extend(std::uint64_t v, unsigned bits) {
  return static_cast<std::int64_t>(v << (64 - bits)) >> (64 - bits);
}

AluResult add(std::uint64_t a, std::uint64_t b, bool carry, unsigned bits) {
  const std::uint64_t r = (a + b + carry) & width_mask(bits);
  std::uint16_t f = szp(r, bits);
  f = with(f, p::kC, carry ? r <= a : r < a);
  f = with(f, p::kA, (a ^ b ^ r) & 0x10);
  f = with(f, p::kV, sign_bit((a ^ r) & (b ^ r), bits));
  return {r, f};
}

AluResult sub(std::uint64_t a, std::uint64_t b, bool borrow, unsigned bits) {
  const std::uint64_t r = (a - b - borrow) & width_mask(bits);
  std::uint16_t f = szp(r, bits);
  f = with(f, p::kC, borrow ? a <= b : a < b);
  f = with(f, p::kA, (a ^ b ^ r) & 0x10);
  f = with(f, p::kV, sign_bit((a ^ b) & (a ^ r), bits));
  return {r, f};
}

AluResult shift(Op op, std::uint64_t a, unsigned count, unsigned bits) {
  if (count == 0) return {a, 0, false};
  std::uint64_t r = 0;
  bool carry = false, overflow = false;
  switch (op) {
    case Op::Shl:
      r = count < bits ? (a << count) & width_mask(bits) : 0;
      carry = count <= bits && ((a >> (bits - count)) & 1);
      overflow = count == 1 && (sign_bit(r, bits) != carry);
      break;
    case Op::Shr:
      r = count < bits ? a >> count : 0;
      carry = count <= bits && ((a >> (count - 1)) & 1);
      overflow = count == 1 && sign_bit(a, bits);
      break;
    default: {
      const std::int64_t wide = sign_extend(a, bits);
      const unsigned by = count < bits ? count : bits - 1;
      r = static_cast<std::uint64_t>(wide >> by) & width_mask(bits);
      carry = count < bits ? (wide >> (count - 1)) & 1 : wide < 0;
      break;
    }
  }
  return {r, with(with(szp(r, bits), p::kC, carry), p::kV, overflow)};
}

AluResult rotate(Op op, std::uint64_t a, unsigned count, unsigned bits) {
  if (count == 0) return {a, 0, false};
  const unsigned by = count % bits;
  const unsigned left = op == Op::Rol ? by : (bits - by) % bits;
  const std::uint64_t r = left == 0 ? a : ((a << left) | (a >> (bits - left))) & width_mask(bits);
  const bool carry = op == Op::Rol ? (r & 1) != 0 : sign_bit(r, bits);
  const bool overflow = op == Op::Rol ? sign_bit(r, bits) != carry : sign_bit(r ^ (r << 1), bits);
  return {r, with(with(p::kFixed, p::kC, carry), p::kV, count == 1 && overflow)};
}

AluResult shift_double(Op op, std::uint64_t a, std::uint64_t b, unsigned count, unsigned bits) {
  if (count == 0 || count > bits) return {a, 0, false};
  std::uint64_t r;
  bool carry;
  if (op == Op::ShlD) {
    r = count == bits ? b : (a << count) | (b >> (bits - count));
    carry = (a >> (bits - count)) & 1;
  } else {
    r = count == bits ? b : (a >> count) | (b << (bits - count));
    carry = (a >> (count - 1)) & 1;
  }
  r &= width_mask(bits);
  const bool overflow = count == 1 && sign_bit(a ^ r, bits);
  return {r, with(with(szp(r, bits), p::kC, carry), p::kV, overflow)};
}

AluResult multiply(Op op, std::uint64_t a, std::uint64_t b, unsigned bits) {
  const SignedWide product = SignedWide{sign_extend(a, bits)} * sign_extend(b, bits);
  const auto low = static_cast<std::uint64_t>(product) & width_mask(bits);
  std::uint64_t r = low;
  bool overflow = product != SignedWide{sign_extend(low, bits)};
  if (op == Op::SMulH) r = static_cast<std::uint64_t>(product >> 64);
  if (op == Op::UMulH) {
    r = static_cast<std::uint64_t>((Wide{a} * b) >> 64);
    overflow = r != 0;
  }
  return {r, with(with(p::kFixed, p::kC, overflow), p::kV, overflow)};
}

AluResult count_bits(Op op, std::uint64_t a, std::uint64_t b, unsigned bits) {
  std::uint64_t r = b;
  if (op == Op::Popcnt)
    r = static_cast<std::uint64_t>(std::popcount(a));
  else if (a != 0)
    r = op == Op::BsfOr ? static_cast<std::uint64_t>(std::countr_zero(a))
                        : 63 - static_cast<std::uint64_t>(std::countl_zero(a));
  return {r & width_mask(bits), with(p::kFixed, p::kZ, a == 0)};
}

}  // namespace

AluResult alu(Op op, unsigned bits, std::uint64_t a, std::uint64_t b, std::uint64_t c, bool carry) {
  CHECK(bits >= 8 && bits <= 64, "an operation on {} bits", bits);
  const std::uint64_t mask = width_mask(bits);
  const unsigned count_mask = bits == 64 ? 63 : 31;
  a &= mask;
  if (op != Op::ShlD && op != Op::ShrD) c = b;  // the shift count
  b &= mask;
  const auto count = static_cast<unsigned>(c) & count_mask;
  switch (op) {
    case Op::Add:
      return add(a, b, false, bits);
    case Op::Adc:
      return add(a, b, carry, bits);
    case Op::Sub:
      return sub(a, b, false, bits);
    case Op::Sbb:
      return sub(a, b, carry, bits);
    case Op::Neg:
      return sub(0, a, false, bits);
    case Op::And:
      return {a & b, szp(a & b, bits)};
    case Op::Or:
      return {a | b, szp(a | b, bits)};
    case Op::Xor:
      return {a ^ b, szp(a ^ b, bits)};
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
      return shift(op, a, count, bits);
    case Op::Rol:
    case Op::Ror:
      return rotate(op, a, count, bits);
    case Op::ShlD:
    case Op::ShrD:
      return shift_double(op, a, b, count, bits);
    case Op::Mul:
    case Op::UMulH:
    case Op::SMulH:
      return multiply(op, a, b, bits);
    case Op::BsfOr:
    case Op::BsrOr:
    case Op::Popcnt:
      return count_bits(op, a, b, bits);
    default:
      CHECK(false, "{} is no integer operation", ir::info(op).name);
  }
}

}  // namespace hindsight::engine::interp
