// Integer instructions lifted to IR and interpreted, against the host's own CPU: random encodings of every
// row of the integer table on random registers, flags and memory. Flags and results that the manual leaves
// undefined are not compared.
#if defined(__x86_64__)

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string_view>

#include "engine/guest/x86/system_bits.h"
#include "engine/guest/x86/x86_guest.h"
#include "engine/interp/interpreter.h"
#include "tests/isa/x86/host_cpu.h"

namespace hindsight::engine::guest::x86 {
namespace {

using tests::HostCpu;
using tests::HostFault;
using tests::HostRegisters;

constexpr std::uint64_t kMode64 = mode::kCode64 | mode::kUser | mode::kProtected | mode::kLong;

// Guest memory is host memory at the same address; outside the test's own bytes there is none.

/// The bytes at `address`, or nullptr and #GP.
std::byte* at_host(ir::CoreState* s, std::uint64_t address, std::uint64_t size) {
  const auto memory = *static_cast<const std::span<std::uint8_t>*>(s->environment);
  const auto first = reinterpret_cast<std::uint64_t>(memory.data());
  if (address >= first && address + size <= first + memory.size())
    return reinterpret_cast<std::byte*>(address);
  ir::raise(s, exception::kGp, 0);
  return nullptr;
}
std::uint64_t load_host(ir::CoreState* s, std::uint64_t address, std::uint32_t size, std::uint32_t) {
  std::uint64_t value = 0;
  if (const std::byte* p = at_host(s, address, size)) std::memcpy(&value, p, size);
  return value;
}
void store_host(ir::CoreState* s, std::uint64_t address, std::uint64_t value, std::uint32_t size,
                std::uint32_t) {
  if (std::byte* p = at_host(s, address, size)) std::memcpy(p, &value, size);
}
void load16_host(ir::CoreState* s, std::uint64_t address, std::uint32_t) {
  if (const std::byte* p = at_host(s, address, 16)) std::memcpy(s->wide, p, 16);
}
void store16_host(ir::CoreState* s, std::uint64_t address, std::uint32_t) {
  if (std::byte* p = at_host(s, address, 16)) std::memcpy(p, s->wide, 16);
}
std::byte* span_host(ir::CoreState* s, std::uint64_t address, bool, std::uint32_t, std::uint64_t* length) {
  *length = kPageSize - (address & kPageMask);
  return at_host(s, address, 1);
}
std::byte* no_span(ir::CoreState*, std::uint64_t, bool, std::uint32_t, std::uint64_t*) { return nullptr; }

ir::MemoryOps host_memory(bool with_span) {
  ir::MemoryOps ops{};
  ops.load = load_host;
  ops.store = store_host;
  ops.load16 = load16_host;
  ops.store16 = store16_host;
  ops.span = with_span ? span_host : no_span;
  return ops;
}

/// Rows that can run on the host in line: no control transfer, nothing that the host's features change.
bool is_testable(const Row& row) {
  static const std::set<std::string_view> kExcluded = {"jmp",    "call", "ret", "loop", "loope",
                                                       "loopne", "jcxz", "ud0", "ud1",  "ud2"};
  const std::string_view name = row.mnemonic;
  const bool branch = row.operands[0] == Operand::Jb || row.operands[0] == Operand::Jz;
  const bool moffs = row.operands[0] == Operand::Ob || row.operands[0] == Operand::Ov ||
                     row.operands[1] == Operand::Ob || row.operands[1] == Operand::Ov;
  // Vendors differ on 0F 0D with a register.
  const bool hint = row.map == Map::x0f && row.opcode == 0x0D;
  return (row.flags & kNo64) == 0 && !hint && !branch && !moffs && !kExcluded.contains(name);
}

struct Trial {
  std::vector<std::uint8_t> code;
  Decoded decoded;
  HostRegisters registers;
};

class Generator {
 public:
  Generator(const Decoder& decoder, std::uint64_t memory, std::uint32_t seed)
      : decoder_(decoder), middle_(memory + HostCpu::kMemorySize / 2), random_(seed) {}

  /// A random encoding of the row with registers that keep its accesses within the test's memory.
  Trial make(const Row& row) {
    Trial t;
    do t.code = encode(row);
    while (decoder_.decode(t.code, kMode64, t.decoded) != DecodeStatus::ok || t.decoded.row != &row ||
           !is_addressable(t.decoded));
    t.code.resize(t.decoded.length);
    fill_registers(t);
    return t;
  }
  std::uint64_t value() {
    static constexpr std::uint64_t kCorners[] = {0,
                                                 1,
                                                 2,
                                                 0x7F,
                                                 0x80,
                                                 0xFF,
                                                 0x7FFF,
                                                 0x8000,
                                                 0xFFFF,
                                                 0x7FFFFFFF,
                                                 0x80000000,
                                                 0xFFFFFFFF,
                                                 0x7FFFFFFFFFFFFFFF,
                                                 0x8000000000000000,
                                                 0xFFFFFFFFFFFFFFFF};
    switch (below(4)) {
      case 0:
        return kCorners[below(std::size(kCorners))];
      case 1:
        return wide() >> below(64);
      default:
        return wide();
    }
  }
  std::uint64_t below(std::uint64_t n) { return wide() % n; }

