// The code generator's ways in and out, precise traps, links and jump tables, by hand-built blocks.
#include <cpuid.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/host/x64/code_generator.h"
#include "engine/ir/builder.h"
#include "engine/ir/vector_ops.h"
#include "tests/unit/engine/x64_machine.h"

namespace hindsight::engine::host::x64 {
namespace {

using ir::Builder;
using ir::Type;
using test::gpr_at;
using test::Machine;
using test::vec_at;

class X64CodeGenerator : public testing::Test {
 protected:
  X64CodeGenerator() : generator_(test::register_table(), std::move(CodeCache::create(1 << 20).value())) {
    machine_.clear_jumps(generator_.invalid_jump());
  }

  /// gpr[to] += amount, with flags.
  static void add_to(Builder& b, unsigned to, std::uint64_t amount) {
    const auto v = b.load_reg(Type::I64, gpr_at(to));
    const auto sum = b.add(v, b.constant(Type::I64, amount), ir::kFlagsAll);
    b.store_reg(Type::I64, gpr_at(to), sum);
  }
  ir::Block block(unsigned insns, std::uint32_t start, void (*body)(Builder&, unsigned insn),
                  void (*end)(Builder&)) {
    ir::Block out;
    out.start_offset = start;
    out.insn_count = static_cast<std::uint16_t>(insns);
    out.byte_length = insns * 4;
    Builder b(out);
    for (unsigned i = 0; i < insns; ++i) {
      b.insn_start(start + i * 4, static_cast<std::uint16_t>(i));
      body(b, i);
    }
    end(b);
    EXPECT_EQ(ir::verify(out), "");
    return out;
  }
  CompiledBlock compile(const ir::Block& b) {
    auto code = generator_.compile(b);
    EXPECT_TRUE(code.has_value());
    return *code;
  }
  ExitInfo run(const CompiledBlock& code, std::uint64_t pc) {
    s().pc = pc;
    return generator_.run(&s(), code.entry);
  }
  test::MachineState& s() { return machine_.state; }

  Machine machine_;
  CodeGenerator generator_;
};

void count_one(Builder& b, unsigned) {
  const auto v = b.load_reg(Type::I64, gpr_at(0));
  b.store_reg(Type::I64, gpr_at(0), b.add(v, b.constant(Type::I64, 1), ir::kFlagsAll));
}

TEST_F(X64CodeGenerator, BlockIsEnteredOnlyIfTheBudgetCoversAllOfIt) {
  const auto code = compile(block(3, 0x20, count_one, [](Builder& b) { b.jump(0x100); }));
  s().budget = 2;
  const auto refused = run(code, 0x7020);
  EXPECT_EQ(refused.kind, ExitKind::budget);
  EXPECT_EQ(s().budget, 2);
  EXPECT_EQ(s().pc, 0x7020u);
  EXPECT_EQ(s().gpr[0], 0u);
  s().budget = 3;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::unlinked);
  EXPECT_EQ(s().budget, 0);
  EXPECT_EQ(s().gpr[0], 3u);
}

TEST_F(X64CodeGenerator, UnlinkedJumpTellsItsSiteAndTarget) {
  const auto code = compile(block(1, 0x20, count_one, [](Builder& b) { b.jump(0x100); }));
  ASSERT_EQ(code.site_count, 1u);
  s().budget = 10;
  const auto exit = run(code, 0x7020);
  EXPECT_EQ(exit.kind, ExitKind::unlinked);
  EXPECT_EQ(s().pc, 0x7100u);
  EXPECT_EQ(exit.site.patch, code.sites[0].patch);
  EXPECT_EQ(exit.site.stub, code.sites[0].stub);
  EXPECT_EQ(exit.site.target, 0x100);
}

TEST_F(X64CodeGenerator, ALinkedJumpTellsTheOwnerOfTheBlockItLeadsTo) {
  const auto head = compile(block(1, 0x20, count_one, [](Builder& b) { b.jump(0x24); }));
  const auto tail = compile(block(1, 0x24, count_one, [](Builder& b) { b.jump(0x20); }));
  int owner = 0;
  generator_.set_owner(tail, &owner);
  EXPECT_EQ(generator_.linked(head.sites[0]), nullptr);
  generator_.link(head.sites[0], tail.entry);
  EXPECT_EQ(generator_.linked(head.sites[0]), &owner);
  generator_.unlink(head.sites[0]);
  EXPECT_EQ(generator_.linked(head.sites[0]), nullptr);
}

TEST_F(X64CodeGenerator, ARetiredBlockRefusesUntilItIsRevived) {
  const auto code = compile(block(1, 0x20, count_one, [](Builder& b) { b.jump(0x100); }));
  generator_.retire(code);
  s().budget = 10;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::budget);
  EXPECT_EQ(s().budget, 10);
  generator_.revive(code);
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::unlinked);
  EXPECT_EQ(s().gpr[0], 1u);
  EXPECT_EQ(s().budget, 9);
}

