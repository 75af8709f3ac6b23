#include "engine/ir/x87_ops.h"

namespace hindsight::engine::ir {

X87Tags x87_tags_wanted(const Inst& inst) {
  const X87Operands o = X87Operands::unpack(inst.imm);
  const auto bit = [](unsigned r) { return static_cast<std::uint8_t>(1u << r); };
  switch (x87_kind(inst)) {
    case X87Kind::load:
    case X87Kind::constant:
      return {0, bit(o.dst)};
    case X87Kind::push:
      return {bit(o.src), bit(o.dst)};
    case X87Kind::copy:
    case X87Kind::store:
      return {bit(o.src), 0};
    case X87Kind::exchange:
    case X87Kind::arithmetic:
    case X87Kind::compare:
    case X87Kind::unordered:
    case X87Kind::compare_flags:
    case X87Kind::unordered_flags:
      return {static_cast<std::uint8_t>(bit(o.dst) | bit(o.src)), 0};
    case X87Kind::arithmetic_memory:
    case X87Kind::compare_memory:
    case X87Kind::test:
    case X87Kind::root:
    case X87Kind::round:
    case X87Kind::negate:
    case X87Kind::absolute:
      return {bit(o.dst), 0};
  }
  return {};
}

std::uint8_t x87_tags_after(const Inst& inst, std::uint8_t tags) {
  const X87Operands o = X87Operands::unpack(inst.imm);
  unsigned after = tags;
  if (o.pops < 0 || x87_kind(inst) == X87Kind::copy) after |= 1u << o.dst;
  for (int i = 0; i < o.pops; ++i) after &= ~(1u << ((o.top + i) & 7));
  return static_cast<std::uint8_t>(after);
}

}  // namespace hindsight::engine::ir
