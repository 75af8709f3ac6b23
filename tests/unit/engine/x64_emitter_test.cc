// Every instruction form of our emitter against AsmJit, over registers, sizes, memory operands and
// immediates.
#include <gtest/gtest.h>

#include <vector>

#include "engine/host/x64/emitter.h"
#include "tests/unit/engine/x64_emitter_judge.h"

namespace hindsight::tests {
namespace {

using namespace engine::host::x64;  // NOLINT: every test here is about it
using asmjit::x86::Assembler;
using Id = asmjit::InstId;
namespace x86 = asmjit::x86;
namespace Inst = asmjit::x86::Inst;  // NOLINT: its name there

constexpr unsigned kSizes[] = {1, 2, 4, 8};
constexpr std::int32_t kDisplacements[] = {0, 1, -1, 127, -128, 128, -129, 0x7FFFFFFF, -0x7FFFFFFF - 1};
constexpr Id kAluIds[] = {Inst::kIdAdd, Inst::kIdOr,  Inst::kIdAdc, Inst::kIdSbb,
                          Inst::kIdAnd, Inst::kIdSub, Inst::kIdXor, Inst::kIdCmp};

class X64Emitter : public testing::Test {
 protected:
  /// Every base, every index and scale, and every way to encode a displacement.
  static std::vector<Mem> all_memory() {
    std::vector<Mem> all;
    for (unsigned base = 0; base <= 16; ++base)
      for (unsigned index = 0; index <= 16; ++index)
        for (std::uint8_t scale = 0; scale < 4; ++scale)
          for (const std::int32_t disp : kDisplacements) {
            if (index == RSP || (index == 16 && scale != 0)) continue;
            all.push_back({.base = register_or_none(base),
                           .index = register_or_none(index),
                           .scale = scale,
                           .disp = disp});
          }
    return all;
  }
  /// One of each shape: what is special about RSP, RBP, R12 and R13, REX bits, and no base at all.
  static std::vector<Mem> some_memory() {
    return {{.base = RAX},
            {.base = RSP, .disp = 8},
            {.base = RBP},
            {.base = R12, .disp = -129},
            {.base = R13},
            {.base = R15, .disp = 0x1000},
            {.base = RBX, .index = R9, .scale = 3, .disp = 16},
            {.base = R14, .index = RBP, .scale = 1},
            {.base = R13, .index = R12, .scale = 2},
            {.index = RCX, .scale = 3, .disp = 0x12345678},
            {.disp = 0x7FFF0000}};
  }
  static Reg register_or_none(unsigned number) { return number < 16 ? static_cast<Reg>(number) : kNoReg; }

  /// Immediates at the borders of an operand of this size.
  static std::vector<std::int64_t> immediates(unsigned size) {
    if (size == 1) return {0, 1, 127, -128, -1};
    if (size == 2) return {0, 1, 127, -128, -1, 128, -129, 0x7FFF, -0x8000};
    return {0, 1, 127, -128, -1, 128, -129, 0x7FFF, -0x8000, 0x7FFFFFFF, -0x7FFFFFFF - 1};
  }

  template <typename Ours, typename Theirs>
  void same(Ours&& ours, Theirs&& theirs) {
    const std::string difference = judge_.compare(ours, theirs);
    if (!difference.empty() && ++differences_ <= 10) ADD_FAILURE() << difference;
  }
  /// body(a, b) for every two general registers.
  template <typename Body>
  static void each_pair(Body&& body) {
    for (Reg a = 0; a < 16; ++a)
      for (Reg b = 0; b < 16; ++b) body(a, b);
  }