 private:
  std::uint64_t wide() { return random_(); }

  std::vector<std::uint8_t> encode(const Row& row) {
    std::vector<std::uint8_t> code;
    const bool string = (row.flags & kString) != 0;
    if (below(4) == 0) code.push_back(0x66);
    if (below(12) == 0) code.push_back(0x67);
    if (below(8) == 0 && (row.flags & kLock) != 0) code.push_back(0xF0);
    if (string && below(2) == 0) code.push_back(below(2) == 0 ? 0xF2 : 0xF3);
    if (row.match.prefix == Prefix::xF3) code.push_back(0xF3);
    if (row.match.prefix == Prefix::xF2) code.push_back(0xF2);
    if (below(2) == 0) code.push_back(static_cast<std::uint8_t>(0x40 | below(16)));
    if (row.map != Map::one) code.push_back(0x0F);
    if (row.map == Map::x0f38) code.push_back(0x38);
    code.push_back(static_cast<std::uint8_t>(row.opcode + below(row.last_opcode() - row.opcode + 1u)));
    for (int i = 0; i < 2; ++i) code.push_back(static_cast<std::uint8_t>(wide()));  // ModRM, SIB
    for (int i = 0; i < 12; ++i) code.push_back(below(3) == 0 ? 0 : static_cast<std::uint8_t>(wide()));
    return code;
  }

  static bool is_addressable(const Decoded& d) {
    if (!d.is_memory()) return true;
    const bool plain_base = d.base != kNoRegister && d.base != kRipBase && d.base != d.index;
    // LEA and NOP do not access, but their rows are as well served by small displacements.
    return plain_base && d.displacement >= -128 && d.displacement < 128;
  }

  void fill_registers(Trial& t) {
    auto& gpr = t.registers.gpr;
    const Decoded& d = t.decoded;
    const std::string_view name = d.row->mnemonic;
    for (auto& v : gpr) v = value();
    const auto pointer = [&] { return middle_ + below(32); };
    gpr[kRsp] = pointer();
    if (name == "leave" || name == "enter") gpr[kRbp] = pointer();
    if (name == "xlatb") gpr[kRbx] = pointer();
    if ((d.row->flags & kString) != 0) {
      gpr[kRsi] = pointer();
      gpr[kRdi] = below(4) == 0 ? gpr[kRsi] + below(8) : pointer() + below(2) * 1500;
      if (d.rep != 0) gpr[kRcx] = below(24);
    }
    if (d.is_memory()) {
      const bool bit_string = d.row->operands[1] == Operand::Gv && name.starts_with("bt");
      if (bit_string) gpr[d.reg] = below(2000) - 1000;
      if (d.index != kNoRegister) gpr[d.index] = below(64) - 32;
      gpr[d.base] = name == "cmpxchg8b" ? middle_ - static_cast<std::uint64_t>(d.displacement) : pointer();
      // With the bit offset in an address register the target would be anywhere.
      if (bit_string && (d.reg == d.base)) gpr[d.base] = middle_ & ~std::uint64_t{0xFFF};
    }
    t.registers.rflags = 0x202 | (wide() & (ir::eflags::kAll | (below(2) != 0 ? flag::kDf : 0)));
  }

