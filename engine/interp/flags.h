// Condition flags of the IR's integer operations, exactly as ops.def defines them. Pure functions;
// any thread; the same on every host.
#pragma once

#include <bit>
#include <cstdint>

#include "engine/ir/ir.h"

namespace hindsight::engine::interp {

/// A result and all six flags in packed layout; `defined` is false where the operation changes no flag.
struct AluResult {
  std::uint64_t value;
  std::uint16_t flags = 0;
  bool defined = true;
};

constexpr std::uint64_t width_mask(unsigned bits) {
  return bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

constexpr bool sign_bit(std::uint64_t v, unsigned bits) { return (v >> (bits - 1)) & 1; }

/// S, Z, P of a result (already truncated to its width).
constexpr std::uint16_t szp(std::uint64_t v, unsigned bits) {
  std::uint16_t f = ir::packed::kFixed;
  if (v == 0) f |= ir::packed::kZ;
  if (sign_bit(v, bits)) f |= ir::packed::kS;
  if ((std::popcount(static_cast<unsigned>(v & 0xFF)) & 1) == 0) f |= ir::packed::kP;
  return f;
}

constexpr std::uint16_t with(std::uint16_t flags, std::uint16_t bit, bool set) {
  return set ? static_cast<std::uint16_t>(flags | bit) : flags;
}

/// One integer operation on `bits`-wide operands. `a`, `b`, `c` may have garbage above their width.
AluResult alu(ir::Op op, unsigned bits, std::uint64_t a, std::uint64_t b, std::uint64_t c, bool carry);

}  // namespace hindsight::engine::interp
