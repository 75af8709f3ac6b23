#include "tests/unit/engine/x64_random_block.h"

#include <array>
#include <vector>

#include "engine/ir/builder.h"
#include "engine/ir/vector_ops.h"
#include "tests/unit/engine/x64_machine.h"

namespace hindsight::engine::test {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;

constexpr unsigned kPointers[] = {4, 12};  ///< general registers that always point into memory
constexpr std::uint32_t kStart = 16;       ///< page offset of the block

std::uint64_t mix_helper(ir::CoreState*, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  return (a ^ (b * 3)) + (c << 7);
}
std::uint64_t registers_helper(ir::CoreState* s, std::uint64_t a, std::uint64_t, std::uint64_t) {
  auto& m = *static_cast<MachineState*>(s);
  const std::uint64_t old = m.gpr[2] + m.gpr[10];
  m.gpr[2] ^= a, m.gpr[7] += 5, m.gpr[11] = a;
  return old;
}
std::uint64_t reading_helper(ir::CoreState* s, std::uint64_t, std::uint64_t b, std::uint64_t) {
  auto& m = *static_cast<MachineState*>(s);
  std::uint64_t sum = b;
  for (std::uint64_t r : m.gpr) sum = sum * 31 + r;
  return sum ^ s->flags;
}
std::uint64_t flags_helper(ir::CoreState* s, std::uint64_t a, std::uint64_t, std::uint64_t) {
  s->flags = ir::pack_flags((static_cast<std::uint32_t>(a) & ir::eflags::kAll));
  return 1;
}
std::uint64_t trapping_helper(ir::CoreState* s, std::uint64_t a, std::uint64_t, std::uint64_t) {
  if ((a & 7) == 0) ir::raise(s, 0);
  return a / 3;
}
std::uint64_t vector_helper(ir::CoreState* s, std::uint64_t a, std::uint64_t, std::uint64_t) {
  auto& m = *static_cast<MachineState*>(s);
  m.vec[1][3] ^= static_cast<std::uint8_t>(a);
  return m.vec[0][0];
}
const ir::HelperInfo kHelpers[] = {
    {"mix", mix_helper, ir::kPure},
    {"registers", registers_helper, ir::kReadsRegisters | ir::kWritesRegisters},
    {"reading", reading_helper, ir::kReadsRegisters | ir::kReadsFlags},
    {"flags", flags_helper, ir::kWritesFlags},
    {"vectors", vector_helper, ir::kTouchesVectors},
    {"trapping", trapping_helper, ir::kMayTrap},
};
constexpr unsigned kTrappingHelper = 5;

class Generator {
 public:
  Generator(std::mt19937_64& rng, const RandomOptions& o, ir::Block& block) : rng_(rng), o_(o), b_(block) {}

  void run() {
    ir::Block& block = b_.block();
    block.clear();
    block.start_offset = kStart;
    block.insn_count = static_cast<std::uint16_t>(1 + below(o_.insns));
    for (unsigned k = 0; k < block.insn_count; ++k) {
      if (below(3) != 0)
        for (auto& pool : pools_) pool.clear();
      b_.insn_start(kStart + k * 4, static_cast<std::uint16_t>(k));
      if (o_.memory && below(3) == 0) trapping();
      const unsigned ops = below(o_.ops_per_insn + 1);
      for (unsigned n = 0; n < ops; ++n) compute(0);
      if (o_.memory && below(3) == 0) trapping();
      if (o_.memory && below(5) == 0) read_modify_write();
      for (unsigned n = below(4); n > 0; --n) commit();
    }
    block.byte_length = block.insn_count * 4u;
    finish();
  }

 private:
  unsigned below(std::uint64_t n) { return static_cast<unsigned>(rng_() % n); }
  std::vector<Value>& pool(Type t) { return pools_[static_cast<unsigned>(t)]; }
  Value keep(Value v) {
    if (const Type t = b_.type_of(v); t != Type::none) pool(t).push_back(v);
    return v;
  }
  Type integer_type() { return static_cast<Type>(1 + below(4)); }

  std::uint64_t interesting() {
    switch (below(6)) {
      case 0:
        return below(4);
      case 1:
        return ~std::uint64_t{0} - below(3);
      case 2:
        return std::uint64_t{1} << below(64);
      case 3:
        return below(256);
      case 4:
        return rng_() & 0xFFFFFFFF;
      default:
        return rng_();
    }
  }
  std::uint64_t truncate(Type t, std::uint64_t v) {
    return t == Type::I64 ? v : v & ((std::uint64_t{1} << ir::bits_of(t)) - 1);
  }
  Value constant(Type t) { return b_.constant(t, truncate(t, interesting())); }

  Value load_reg(Type t) {
    const unsigned r = below(16);
    if (t == Type::V128) return b_.load_reg(t, vec_at(below(16)));
    const unsigned byte = t == Type::I8 && below(3) == 0 ? 1 : 0;
    return b_.load_reg(t, gpr_at(r) + byte);
  }
  Value any(Type t) {
    auto& p = pool(t);
    if (!p.empty() && below(3) != 0) return p[p.size() - 1 - below(std::min<std::size_t>(p.size(), 6))];
    if (t != Type::V128 && below(3) == 0) return constant(t);
    return keep(load_reg(t));
  }
  std::uint8_t flags(unsigned mode, std::uint8_t all) {
    if (mode == 0) return 0;
    return below(3) == 0 ? all & static_cast<std::uint8_t>(below(64)) : all;
  }

