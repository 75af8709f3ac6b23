// What an Op::X87 does, so that a code generator may do it on the host's x87 unit. The meaning is the
// helper's: where a generator meets anything unusual (a tag that is not as the instruction wants it, memory
// out of reach), it calls the helper instead. Only where every x87 exception is masked. Plain data; any
// thread.
#pragma once

#include <cstdint>

#include "engine/ir/ir.h"

namespace hindsight::engine::ir {

/// Registers are physical ones. The result goes to `dst`; then `pops` registers go from `top` on, which
/// become empty. Where nothing else is said, registers read are not empty, C1 says whether the result was
/// rounded up, and exceptions add to the status word.
enum class X87Kind : std::uint8_t {
  load,               ///< pushes dst, which was empty, from memory (X87Format); C1 = 0
  constant,           ///< pushes dst = 1, log2(10), log2(e), pi, log10(2), ln(2), 0 by `detail`; C1 = 0
  push,               ///< pushes dst = src; C1 = 0
  copy,               ///< dst = src, dst empty or not; C1 = 0
  exchange,           ///< dst, src; C1 = 0
  arithmetic,         ///< dst = dst op src; `detail` = X87Arithmetic
  arithmetic_memory,  ///< dst = dst op memory; detail = X87Arithmetic | X87Format << 3
  compare,            ///< dst with src to C3, C2, C0; C1 = 0
  unordered,          ///< the same, quiet NaNs being valid
  compare_flags,      ///< dst with src to the condition flags; C1 = 0
  unordered_flags,
  compare_memory,  ///< detail = X87Format
  test,            ///< dst with zero, as `compare`
  root,
  round,
  negate,    ///< C1 = 0
  absolute,  ///< C1 = 0
  store,     ///< src to memory (X87Format); C1 = 0 for f80
};
/// As ModRM.reg numbers them (SDM vol. 2, table A-7).
enum class X87Arithmetic : std::uint8_t { add, mul, sub = 4, subr, div, divr };
enum class X87Format : std::uint8_t { f32, f64, f80, i16, i32, i64, truncate16, truncate32, truncate64 };
constexpr unsigned bytes_of(X87Format format) {
  constexpr unsigned kBytes[] = {4, 8, 10, 2, 4, 8, 2, 4, 8};
  return kBytes[static_cast<unsigned>(format)];
}

/// Inst::imm of an Op::X87, the helper's first argument.
struct X87Operands {
  std::uint8_t dst, src, top;  ///< top: TOP before
  std::int8_t pops;            ///< -1: a push
  std::uint8_t access;         ///< AccessFlags of the memory operand
  std::uint8_t mode_byte;      ///< the highest byte of CoreState::mode afterwards

  [[nodiscard]] constexpr unsigned top_after() const { return static_cast<unsigned>(top + pops) & 7; }
  [[nodiscard]] constexpr std::int64_t pack() const {
    return static_cast<std::int64_t>(dst | std::uint64_t{src} << 8 | std::uint64_t{top} << 16 |
                                     std::uint64_t{static_cast<std::uint8_t>(pops)} << 24 |
                                     std::uint64_t{access} << 32 | std::uint64_t{mode_byte} << 40);
  }
  static constexpr X87Operands unpack(std::int64_t packed) {
    const auto v = static_cast<std::uint64_t>(packed);
    return {static_cast<std::uint8_t>(v & 7),           static_cast<std::uint8_t>((v >> 8) & 7),
            static_cast<std::uint8_t>((v >> 16) & 7),   static_cast<std::int8_t>(v >> 24),
            static_cast<std::uint8_t>((v >> 32) & 255), static_cast<std::uint8_t>((v >> 40) & 255)};
  }
};

constexpr std::uint16_t x87_sub(X87Kind kind, unsigned detail = 0) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(kind) | detail << 8);
}
constexpr X87Kind x87_kind(const Inst& inst) { return static_cast<X87Kind>(inst.sub & 255); }
constexpr unsigned x87_detail(const Inst& inst) { return inst.sub >> 8; }

/// Tags (bit = physical register) that must be set, and that must be clear, for an operation to go without a
/// stack fault.
struct X87Tags {
  std::uint8_t full = 0, empty = 0;
};
X87Tags x87_tags_wanted(const Inst& inst);
/// The tags after it, given those before.
std::uint8_t x87_tags_after(const Inst& inst, std::uint8_t tags);

}  // namespace hindsight::engine::ir