TEST_F(X64CodeGenerator, LinkedLoopRunsUntilTheBudgetEndsAndUnlinkingStopsIt) {
  const auto head = compile(block(1, 0x20, count_one, [](Builder& b) { b.jump(0x24); }));
  const auto tail = compile(block(1, 0x24, count_one, [](Builder& b) { b.jump(0x20); }));
  generator_.link(head.sites[0], tail.entry);
  generator_.link(tail.sites[0], head.entry);
  s().budget = 1001;
  EXPECT_EQ(run(head, 0x7020).kind, ExitKind::budget);
  EXPECT_EQ(s().gpr[0], 1001u);
  EXPECT_EQ(s().budget, 0);
  EXPECT_EQ(s().pc, 0x7024u);
  generator_.unlink(tail.sites[0]);
  s().budget = 1001;
  EXPECT_EQ(run(head, 0x7020).kind, ExitKind::unlinked);
  EXPECT_EQ(s().gpr[0], 1003u);
}

TEST_F(X64CodeGenerator, BlockThatJumpsToItselfRunsUntilTheBudgetIsTooSmallForIt) {
  const auto code = compile(block(2, 0x20, count_one, [](Builder& b) { b.jump(0x20); }));
  s().budget = 1001;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::budget);
  EXPECT_EQ(s().gpr[0], 1000u);
  EXPECT_EQ(s().budget, 1);
  EXPECT_EQ(s().pc, 0x7020u);
}

TEST_F(X64CodeGenerator, LoopLeavesWhenItsConditionEnds) {
  const auto countdown = [](Builder& b, unsigned) {
    const auto v = b.load_reg(Type::I64, gpr_at(1));
    b.store_reg(Type::I64, gpr_at(1), b.sub(v, b.constant(Type::I64, 1), ir::kFlagsAll));
  };
  const auto code =
      compile(block(1, 0x20, countdown, [](Builder& b) { b.branch(b.cond(ir::Condition::NZ), 0x20, 0x24); }));
  s().gpr[1] = 10, s().budget = 100;
  const auto exit = run(code, 0x7020);
  EXPECT_EQ(exit.kind, ExitKind::unlinked);
  EXPECT_EQ(exit.site.target, 0x24);
  EXPECT_EQ(s().gpr[1], 0u);
  EXPECT_EQ(s().budget, 90);
  EXPECT_EQ(s().flags, ir::pack_flags(ir::eflags::kZ | ir::eflags::kP));
}