  const Decoder& decoder_;
  std::uint64_t middle_;
  std::mt19937_64 random_;
};

/// The count of a shift or rotate, masked.
unsigned shift_count(const Trial& t, unsigned operand, unsigned bits) {
  const Operand o = t.decoded.row->operands[operand];
  const std::uint64_t raw = o == Operand::I1   ? 1
                            : o == Operand::Ib ? static_cast<std::uint64_t>(t.decoded.immediate)
                                               : t.registers.gpr[kRcx];
  return static_cast<unsigned>(raw & (bits == 64 ? 63 : 31));
}

struct Defined {
  bool result = true;
  std::uint32_t flags = ir::eflags::kAll;
};

/// What the manual defines of the outcome.
Defined defined(const Trial& t) {
  using namespace ir::eflags;
  const Row& row = *t.decoded.row;
  const std::string_view name = row.mnemonic;
  const unsigned bits = row.operands[0] == Operand::Eb ? 8 : t.decoded.operand_bytes * 8u;
  if (name == "and" || name == "or" || name == "xor" || name == "test") return {true, kAll & ~kA};
  if (name == "mul" || name == "imul") return {true, kC | kV};
  if (name == "div" || name == "idiv") return {true, 0};
  if (name.starts_with("bt")) return {true, kC | kZ};
  if (name == "bsf" || name == "bsr") return {false, kZ};
  if (name == "bswap" && bits == 16) return {false, kAll};
  if (name == "shl" || name == "shr" || name == "sar") {
    const unsigned count = shift_count(t, 1, bits);
    if (count == 0) return {};
    if (count >= bits && name != "sar") return {true, kS | kZ | kP};
    return {true, count == 1 ? kAll & ~kA : kAll & ~(kA | kV)};
  }
  if (name == "rol" || name == "ror" || name == "rcl" || name == "rcr")
    return {true, shift_count(t, 1, bits) <= 1 ? kAll : kAll & ~kV};
  if (name == "shld" || name == "shrd") {
    const unsigned count = shift_count(t, 2, bits);
    if (count == 0) return {};
    if (count > bits) return {false, 0};
    return {true, count == 1 ? kAll & ~kA : kAll & ~(kA | kV)};
  }
  return {};
}

std::uint32_t vector_of(HostFault fault) {
  switch (fault) {
    case HostFault::divide:
      return exception::kDe;
    case HostFault::undefined:
      return exception::kUd;
    default:
      return exception::kGp;
  }
}

class X86Native : public testing::TestWithParam<bool> {
 protected:
  /// Lifts and interprets the trial until the next instruction is reached or it traps.
  void interpret(const Trial& t, CpuState& s, const ir::MemoryOps& memory) {
    constexpr std::uint64_t kPc = 0x10000100;
    s.memory = &memory;
    s.environment = &bytes_;
    s.mode = kMode64 << mode::kShift;
    s.pc = kPc;
    s.budget = 1000;
    std::copy(t.registers.gpr.begin(), t.registers.gpr.end(), s.gpr);
    s.flags = ir::pack_flags(static_cast<std::uint32_t>(t.registers.rflags));
    s.rflags_system = t.registers.rflags & ~std::uint64_t{ir::eflags::kAll};
    const ir::LiftRequest request{s.mode, kPc, t.code, 1, false, nullptr, nullptr, false};
    ir::Block block;
    ASSERT_EQ(guest_.lift(request, block), ir::LiftOutcome::lifted);
    ASSERT_EQ(ir::verify(block), "") << ir::print(block);
    for (int i = 0; i < 100 && s.pc == kPc && s.trap.kind == ir::TrapKind::none; ++i)
      interpreter_.run(block, s);
    if (s.trap.kind == ir::TrapKind::none) {
      ASSERT_EQ(s.pc, kPc + t.code.size()) << ir::print(block);
    }
    text_ = ir::print(block);
  }

  X86Guest guest_;
  interp::Interpreter interpreter_;
  HostCpu host_;
  std::span<std::uint8_t> bytes_ = host_.memory();
  std::string text_;
};

TEST_P(X86Native, EveryIntegerRowDoesWhatTheHostDoes) {
  const ir::MemoryOps memory = host_memory(GetParam());
  Generator generator(guest_.decoder(), reinterpret_cast<std::uint64_t>(host_.memory().data()), 7);
  const auto bytes = bytes_;
  for (const Row& row : integer_rows()) {
    if (!is_testable(row)) continue;
    for (int i = 0; i < 20; ++i) {
      const Trial trial = generator.make(row);
      for (auto& byte : bytes)
        byte = static_cast<std::uint8_t>(generator.below(3) == 0 ? 0xFF : generator.below(256));
      const std::vector<std::uint8_t> before(bytes.begin(), bytes.end());
      HostRegisters expected = trial.registers;
      const HostFault fault = host_.run(trial.code, expected);
      const std::vector<std::uint8_t> after(bytes.begin(), bytes.end());
      std::copy(before.begin(), before.end(), bytes.begin());
      const auto state = std::make_unique<CpuState>();
      ASSERT_NO_FATAL_FAILURE(interpret(trial, *state, memory));
      const std::string where =
          fmt::format("{} [{:02x}]\n{}", row.mnemonic, fmt::join(trial.code, " "), text_);
      ASSERT_EQ(state->trap.kind == ir::TrapKind::guest, fault != HostFault::none) << where;
      if (fault != HostFault::none) {
        ASSERT_EQ(state->trap.vector, vector_of(fault)) << where;
        continue;
      }
      const Defined compare = defined(trial);
      const auto flags = static_cast<std::uint32_t>(expected.rflags);
      ASSERT_EQ(ir::unpack_flags(state->flags) & compare.flags, flags & compare.flags) << where;
      ASSERT_EQ(state->rflags_system & flag::kDf, expected.rflags & flag::kDf) << where;
      if (!compare.result) continue;
      for (unsigned r = 0; r < 16; ++r)
        ASSERT_EQ(state->gpr[r], expected.gpr[r])
            << "register " << r << fmt::format(" was {:#x} ", trial.registers.gpr[r]) << where;
      ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), after.begin())) << where;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Strings, X86Native, testing::Bool(), [](const auto& parameter) {
  return parameter.param ? "InBulk" : "ElementByElement";
});

}  // namespace
}  // namespace hindsight::engine::guest::x86

#endif