  Value address() {
    Value base = b_.load_reg(Type::I64, gpr_at(kPointers[below(2)]));
    if (below(3) == 0) {
      Value index = b_.and_(any(Type::I64), b_.constant(Type::I64, 0xFFF));
      if (below(2)) index = b_.binary(Op::Shl, index, b_.constant(Type::I8, 1 + below(3)));
      base = below(2) ? b_.add(base, index) : b_.add(index, base);
    }
    switch (below(4)) {
      case 0:
        return base;
      case 1:
        return b_.add_imm(base, static_cast<std::int64_t>(below(0x2000)) - 0x1000);
      case 2:  // near a page's end
        return b_.add_imm(b_.constant(Type::I64, Machine::kBase + 0x1000 * below(8)),
                          -static_cast<int>(below(20)));
      default:
        return b_.add_imm(base, below(256));
    }
  }

  void trapping() {
    const Type t = o_.vectors && below(4) == 0 ? Type::V128 : integer_type();
    switch (below(8)) {
      case 0:
        if (o_.calls) keep(b_.call(kHelpers[kTrappingHelper], any(Type::I64), any(Type::I64)));
        return;
      case 1:
        return b_.trap_if_bits(any(Type::I64), below(2) ? 0xF : 0x100000000000, 13);
      case 2:
      case 3:
      case 4: {
        const Value v = any(t), a = address();
        return b_.store(a, v, below(20) == 0 ? ir::kAccessSupervisor : ir::kAccessPlain);
      }
      default:
        keep(b_.load(t, address(), below(20) == 0 ? ir::kAccessSupervisor : ir::kAccessPlain));
    }
  }

  void read_modify_write() {
    const Type t = integer_type();
    const Value x = any(t), a = address();
    const Value old = b_.load(t, a, ir::kAccessWriteIntent);
    static constexpr Op kOps[] = {Op::Add, Op::Sub, Op::And, Op::Or, Op::Xor, Op::Adc, Op::Neg, Op::Shl};
    const Op op = kOps[below(8)];
    const std::uint8_t f = flags(below(2), ir::kFlagsAll);
    Value result;
    if (op == Op::Neg)
      result = b_.unary(op, old, f);
    else if (below(4) == 0 && op != Op::Shl)
      result = b_.binary(op, x, old, f);
    else
      result = b_.binary(op, old, x, f);
    b_.store(a, result);
    if (below(4) == 0) keep(old);
    if (below(4) == 0) keep(result);
  }

  void compute(unsigned mode) {
    const Type t = integer_type();
    if (o_.vectors && below(6) == 0) return vector(mode);
    switch (below(14)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        static constexpr Op kOps[] = {Op::Add, Op::Sub, Op::Adc, Op::Sbb, Op::And,
                                      Op::Or,  Op::Xor, Op::Add, Op::Sub};
        keep(b_.binary(kOps[below(9)], any(t), any(t), flags(mode, ir::kFlagsAll)));
        return;
      }
      case 4: {
        const Op op = below(2) ? Op::Neg : Op::Not;
        keep(b_.unary(op, any(t), op == Op::Neg ? flags(mode, ir::kFlagsAll) : 0));
        return;
      }
      case 5:
      case 6: {
        const Op op = static_cast<Op>(static_cast<unsigned>(Op::Shl) + below(5));
        const Value count = below(2) ? b_.constant(Type::I8, below(70)) : any(Type::I8);
        const bool rotate = op == Op::Rol || op == Op::Ror;
        const std::uint8_t f = mode == 0 ? 0 : rotate ? ir::kFlagsCV : ir::kFlagsAll;
        keep(b_.binary(op, any(t), count, f));
        return;
      }
      case 7: {
        const Type w = t == Type::I8 ? Type::I16 : t;
        const Value count = below(2) ? b_.constant(Type::I8, below(70)) : any(Type::I8);
        const std::uint8_t f = mode == 0 ? 0 : ir::kFlagsAll;
        keep(b_.ternary(below(2) ? Op::ShlD : Op::ShrD, any(w), any(w), count, f));
        return;
      }
      case 8:
        switch (below(4)) {
          case 0:
            keep(
                b_.binary(below(2) ? Op::UMulH : Op::SMulH, any(Type::I64), any(Type::I64), flags(mode, 63)));
            return;
          case 1:
            keep(b_.binary(below(2) ? Op::BsfOr : Op::BsrOr, any(t), any(t), flags(mode, 63)));
            return;
          case 2:
            keep(b_.unary(Op::Popcnt, any(t), flags(mode, 63)));
            return;
          default:
            keep(b_.binary(Op::Mul, any(t), any(t), flags(mode, 63)));
            return;
        }
      case 9:
        if (mode != 0)
          b_.binary(Op::BitTest, any(t), any(t), ir::kFlagC);
        else
          keep(b_.unary(Op::Bswap, any(t >= Type::I32 ? t : Type::I64)));
        return;
      case 10: {
        if (t == Type::I8) {
          keep(b_.trunc(Type::I8, any(static_cast<Type>(2 + below(3)))));
        } else {
          const Type from = static_cast<Type>(1 + below(static_cast<unsigned>(t) - 1));
          keep(below(2) ? b_.zext(t, any(from)) : b_.sext(t, any(from)));
        }
        return;
      }
      case 11: {
        static constexpr Op kOps[] = {Op::CmpEq, Op::CmpLtU, Op::CmpLtS};
        keep(b_.compare(kOps[below(3)], any(t), any(t)));
        return;
      }
      case 12:
        if (below(3) == 0) {
          keep(b_.get_flags());
        } else {
          const Value c = below(2) ? b_.cond(static_cast<ir::Condition>(below(16))) : any(Type::I8);
          keep(b_.select(c, any(t), any(t)));
        }
        return;
      default:
        keep(below(3) == 0 ? b_.get_icount()
             : below(2)    ? b_.get_pc(below(5000))
                           : b_.cond(static_cast<ir::Condition>(below(16))));
    }
  }