/// Adds up 4-byte words 3 bytes apart from gpr[1] on, and stores the sums a byte apart from gpr[2] on.
void sum_words(Builder& b, unsigned insn) {
  const auto advance = [&](unsigned r, std::uint64_t by) {
    const auto v = b.load_reg(Type::I64, gpr_at(r));
    b.store_reg(Type::I64, gpr_at(r), b.add(v, b.constant(Type::I64, by), ir::kFlagsAll));
  };
  switch (insn) {
    case 0: {
      const auto word = b.zext(Type::I64, b.load(Type::I32, b.load_reg(Type::I64, gpr_at(1))));
      b.store_reg(Type::I64, gpr_at(3), b.add(b.load_reg(Type::I64, gpr_at(3)), word));
      return;
    }
    case 1:
      b.store(b.load_reg(Type::I64, gpr_at(2)), b.load_reg(Type::I64, gpr_at(3)));
      return;
    case 2:
      return advance(1, 3);
    default:
      return advance(2, 1);
  }
}

TEST_F(X64CodeGenerator, LoopOverPagesReadsAndWritesWhatItShould) {
  const auto code = compile(block(4, 0x20, sum_words, [](Builder& b) { b.jump(0x20); }));
  for (std::size_t i = 0; i < machine_.ram.size(); ++i)
    machine_.ram[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  // Reading goes from page 3 over the one that is never cached and the read-only one to the one that traps.
  const std::uint64_t from = Machine::kBase + 3 * Machine::kPageBytes, to = Machine::kBase + 5;
  s().gpr[1] = from, s().gpr[2] = to, s().gpr[3] = 0, s().budget = 1 << 20;
  const auto before = machine_.ram;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::trap);
  const std::uint64_t rounds = (s().gpr[1] - from) / 3;
  EXPECT_EQ(rounds, (3 * Machine::kPageBytes - 4) / 3 + 1);
  EXPECT_EQ(s().pc, 0x7020u);
  EXPECT_EQ(s().budget, static_cast<std::int64_t>((1 << 20) - 4 * rounds));
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    std::uint32_t word;
    std::memcpy(&word, &before[3 * Machine::kPageBytes + i * 3], 4);
    sum += word;
    ASSERT_EQ(machine_.ram[5 + i], static_cast<std::uint8_t>(sum)) << i;
  }
}

/// Rotates four vectors by one place and adds the second to the first.
void rotate_vectors(Builder& b, unsigned) {
  ir::Value v[4];
  for (unsigned i = 0; i < 4; ++i) v[i] = b.load_reg(Type::V128, vec_at(i));
  v[0] = b.vec(static_cast<std::uint16_t>(ir::VecOp::AddI64x2), v[0], v[1]);
  for (unsigned i = 0; i < 4; ++i) b.store_reg(Type::V128, vec_at(i), v[(i + 1) % 4]);
}

TEST_F(X64CodeGenerator, LoopCarriesVectorsFromRoundToRound) {
  const auto code = compile(block(1, 0x20, rotate_vectors, [](Builder& b) { b.jump(0x20); }));
  std::uint64_t want[4][2];
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned k = 0; k < 2; ++k) want[i][k] = 10 * i + k + 1;
  std::memcpy(s().vec, want, sizeof want);
  for (unsigned round = 0; round < 13; ++round)
    for (unsigned k = 0; k < 2; ++k) {
      const std::uint64_t first = want[0][k] + want[1][k];
      want[0][k] = want[1][k], want[1][k] = want[2][k], want[2][k] = want[3][k], want[3][k] = first;
    }
  s().budget = 13;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::budget);
  EXPECT_EQ(std::memcmp(s().vec, want, sizeof want), 0);
}

/// Pushes gpr[1] as eight words below gpr[0] and reads them back.
void push_and_read(Builder& b, unsigned insn) {
  const auto at = [&](std::uint64_t more) {
    return b.add(b.load_reg(Type::I64, gpr_at(0)), b.constant(Type::I64, more));
  };
  if (insn < 8) {
    const auto next = at(static_cast<std::uint64_t>(-8));
    const auto value = b.add(b.load_reg(Type::I64, gpr_at(1)), b.constant(Type::I64, insn));
    b.store(next, value);
    b.store_reg(Type::I64, gpr_at(0), next);
  } else {
    const auto sum = b.add(b.load_reg(Type::I64, gpr_at(2)), b.load(Type::I64, at((insn - 8) * 8)));
    b.store_reg(Type::I64, gpr_at(2), sum);
  }
}