  EmitterJudge judge_;
  unsigned differences_ = 0;
};

TEST_F(X64Emitter, MemoryOperandsOfEveryShapeMeanWhatTheySay) {
  for (const Mem& m : all_memory()) {
    same([&](Emitter& e) { e.lea(8, RDX, m); }, [&](Assembler& a) { return a.lea(x86::rdx, memory(8, m)); });
    same([&](Emitter& e) { e.mov_rm(4, R11, m); },
         [&](Assembler& a) { return a.mov(x86::r11d, memory(4, m)); });
  }
  EXPECT_GT(judge_.compared(), 18'000u);
}

TEST_F(X64Emitter, MovesBetweenRegisters) {
  for (const unsigned size : kSizes)
    each_pair([&](Reg d, Reg s) {
      same([&](Emitter& e) { e.mov_rr(size, d, s); },
           [&](Assembler& a) { return a.mov(general(size, d), general(size, s)); });
    });
  each_pair([&](Reg d, Reg s) {
    for (const unsigned from : {1u, 2u})
      same([&](Emitter& e) { e.movzx_rr(from, d, s); },
           [&](Assembler& a) { return a.movzx(general(4, d), general(from, s)); });
    same([&](Emitter& e) { e.movzx_rr(4, d, s); },
         [&](Assembler& a) { return a.mov(general(4, d), general(4, s)); });
    for (const unsigned to : {4u, 8u})
      for (const unsigned from : {1u, 2u})
        same([&](Emitter& e) { e.movsx_rr(from, to, d, s); },
             [&](Assembler& a) { return a.movsx(general(to, d), general(from, s)); });
    same([&](Emitter& e) { e.movsx_rr(4, 8, d, s); },
         [&](Assembler& a) { return a.movsxd(general(8, d), general(4, s)); });
  });
}

TEST_F(X64Emitter, MovesToAndFromMemory) {
  for (const Mem& m : some_memory())
    for (Reg r = 0; r < 16; ++r) {
      for (const unsigned size : kSizes) {
        same([&](Emitter& e) { e.mov_rm(size, r, m); },
             [&](Assembler& a) { return a.mov(general(size, r), memory(size, m)); });
        same([&](Emitter& e) { e.mov_mr(size, m, r); },
             [&](Assembler& a) { return a.mov(memory(size, m), general(size, r)); });
      }
      for (const unsigned from : {1u, 2u}) {
        same([&](Emitter& e) { e.movzx_rm(from, r, m); },
             [&](Assembler& a) { return a.movzx(general(4, r), memory(from, m)); });
        for (const unsigned to : {4u, 8u})
          same([&](Emitter& e) { e.movsx_rm(from, to, r, m); },
               [&](Assembler& a) { return a.movsx(general(to, r), memory(from, m)); });
      }
      for (const unsigned from : {4u, 8u})
        same([&](Emitter& e) { e.movzx_rm(from, r, m); },
             [&](Assembler& a) { return a.mov(general(from, r), memory(from, m)); });
      same([&](Emitter& e) { e.movsx_rm(4, 8, r, m); },
           [&](Assembler& a) { return a.movsxd(general(8, r), memory(4, m)); });
      same([&](Emitter& e) { e.lea(4, r, m); },
           [&](Assembler& a) { return a.lea(general(4, r), memory(4, m)); });
    }
}

TEST_F(X64Emitter, MovesOfConstants) {
  constexpr std::uint64_t kValues[] = {0,          1,           0x7FFFFFFF,         0x80000000,
                                       0xFFFFFFFF, 0x100000000, 0xFFFFFFFF80000000, 0xFFFFFFFF7FFFFFFF,
                                       ~0ull,      1ull << 63,  0x123456789ABCDEF0};
  for (Reg r = 0; r < 16; ++r) {
    for (const std::uint64_t v : kValues)  // a move to the low half clears the high one
      same([&](Emitter& e) { e.mov_ri(r, v); },
           [&](Assembler& a) { return a.mov(general(v <= 0xFFFFFFFF ? 4 : 8, r), v); });
    for (const unsigned size : kSizes)
      for (const std::int64_t v : immediates(size))
        same([&](Emitter& e) { e.mov_ri_narrow(size, r, v); },
             [&](Assembler& a) { return a.mov(general(size, r), v); });
  }
  for (const Mem& m : some_memory())
    for (const unsigned size : kSizes)
      for (const std::int64_t v : immediates(size))
        same([&](Emitter& e) { e.mov_mi(size, m, v); },
             [&](Assembler& a) { return a.mov(memory(size, m), v); });
}

TEST_F(X64Emitter, ArithmeticAndLogic) {
  for (unsigned op = kAdd; op <= kCmp; ++op) {
    const Alu alu = static_cast<Alu>(op);
    const Id id = kAluIds[op];
    for (const unsigned size : kSizes) {
      each_pair([&](Reg d, Reg s) {
        same([&](Emitter& e) { e.alu_rr(alu, size, d, s); },
             [&](Assembler& a) { return a.emit(id, general(size, d), general(size, s)); });
      });
      for (const std::int64_t v : immediates(size)) {
        for (Reg r = 0; r < 16; ++r)
          same([&](Emitter& e) { e.alu_ri(alu, size, r, v); },
               [&](Assembler& a) { return a.emit(id, general(size, r), v); });
        for (const Mem& m : some_memory())
          same([&](Emitter& e) { e.alu_mi(alu, size, m, v); },
               [&](Assembler& a) { return a.emit(id, memory(size, m), v); });
      }
      for (const Mem& m : some_memory())
        for (Reg r = 0; r < 16; ++r) {
          same([&](Emitter& e) { e.alu_rm(alu, size, r, m); },
               [&](Assembler& a) { return a.emit(id, general(size, r), memory(size, m)); });
          same([&](Emitter& e) { e.alu_mr(alu, size, m, r); },
               [&](Assembler& a) { return a.emit(id, memory(size, m), general(size, r)); });
        }
    }
  }
}

TEST_F(X64Emitter, TestsNegationsAndSteps) {
  for (const unsigned size : kSizes) {
    each_pair([&](Reg x, Reg y) {
      same([&](Emitter& e) { e.test_rr(size, x, y); },
           [&](Assembler& a) { return a.test(general(size, x), general(size, y)); });
    });
    for (const std::int64_t v : immediates(size)) {
      for (Reg r = 0; r < 16; ++r)
        same([&](Emitter& e) { e.test_ri(size, r, v); },
             [&](Assembler& a) { return a.test(general(size, r), v); });
      for (const Mem& m : some_memory())
        same([&](Emitter& e) { e.test_mi(size, m, v); },
             [&](Assembler& a) { return a.test(memory(size, m), v); });
    }
    for (Reg r = 0; r < 16; ++r) {
      same([&](Emitter& e) { e.neg(size, r); }, [&](Assembler& a) { return a.neg(general(size, r)); });
      same([&](Emitter& e) { e.not_(size, r); }, [&](Assembler& a) { return a.not_(general(size, r)); });
      same([&](Emitter& e) { e.inc(size, r); }, [&](Assembler& a) { return a.inc(general(size, r)); });
      same([&](Emitter& e) { e.dec(size, r); }, [&](Assembler& a) { return a.dec(general(size, r)); });
    }
  }
}

TEST_F(X64Emitter, ShiftsAndRotates) {
  constexpr std::pair<Shift, Id> kShifts[] = {{kRol, Inst::kIdRol},
                                              {kRor, Inst::kIdRor},
                                              {kShl, Inst::kIdShl},
                                              {kShr, Inst::kIdShr},
                                              {kSar, Inst::kIdSar}};
  for (const auto& [shift, id] : kShifts)
    for (const unsigned size : kSizes)
      for (Reg r = 0; r < 16; ++r) {
        for (const unsigned count : {1u, 2u, 7u, 31u})
          same([&, s = shift](Emitter& e) { e.shift_ri(s, size, r, count); },
               [&, i = id](Assembler& a) { return a.emit(i, general(size, r), count); });
        same([&, s = shift](Emitter& e) { e.shift_rcl(s, size, r); },
             [&, i = id](Assembler& a) { return a.emit(i, general(size, r), x86::cl); });
      }
}

TEST_F(X64Emitter, ConditionsByTheirNumber) {
  constexpr Id kSet[] = {Inst::kIdSeto, Inst::kIdSetno, Inst::kIdSetb,  Inst::kIdSetnb,
                         Inst::kIdSetz, Inst::kIdSetnz, Inst::kIdSetbe, Inst::kIdSetnbe,
                         Inst::kIdSets, Inst::kIdSetns, Inst::kIdSetp,  Inst::kIdSetnp,
                         Inst::kIdSetl, Inst::kIdSetnl, Inst::kIdSetle, Inst::kIdSetnle};
  constexpr Id kMove[] = {Inst::kIdCmovo, Inst::kIdCmovno, Inst::kIdCmovb,  Inst::kIdCmovnb,
                          Inst::kIdCmovz, Inst::kIdCmovnz, Inst::kIdCmovbe, Inst::kIdCmovnbe,
                          Inst::kIdCmovs, Inst::kIdCmovns, Inst::kIdCmovp,  Inst::kIdCmovnp,
                          Inst::kIdCmovl, Inst::kIdCmovnl, Inst::kIdCmovle, Inst::kIdCmovnle};
  for (unsigned i = kO; i <= kG; ++i) {
    const Cc cc = static_cast<Cc>(i);
    for (Reg r = 0; r < 16; ++r)
      same([&](Emitter& e) { e.setcc(cc, r); }, [&](Assembler& a) { return a.emit(kSet[i], general(1, r)); });
    each_pair([&](Reg d, Reg s) {
      for (const unsigned size : {1u, 2u, 4u, 8u})  // the narrow ones are done on four bytes
        same([&](Emitter& e) { e.cmov(cc, size, d, s); },
             [&](Assembler& a) {
               const unsigned wide = size < 4 ? 4 : size;
               return a.emit(kMove[i], general(wide, d), general(wide, s));
             });
    });
  }
}

TEST_F(X64Emitter, StackFlagsAndIndirectJumps) {
  same([](Emitter& e) { e.lahf(); }, [](Assembler& a) { return a.lahf(); });
  same([](Emitter& e) { e.sahf(); }, [](Assembler& a) { return a.sahf(); });
  same([](Emitter& e) { e.ret(); }, [](Assembler& a) { return a.ret(); });
  for (Reg r = 0; r < 16; ++r) {
    same([&](Emitter& e) { e.push(r); }, [&](Assembler& a) { return a.push(general(8, r)); });
    same([&](Emitter& e) { e.pop(r); }, [&](Assembler& a) { return a.pop(general(8, r)); });
    same([&](Emitter& e) { e.call_r(r); }, [&](Assembler& a) { return a.call(general(8, r)); });
  }
  for (const Mem& m : some_memory())
    same([&](Emitter& e) { e.jmp_m(m); }, [&](Assembler& a) { return a.jmp(memory(8, m)); });
}

// The forms without a name of their own: callers give the opcode.
TEST_F(X64Emitter, TwoByteOpcodesTakeTheirOperandsInOrder) {
  each_pair([&](Reg d, Reg s) {
    for (const unsigned size : {2u, 4u, 8u}) {
      same([&](Emitter& e) { e.op2_rr(size, 0xAF, d, s); },
           [&](Assembler& a) { return a.imul(general(size, d), general(size, s)); });
      same([&](Emitter& e) { e.op2_rr(size, 0xA3, s, d); },
           [&](Assembler& a) { return a.bt(general(size, d), general(size, s)); });
      same([&](Emitter& e) { e.op2_rr(size, 0xA4, s, d), e.u8(5); },
           [&](Assembler& a) { return a.shld(general(size, d), general(size, s), 5); });
    }
  });
  for (const Mem& m : some_memory())
    for (Reg r = 0; r < 16; ++r)
      for (const unsigned size : {2u, 4u, 8u})
        same([&](Emitter& e) { e.op2_rm(size, 0xAF, r, m); },
             [&](Assembler& a) { return a.imul(general(size, r), memory(size, m)); });
}

TEST_F(X64Emitter, OneByteOpcodesWithADigit) {
  for (Reg r = 0; r < 16; ++r) {
    same([&](Emitter& e) { e.op_rr(1, 0xF7, 5, r); },
         [&](Assembler& a) { return a.imul(x86::ax, general(1, r)); });
    same([&](Emitter& e) { e.op_rr(8, 0xF7, 4, r); },
         [&](Assembler& a) { return a.mul(x86::rdx, x86::rax, general(8, r)); });
    same([&](Emitter& e) { e.op_rr(4, 0xFF, 4, r); }, [&](Assembler& a) { return a.jmp(general(8, r)); });
  }
  for (const Mem& m : some_memory()) {
    same([&](Emitter& e) { e.op_rm(4, 0xDB, 5, m); }, [&](Assembler& a) { return a.fld(memory(10, m)); });
    same([&](Emitter& e) { e.op_rm(4, 0xD9, 5, m); }, [&](Assembler& a) { return a.fldcw(memory(2, m)); });
  }
}

TEST_F(X64Emitter, VectorInstructionsOfEveryPrefixAndMap) {
  struct Form {
    unsigned mandatory, map, op;
    Id id;
    unsigned memory_size;
  };
  constexpr Form kForms[] = {{0, 0, 0x58, Inst::kIdAddps, 16},
                             {0x66, 0, 0xFC, Inst::kIdPaddb, 16},
                             {0xF2, 0, 0x58, Inst::kIdAddsd, 8},
                             {0xF3, 0, 0x58, Inst::kIdAddss, 4},
                             {0x66, 0x38, 0x00, Inst::kIdPshufb, 16}};
  const auto xmm = [](Reg r) { return x86::xmm(r); };
  for (const Form& f : kForms) {
    each_pair([&](Reg d, Reg s) {
      same([&](Emitter& e) { e.sse_rr(f.mandatory, f.map, f.op, d, s); },
           [&](Assembler& a) { return a.emit(f.id, xmm(d), xmm(s)); });
    });
    for (const Mem& m : some_memory())
      for (Reg r = 0; r < 16; ++r)
        same([&](Emitter& e) { e.sse_rm(f.mandatory, f.map, f.op, r, m); },
             [&](Assembler& a) { return a.emit(f.id, xmm(r), memory(f.memory_size, m)); });
  }
  each_pair([&](Reg d, Reg s) {
    same([&](Emitter& e) { e.movaps(d, s); }, [&](Assembler& a) { return a.movaps(xmm(d), xmm(s)); });
    same([&](Emitter& e) { e.sse_rr(0xF2, 0, 0x2A, d, s, true); },
         [&](Assembler& a) { return a.cvtsi2sd(xmm(d), general(8, s)); });
    same([&](Emitter& e) { e.sse_rr(0x66, 0x3A, 0x16, s, d, true), e.u8(1); },
         [&](Assembler& a) { return a.pextrq(general(8, d), xmm(s), 1); });
  });
  for (const Mem& m : some_memory())
    for (Reg r = 0; r < 16; ++r) {
      same([&](Emitter& e) { e.movups_rm(r, m); },
           [&](Assembler& a) { return a.movups(xmm(r), memory(16, m)); });
      same([&](Emitter& e) { e.movups_mr(m, r); },
           [&](Assembler& a) { return a.movups(memory(16, m), xmm(r)); });
      same([&](Emitter& e) { e.sse_rm(0x66, 0, 0x6E, r, m, true); },
           [&](Assembler& a) { return a.emit(Inst::kIdMovq, xmm(r), memory(8, m)); });
    }
}

// Relative jumps over five bytes, forth and back.
TEST_F(X64Emitter, RelativeJumpsLandWhereTheyWerePatchedTo) {
  constexpr Id kJump[] = {Inst::kIdJo,  Inst::kIdJno,  Inst::kIdJb,  Inst::kIdJnb, Inst::kIdJz, Inst::kIdJnz,
                          Inst::kIdJbe, Inst::kIdJnbe, Inst::kIdJs,  Inst::kIdJns, Inst::kIdJp, Inst::kIdJnp,
                          Inst::kIdJl,  Inst::kIdJnl,  Inst::kIdJle, Inst::kIdJnle};
  const auto skip = [](Emitter& e) { e.mov_ri(RAX, 7); };
  const auto forward = [](Assembler& a, Id id, bool near) {
    const asmjit::Label label = a.newLabel();
    asmjit::Error error = near ? a.short_().emit(id, label) : a.long_().emit(id, label);
    error |= a.mov(x86::eax, 7);
    error |= a.bind(label);
    return error;
  };
  for (unsigned i = kO; i <= kG; ++i) {
    const Cc cc = static_cast<Cc>(i);
    same(
        [&](Emitter& e) {
          std::uint8_t* const at = e.jcc(cc);
          skip(e), e.patch_here(at);
        },
        [&](Assembler& a) { return forward(a, kJump[i], false); });
    same(
        [&](Emitter& e) {
          std::uint8_t* const at = e.jcc_short(cc);
          skip(e), e.patch_short_here(at);
        },
        [&](Assembler& a) { return forward(a, kJump[i], true); });
  }
  same(
      [&](Emitter& e) {
        std::uint8_t* const at = e.jmp();
        skip(e), e.patch_here(at);
      },
      [&](Assembler& a) { return forward(a, Inst::kIdJmp, false); });
  const auto backward = [](Assembler& a, Id id) {
    const asmjit::Label label = a.newLabel();
    asmjit::Error error = a.bind(label);
    error |= a.mov(x86::eax, 7);
    error |= a.long_().emit(id, label);
    return error;
  };
  same(
      [&](Emitter& e) {
        const std::uint8_t* const start = e.cursor();
        skip(e), e.jmp_to(start);
      },
      [&](Assembler& a) { return backward(a, Inst::kIdJmp); });
  same(
      [&](Emitter& e) {
        const std::uint8_t* const start = e.cursor();
        skip(e), e.call_to(start);
      },
      [&](Assembler& a) { return backward(a, Inst::kIdCall); });
}

TEST_F(X64Emitter, TheJudgeKnowsEquivalentEncodingsFromWrongOnes) {
  const auto add_three = [](Assembler& a) { return a.add(x86::eax, 3); };
  EXPECT_EQ(judge_.compare([](Emitter& e) { e.op_rr(4, 0x81, 0, RAX), e.u32(3); }, add_three), "");
  EXPECT_EQ(judge_.encoded_otherwise(), 1u);
  EXPECT_NE(judge_.compare([](Emitter& e) { e.alu_ri(kAdd, 4, RCX, 3); }, add_three), "");
  EXPECT_NE(judge_.compare([](Emitter& e) { e.alu_ri(kAdd, 8, RAX, 3); }, add_three), "");
  EXPECT_NE(judge_.compare([](Emitter& e) { e.alu_ri(kAdd, 4, RAX, 4); }, add_three), "");
  EXPECT_NE(judge_.compare([](Emitter& e) { e.alu_ri(kSub, 4, RAX, 3); }, add_three), "");
  EXPECT_NE(judge_.compare([](Emitter& e) { e.alu_ri(kAdd, 4, RAX, 3), e.u8(0x90); }, add_three), "");
  const auto load = [](Assembler& a) { return a.mov(x86::eax, x86::ptr(x86::rbx, 8, 4)); };
  EXPECT_NE(judge_.compare([](Emitter& e) { e.mov_rm(4, RAX, {.base = RBX, .disp = 12}); }, load), "");
  EXPECT_NE(judge_.compare([](Emitter& e) { e.mov_rm(2, RAX, {.base = RBX, .disp = 8}); }, load), "");
}

}  // namespace
}  // namespace hindsight::tests