  void vector(unsigned mode) {
    const auto imm = static_cast<std::int64_t>(below(256));
    switch (below(mode == 0 ? 6 : 7)) {
      case 0:
      case 1:
      case 2: {
        const auto sub = static_cast<std::uint16_t>(below(ir::kVecOpCount));
        const Value a = any(Type::V128);
        const auto p = ir::kVecOps[sub].properties;
        const bool same = p & (ir::kVecUnary | ir::kVecFirstOnly);
        keep(b_.vec(sub, a, same ? a : any(Type::V128), p & ir::kVecImm ? imm & 7 : 0));
        return;
      }
      case 3: {
        const auto sub = static_cast<std::uint16_t>(below(ir::kVecIntOpCount));
        keep(b_.vec_int(sub, any(Type::V128), any(Type::I64),
                        ir::kVecIntOps[sub].properties & ir::kVecImm ? imm : 0));
        return;
      }
      case 4: {
        const auto sub = static_cast<std::uint16_t>(below(ir::kIntVecOpCount));
        keep(b_.int_vec(sub, any(Type::V128), ir::kIntVecOps[sub].properties & ir::kVecImm ? imm : 0));
        return;
      }
      case 5:
        keep(load_reg(Type::V128));
        return;
      default:
        b_.vec_flags(static_cast<std::uint16_t>(below(ir::kVecFlagsOpCount)), any(Type::V128),
                     any(Type::V128));
    }
  }

  void commit() {
    const Type t = o_.vectors && below(5) == 0 ? Type::V128 : integer_type();
    switch (below(9)) {
      case 0:
      case 1:
        return compute(1);
      case 2:
        if (below(2)) return b_.set_flags(any(Type::I32), static_cast<std::uint8_t>(below(64)));
        [[fallthrough]];
      case 3:
        if (o_.calls && below(3) == 0) {
          keep(b_.call(kHelpers[below(5)], any(Type::I64), any(Type::I64), any(Type::I64)));
          return;
        }
        [[fallthrough]];
      default: {
        if (t == Type::V128) return b_.store_reg(t, vec_at(below(16)), any(t));
        unsigned r = below(16);
        if (r == kPointers[0] || r == kPointers[1]) r = 0;
        if (t == Type::I32) {  // as a 64-bit guest writes 32-bit registers
          const Value v = any(Type::I32);
          return below(8) ? b_.store_reg(Type::I64, gpr_at(r), b_.zext(Type::I64, v))
                          : b_.store_reg(Type::I32, gpr_at(r), v);
        }
        b_.store_reg(t, gpr_at(r) + (t == Type::I8 && below(3) == 0 ? 1 : 0), any(t));
      }
    }
  }

  void finish() {
    // Never the block itself: the code would loop to the end of its budget, the interpreter runs one round.
    const auto target = [&]() -> std::int64_t {
      const std::int64_t offset = below(3) == 0 ? 4096 + below(9000) : below(4096);
      return offset == kStart ? offset + 4 : offset;
    };
    switch (below(5)) {
      case 0:
        return b_.jump(target());
      case 1:
        return b_.jump_indirect(any(Type::I64));
      case 2:
        return b_.leave(any(Type::I64));
      default: {
        Value c;
        if (below(2))
          c = b_.cond(static_cast<ir::Condition>(below(16)));
        else if (below(2))
          c = b_.compare(Op::CmpLtS, any(Type::I64), any(Type::I64));
        else
          c = any(Type::I8);
        return b_.branch(c, target(), target());
      }
    }
  }

  std::mt19937_64& rng_;
  const RandomOptions& o_;
  ir::Builder b_;
  std::array<std::vector<Value>, 6> pools_;
};

}  // namespace

void random_block(std::mt19937_64& rng, const RandomOptions& options, ir::Block& out) {
  Generator(rng, options, out).run();
}

}  // namespace hindsight::engine::test