TEST_F(X64CodeGenerator, NeighbouringAccessesAreRightWhereverThePageEnds) {
  const auto code = compile(block(16, 0x20, push_and_read, [](Builder& b) { b.jump(0x100); }));
  for (std::uint64_t offset = 0; offset <= 80; ++offset)
    for (const bool again : {false, true}) {
      if (!again) machine_.flush_tlb();
      const std::uint64_t top = Machine::kBase + 2 * Machine::kPageBytes + offset;
      s().gpr[0] = top, s().gpr[1] = 1000 * offset, s().gpr[2] = 0, s().budget = 16;
      EXPECT_EQ(run(code, 0x7020).kind, ExitKind::unlinked);
      EXPECT_EQ(s().gpr[0], top - 64);
      EXPECT_EQ(s().gpr[2], 8 * 1000 * offset + 28) << offset;
    }
}

TEST_F(X64CodeGenerator, NeighbouringStoresTrapAtTheOneThatMayNot) {
  const auto code = compile(block(16, 0x20, push_and_read, [](Builder& b) { b.jump(0x100); }));
  // The fourth push leaves the first page for what lies below it, where nothing is mapped.
  s().gpr[0] = Machine::kBase + 24, s().gpr[1] = 7, s().budget = 16;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::trap);
  EXPECT_EQ(s().trap.vector, 14u);
  EXPECT_EQ(s().trap.address, Machine::kBase - 8);
  EXPECT_EQ(s().gpr[0], Machine::kBase);
  EXPECT_EQ(s().pc, 0x702Cu);
  EXPECT_EQ(s().budget, 13);
  s().trap = {};
}

TEST_F(X64CodeGenerator, BranchLeavesThroughTheSiteItsConditionChooses) {
  const auto code = compile(block(
      1, 0x20,
      [](Builder& b, unsigned) {
        b.sub(b.load_reg(Type::I64, gpr_at(1)), b.load_reg(Type::I64, gpr_at(2)), ir::kFlagsAll);
      },
      [](Builder& b) { b.branch(b.cond(ir::Condition::L), 0x200, 0x24); }));
  s().budget = 10;
  s().gpr[1] = static_cast<std::uint64_t>(-5), s().gpr[2] = 3;
  EXPECT_EQ(run(code, 0x7020).site.target, 0x200);
  EXPECT_EQ(s().pc, 0x7200u);
  s().gpr[1] = 3;
  EXPECT_EQ(run(code, 0x7020).site.target, 0x24);
  EXPECT_EQ(s().flags, ir::pack_flags(ir::eflags::kZ | ir::eflags::kP));
}

TEST_F(X64CodeGenerator, JumpToAnotherPageLooksInTheJumpTableAndMovesThePageBase) {
  const auto first = compile(block(1, 0x20, count_one, [](Builder& b) { b.jump(0x2100); }));
  const auto second = compile(block(1, 0x100, count_one, [](Builder& b) { b.leave(b.get_pc(0x104)); }));
  s().budget = 10;
  EXPECT_EQ(run(first, 0x7020).kind, ExitKind::lookup);
  EXPECT_EQ(s().pc, 0x9100u);
  s().mode = std::uint64_t{5} << 48;
  const std::uint64_t tag = 0x9100 ^ s().mode;
  machine_.jumps().entries[ir::jump_slot(tag)] = {tag, second.entry};
  EXPECT_EQ(run(first, 0x7020).kind, ExitKind::leave);
  EXPECT_EQ(s().pc, 0x9104u);
  EXPECT_EQ(s().page_base, 0x9000u);
  s().mode = std::uint64_t{6} << 48;
  EXPECT_EQ(run(first, 0x7020).kind, ExitKind::lookup);
}

TEST_F(X64CodeGenerator, IndirectJumpToTheAddressOfTheInvalidTagMisses) {
  const auto code =
      compile(block(1, 0x20, count_one, [](Builder& b) { b.jump_indirect(b.constant(Type::I64, ~0ull)); }));
  s().budget = 10;
  EXPECT_EQ(run(code, 0x7020).kind, ExitKind::lookup);
  EXPECT_EQ(s().pc, ~std::uint64_t{0});
}

TEST_F(X64CodeGenerator, TrapLeavesTheStateAsOfTheInstructionThatTrapped) {
  // Each instruction adds to r0 (flags), then the next stores through r9; at r9's turn the page is missing.
  const auto code = compile(block(
      4, 0x40,
      [](Builder& b, unsigned i) {
        if (i % 2 == 0) return count_one(b, i);
        const auto address = b.load_reg(Type::I64, gpr_at(i == 1 ? 4 : 9));
        b.store(b.add_imm(address, 8), b.load_reg(Type::I64, gpr_at(0)));
      },
      [](Builder& b) { b.jump(0x100); }));
  s().budget = 100;
  s().gpr[0] = 0x7FFFFFFFFFFFFFFF;
  s().gpr[4] = Machine::kBase, s().gpr[9] = 0x1000;
  EXPECT_EQ(run(code, 0x7040).kind, ExitKind::trap);
  EXPECT_EQ(s().pc, 0x704Cu);
  EXPECT_EQ(s().budget, 97);
  EXPECT_EQ(s().gpr[0], 0x8000000000000001);
  EXPECT_EQ(s().flags, ir::pack_flags(ir::eflags::kS));
  EXPECT_EQ(s().trap.vector, 14u);
  EXPECT_EQ(s().trap.address, 0x1008u);
  std::uint64_t stored;
  std::memcpy(&stored, &machine_.ram[8], 8);
  EXPECT_EQ(stored, 0x8000000000000000);
}

TEST_F(X64CodeGenerator, SecondAccessToAPageTakesTheFastPath) {
  const auto code = compile(block(
      1, 0,
      [](Builder& b, unsigned) {
        b.store_reg(Type::I64, gpr_at(1), b.load(Type::I64, b.load_reg(Type::I64, gpr_at(4))));
      },
      [](Builder& b) { b.jump(4); }));
  s().budget = 100;
  s().gpr[4] = Machine::kBase + 0x10;
  machine_.ram[0x10] = 0x5A;
  EXPECT_EQ(run(code, 0x7000).kind, ExitKind::unlinked);
  EXPECT_EQ(machine_.slow_accesses, 1u);
  s().gpr[1] = 0;
  EXPECT_EQ(run(code, 0x7000).kind, ExitKind::unlinked);
  EXPECT_EQ(machine_.slow_accesses, 1u);
  EXPECT_EQ(s().gpr[1], 0x5Au);
}

TEST_F(X64CodeGenerator, AccessOverAPagesEndAlwaysTakesTheSlowPath) {
  const auto code = compile(block(
      1, 0,
      [](Builder& b, unsigned) {
        b.store(b.load_reg(Type::I64, gpr_at(4)), b.load_reg(Type::I64, gpr_at(1)));
      },
      [](Builder& b) { b.jump(4); }));
  s().budget = 100;
  s().gpr[1] = 0x1122334455667788;
  for (const std::uint64_t address : {0x0FF8u, 0x0FF9u, 0x0FFFu}) {
    s().gpr[4] = Machine::kBase + address;
    run(code, 0x7000);
    run(code, 0x7000);
    std::uint64_t stored;
    std::memcpy(&stored, &machine_.ram[address], 8);
    EXPECT_EQ(stored, s().gpr[1]);
  }
  EXPECT_EQ(machine_.slow_accesses, 5u);
}

TEST_F(X64CodeGenerator, AccessToBeMadeAloneRetiresNothing) {
  const auto code = compile(block(
      2, 0,
      [](Builder& b, unsigned i) {
        if (i == 0) return count_one(b, i);
        b.store_reg(Type::I64, gpr_at(1),
                    b.load(Type::I32 == Type::I64 ? Type::I32 : Type::I64,
                           b.constant(Type::I64, Machine::kBase + Machine::kAlonePage * 4096)));
      },
      [](Builder& b) { b.jump(8); }));
  s().budget = 2;
  EXPECT_EQ(run(code, 0x7000).kind, ExitKind::trap);
  EXPECT_EQ(s().trap.kind, ir::TrapKind::redo_alone);
  EXPECT_EQ(s().pc, 0x7004u);
  EXPECT_EQ(s().budget, 1);
}

std::uint64_t ask_to_leave(ir::CoreState* s, std::uint64_t, std::uint64_t, std::uint64_t) {
  s->leave = 1;
  return 0;
}
std::uint64_t spend_five(ir::CoreState* s, std::uint64_t, std::uint64_t, std::uint64_t) {
  s->budget -= 5;
  return 0x7100;
}
constexpr ir::HelperInfo kAskToLeave{"ask_to_leave", ask_to_leave, ir::kReadsRegisters};
constexpr ir::HelperInfo kSpendFive{"spend_five", spend_five, ir::kReadsRegisters | ir::kWritesRegisters};

TEST_F(X64CodeGenerator, HelperThatAsksToLeaveEndsTheRunAfterItsBlock) {
  const auto jump = compile(block(
      1, 0, [](Builder& b, unsigned) { b.call(kAskToLeave); }, [](Builder& b) { b.jump(0x30); }));
  const auto branch = compile(block(
      1, 0, [](Builder& b, unsigned) { b.call(kAskToLeave); },
      [](Builder& b) { b.branch(b.cond(ir::Condition::Z), 0x50, 0x60); }));
  const auto indirect = compile(block(
      1, 0, [](Builder& b, unsigned) { b.call(kAskToLeave); },
      [](Builder& b) { b.jump_indirect(b.constant(Type::I64, 0x1234)); }));
  s().budget = 10;
  EXPECT_EQ(run(jump, 0x7000).kind, ExitKind::leave);
  EXPECT_EQ(s().pc, 0x7030u);
  s().flags = ir::pack_flags(ir::eflags::kZ);
  EXPECT_EQ(run(branch, 0x7000).kind, ExitKind::leave);
  EXPECT_EQ(s().pc, 0x7050u);
  s().flags = ir::pack_flags(0);
  EXPECT_EQ(run(branch, 0x7000).kind, ExitKind::leave);
  EXPECT_EQ(s().pc, 0x7060u);
  EXPECT_EQ(run(indirect, 0x7000).kind, ExitKind::leave);
  EXPECT_EQ(s().pc, 0x1234u);
}

/// Whether the upper halves of vector registers are in use: XINUSE, SDM volume 1, 13.6.
std::uint64_t upper_halves_in_use() {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return low & 4;
}
std::uint64_t note_upper_halves(ir::CoreState* s, std::uint64_t, std::uint64_t, std::uint64_t) {
  static_cast<test::MachineState*>(s)->gpr[5] = upper_halves_in_use();
  return 0;
}
constexpr ir::HelperInfo kNoteUpperHalves{"note_upper_halves", note_upper_halves,
                                          ir::kReadsRegisters | ir::kWritesRegisters};

TEST_F(X64CodeGenerator, VectorCodeIsNotSlowedByUpperHalvesThatALibraryLeftInUse) {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__builtin_cpu_supports("avx") || __get_cpuid_count(0xD, 1, &a, &b, &c, &d) == 0 || (a & 4) == 0)
    GTEST_SKIP() << "skipped: the host does not tell which vector state is in use";
  const auto code = compile(block(
      1, 0, [](Builder& builder, unsigned) { builder.call(kNoteUpperHalves); },
      [](Builder& builder) { builder.jump(0x30); }));
  s().gpr[5] = ~std::uint64_t{0};
  asm volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\tvinsertf128 $1, %%xmm0, %%ymm0, %%ymm0" ::: "xmm0");
  ASSERT_NE(upper_halves_in_use(), 0U);
  s().budget = 10;
  run(code, 0x7000);
  EXPECT_EQ(s().gpr[5], 0U);
}

TEST_F(X64CodeGenerator, HelperThatWritesRegistersMaySpendBudget) {
  const auto code = compile(block(2, 0, count_one, [](Builder& b) { b.jump_indirect(b.call(kSpendFive)); }));
  s().budget = 10;
  EXPECT_EQ(run(code, 0x7000).kind, ExitKind::lookup);
  EXPECT_EQ(s().budget, 3);
  EXPECT_EQ(s().gpr[0], 2u);
  EXPECT_EQ(s().pc, 0x7100u);
}

TEST_F(X64CodeGenerator, InstructionCountIsThatBeforeEachInstruction) {
  const auto code = compile(block(
      3, 0, [](Builder& b, unsigned i) { b.store_reg(Type::I64, gpr_at(i * 6), b.get_icount()); },
      [](Builder& b) { b.jump(12); }));
  s().budget = 50, s().budget_end = 1050;
  run(code, 0x7000);
  EXPECT_EQ(s().gpr[0], 1000u);
  EXPECT_EQ(s().gpr[6], 1001u);
  EXPECT_EQ(s().gpr[12], 1002u);
}

TEST_F(X64CodeGenerator, FullCacheRefusesAndResetMakesRoom) {
  const auto b = block(8, 0, count_one, [](Builder& out) { out.jump(0x30); });
  unsigned n = 0;
  while (generator_.compile(b)) ++n;
  EXPECT_GT(n, 100u);
  generator_.reset();
  const auto code = compile(b);
  s().budget = 10;
  EXPECT_EQ(run(code, 0x7000).kind, ExitKind::unlinked);
  EXPECT_EQ(s().gpr[0], 8u);
}

TEST_F(X64CodeGenerator, CodeOfATypicalBlockStaysTight) {
  // add r0, r3; mov [r7 + 8], r0; cmp r0, r1; jne
  ir::Block b;
  b.insn_count = 4, b.byte_length = 16;
  Builder out(b);
  out.insn_start(0, 0);
  out.store_reg(
      Type::I64, gpr_at(0),
      out.add(out.load_reg(Type::I64, gpr_at(0)), out.load_reg(Type::I64, gpr_at(3)), ir::kFlagsAll));
  out.insn_start(4, 1);
  const auto base = out.load_reg(Type::I64, gpr_at(7));
  const auto eight = out.constant(Type::I64, 8);
  const auto address = out.add(base, eight);
  out.store(address, out.load_reg(Type::I64, gpr_at(0)));
  out.insn_start(8, 2);
  out.sub(out.load_reg(Type::I64, gpr_at(0)), out.load_reg(Type::I64, gpr_at(1)), ir::kFlagsAll);
  out.insn_start(12, 3);
  out.branch(out.cond(ir::Condition::NZ), 0x40, 0x10);
  ASSERT_EQ(ir::verify(b), "");
  ir::remove_dead_flags(b);
  const auto code = compile(b);
  EXPECT_LE(code.size, 88u) << generator_.disassemble(code);
  const std::string text = generator_.disassemble(code);
  EXPECT_NE(text.find("add rbx, r9"), std::string::npos) << text;
  RecordProperty("code", text);
}

}  // namespace
}  // namespace hindsight::engine::host::x64
