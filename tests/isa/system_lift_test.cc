// The rows of system instructions: each lifts to IR that the verifier accepts, and what is lifted inline
// means what the SDM says when the interpreter runs it.
#include <string>
#include <vector>

#include "engine/guest/x86/decode.h"
#include "engine/guest/x86/lift.h"
#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_msr.h"
#include "engine/interp/interpreter.h"
#include "tests/isa/system_fixture.h"

namespace hindsight::tests::isa {
namespace {

namespace interp = engine::interp;
using Bytes = std::vector<std::uint8_t>;

class LiftTest : public SystemTest {
 protected:
  /// Lifts one instruction in the present mode. The row's flags are honoured as X86Guest does.
  std::string lift(const Bytes& bytes) {
    block.clear();
    const std::uint64_t mode_bits = mode_of(s) >> mode::kShift;
    const auto offset = static_cast<std::uint32_t>(s.pc & kPageMask);
    ir::Builder builder(block);
    builder.insn_start(offset, 0);
    block.start_offset = offset;
    block.insn_count = 1;
    block.alone = s.alone != 0;
    Decoded d;
    Bytes padded = bytes;
    padded.resize(15, 0);
    if (decoder.decode(padded, mode_bits, d) != DecodeStatus::ok) return "not decoded";
    block.byte_length = d.length;
    LiftContext context(builder, d, mode_bits, offset);
    if ((d.row->flags & kPrivileged) != 0 && context.user()) {
      context.raise_gp();
    } else {
      d.row->lift(context);
    }
    if (!context.ended()) builder.jump(context.next_offset());
    return ir::verify(block);
  }
  /// Lifts and runs one instruction at s.pc.
  void run(const Bytes& bytes) {
    s.trap = {};
    s.budget = 1;
    s.mode = mode_of(s);
    ASSERT_EQ(lift(bytes), "");
    interp::Interpreter interpreter;
    interpreter.run(block, s);
  }
  ir::Block block;
  Decoder decoder{{}, system_rows(), {}};
};

/// Bytes that match a row: prefix, opcode, ModRM with [rBX] or a register, zeros.
Bytes bytes_of_row(const Row& row) {
  Bytes bytes;
  if (row.match.prefix == Prefix::xF3) bytes.push_back(0xF3);
  if (row.map != Map::one) bytes.push_back(0x0F);
  bytes.push_back(row.opcode);
  if (row.has_modrm()) {
    const bool memory = row.memory_only();
    const unsigned reg = row.match.reg >= 0 ? static_cast<unsigned>(row.match.reg) : 0;
    const unsigned rm = row.match.rm >= 0 ? static_cast<unsigned>(row.match.rm) : 3;
    bytes.push_back(static_cast<std::uint8_t>((memory ? 0 : 0xC0) | reg << 3 | rm));
  }
  return bytes;
}

TEST_F(LiftTest, EverySystemRowLiftsToAVerifiedBlockIn64BitKernelMode) {
  enter64(0);
  for (const Row& row : system_rows()) {
    if ((row.flags & kNo64) != 0) continue;
    EXPECT_EQ(lift(bytes_of_row(row)), "") << row.mnemonic << " " << int{row.opcode};
  }
}

TEST_F(LiftTest, EverySystemRowLiftsToAVerifiedBlockIn64BitUserMode) {
  enter64(3);
  for (const Row& row : system_rows()) {
    if ((row.flags & kNo64) != 0) continue;
    EXPECT_EQ(lift(bytes_of_row(row)), "") << row.mnemonic << " " << int{row.opcode};
  }
}

TEST_F(LiftTest, EverySystemRowLiftsToAVerifiedBlockIn32BitMode) {
  enter32(0);
  for (const Row& row : system_rows()) {
    if ((row.flags & kOnly64) != 0) continue;
    EXPECT_EQ(lift(bytes_of_row(row)), "") << row.mnemonic << " " << int{row.opcode};
  }
}

TEST_F(LiftTest, SwapgsExchangesTheBases) {
  enter64(0);
  s.segment[kGs].base = 0x1111;
  s.kernel_gs_base = 0x2222;
  run({0x0F, 0x01, 0xF8});
  EXPECT_EQ(s.segment[kGs].base, 0x2222u);
  EXPECT_EQ(s.kernel_gs_base, 0x1111u);
  EXPECT_EQ(s.pc, 0x5003u);
}

TEST_F(LiftTest, CliClearsIfAndStiSetsItWithAShadow) {
  enter64(0);
  run({0xFA});
  EXPECT_EQ(s.rflags_system & flag::kIf, 0u);
  run({0xFB});
  EXPECT_NE(s.rflags_system & flag::kIf, 0u);
  EXPECT_EQ(s.irq_shadow, kShadowSti);
  EXPECT_EQ(s.pc, 0x5002u);
}

TEST_F(LiftTest, CliAtUserLevelIsGeneralProtection) {
  enter64(3);
  run({0xFA});
  expect_fault(13, 0);
  EXPECT_EQ(s.pc, 0x5000u);
}

TEST_F(LiftTest, HltAtUserLevelIsGeneralProtectionAndHaltsInTheKernel) {
  enter64(3);
  run({0xF4});
  expect_fault(13, 0);
  enter64(0);
  run({0xF4});
  EXPECT_EQ(s.halted, 1);
  EXPECT_EQ(s.pc, 0x5001u);
}

TEST_F(LiftTest, PushfShowsAllFlagsButRf) {
  enter64(3);
  set_rflags(s, 0x8D5 | 0x202 | flag::kAc | flag::kRf);
  run({0x9C});
  EXPECT_EQ(s.gpr[kRsp], kUserStack - 8);
  EXPECT_EQ(stack64(0), 0x8D5u | 0x202 | flag::kAc);
}

TEST_F(LiftTest, PopfTakesTheStackAndKeepsIfAtUserLevel) {
  enter64(3);
  memory.put<std::uint64_t>(kUserStack, 0x8D5 | 0x400);
  run({0x9D});
  EXPECT_EQ(read_rflags(s), 0x8D5u | 0x602);
  EXPECT_EQ(s.gpr[kRsp], kUserStack + 8);
}

TEST_F(LiftTest, RdtscIsTheInstructionCountInVirtualTime) {
  enter64(3);
  s.budget_end = 0x1'0000'0101;
  s.time_rate = 3 << 16;
  s.time_warp = 5;
  s.tsc_offset = 7;
  run({0x0F, 0x31});
  const std::uint64_t expected = 0x1'0000'0100ull * 3 + 12;
  EXPECT_EQ(s.gpr[kRdx] << 32 | s.gpr[kRax], expected);
}

TEST_F(LiftTest, RdtscUnderTsdIsGeneralProtectionAtUserLevelOnly) {
  enter64(3);
  s.cr4 |= cr4::kTsd;
  run({0x0F, 0x31});
  EXPECT_EQ(s.trap.vector, exception::kGp);
  enter64(0);
  s.cr4 |= cr4::kTsd;
  run({0x0F, 0x31});
  EXPECT_TRUE(no_fault());
}

TEST_F(LiftTest, RdtscpGivesTheAuxValue) {
  enter64(0);
  s.tsc_aux = 42;
  s.gpr[kRcx] = ~std::uint64_t{0};
  run({0x0F, 0x01, 0xF9});
  EXPECT_EQ(s.gpr[kRcx], 42u);
}

TEST_F(LiftTest, UmipStopsSgdtAtUserLevel) {
  enter64(3);
  s.gpr[kRbx] = 0x8000;
  run({0x0F, 0x01, 0x03});
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(memory.get<std::uint16_t>(0x8000), 0x7F);
  EXPECT_EQ(memory.get<std::uint64_t>(0x8002), kGdt);
  s.pc = 0x5000;
  s.cr4 |= cr4::kUmip;
  run({0x0F, 0x01, 0x03});
  EXPECT_EQ(s.trap.vector, exception::kGp);
}

TEST_F(LiftTest, LgdtLoadsTheTable) {
  enter64(0);
  s.gpr[kRbx] = 0x8000;
  memory.put<std::uint16_t>(0x8000, 0x1FF);
  memory.put<std::uint64_t>(0x8002, 0xFFFF'8000'0000'1000);
  run({0x0F, 0x01, 0x13});
  EXPECT_EQ(s.gdtr.limit, 0x1FFu);
  EXPECT_EQ(s.gdtr.base, 0xFFFF'8000'0000'1000u);
}

TEST_F(LiftTest, WrgsbaseNeedsCr4AndACanonicalValue) {
  enter64(3);
  s.gpr[kRbx] = 0x1234'5678'9000;
  run({0xF3, 0x48, 0x0F, 0xAE, 0xDB});
  EXPECT_EQ(s.trap.vector, exception::kUd);
  s.cr4 |= cr4::kFsgsbase;
  run({0xF3, 0x48, 0x0F, 0xAE, 0xDB});
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(s.segment[kGs].base, 0x1234'5678'9000u);
  s.pc = 0x5000;
  s.gpr[kRbx] = 0x8000'0000'0000;
  run({0xF3, 0x48, 0x0F, 0xAE, 0xDB});
  EXPECT_EQ(s.trap.vector, exception::kGp);
  EXPECT_EQ(s.segment[kGs].base, 0x1234'5678'9000u);
}

TEST_F(LiftTest, MovFromCr0AndToCr3) {
  enter64(0);
  run({0x0F, 0x20, 0xC3});
  EXPECT_EQ(s.gpr[kRbx], s.cr0);
  s.gpr[kRbx] = 0x12345000;
  run({0x0F, 0x22, 0xDB});
  EXPECT_EQ(s.cr3, 0x12345000u);
  EXPECT_EQ(memory.context_changes, 1u);
  run({0x0F, 0x20, 0xCB});  // CR1 does not exist
  EXPECT_EQ(s.trap.vector, exception::kUd);
}

TEST_F(LiftTest, MovToSegmentInKernelAndCsIsUndefined) {
  enter64(0);
  s.gpr[kRbx] = kUserSs;
  run({0x8E, 0xDB});
  EXPECT_EQ(s.segment[kDs].selector, kUserSs);
  run({0x8C, 0xD8});
  EXPECT_EQ(s.gpr[kRax], kUserSs);
  run({0x8E, 0xCB});
  EXPECT_EQ(s.trap.vector, exception::kUd);
}

TEST_F(LiftTest, LarSetsZfAndTheRegisterOrNeither) {
  enter64(3);
  s.gpr[kRbx] = kUserSs;
  run({0x0F, 0x02, 0xC3});
  EXPECT_EQ(s.gpr[kRax], 0x00CFF300u);
  EXPECT_NE(read_rflags(s) & ir::eflags::kZ, 0u);
  s.gpr[kRbx] = 0;
  run({0x0F, 0x02, 0xC3});
  EXPECT_EQ(s.gpr[kRax], 0x00CFF300u);
  EXPECT_EQ(read_rflags(s) & ir::eflags::kZ, 0u);
}

TEST_F(LiftTest, ArplRaisesTheRequestedPrivilege) {
  enter32(3);
  s.gpr[kRbx] = 0x20;
  s.gpr[kRax] = 0x3;
  run({0x63, 0xC3});
  EXPECT_EQ(s.gpr[kRbx], 0x23u);
  EXPECT_NE(read_rflags(s) & ir::eflags::kZ, 0u);
}

TEST_F(LiftTest, Int80PushesTheNextInstructionAndRetires) {
  enter64(3);
  gate64(0x80, 0x7000, 0xE, 3);
  run({0xCD, 0x80});
  EXPECT_EQ(s.pc, 0x7000u);
  EXPECT_EQ(stack64(0), 0x5002u);
  EXPECT_EQ(s.budget, 0);
}

TEST_F(LiftTest, InAsksToBeRunAlone) {
  enter64(0);
  run({0xE4, 0x60});
  EXPECT_EQ(s.trap.kind, ir::TrapKind::redo_alone);
  EXPECT_EQ(s.pc, 0x5000u);
  s.alone = 1;
  memory.on_port_in = [](std::uint16_t, std::uint32_t) { return 0x5Au; };
  s.gpr[kRax] = 0x1100;
  run({0xE4, 0x60});
  EXPECT_EQ(s.gpr[kRax], 0x115Au);
}

TEST_F(LiftTest, StacIsUndefinedAtUserLevelAndChangesTheViewInTheKernel) {
  enter64(3);
  run({0x0F, 0x01, 0xCB});
  EXPECT_EQ(s.trap.vector, exception::kUd);
  enter64(0);
  run({0x0F, 0x01, 0xCB});
  EXPECT_NE(s.rflags_system & flag::kAc, 0u);
  EXPECT_EQ(memory.context_changes, 1u);
}

TEST_F(LiftTest, WrmsrGoesOnAtTheNextInstruction) {
  enter64(0);
  s.gpr[kRcx] = msr::kKernelGsBase;
  s.gpr[kRax] = 0x1000;
  s.gpr[kRdx] = 0xFFFF8880;
  run({0x0F, 0x30});
  EXPECT_EQ(s.kernel_gs_base, 0xFFFF'8880'0000'1000u);
  EXPECT_EQ(s.pc, 0x5002u);
  s.gpr[kRcx] = 0x12345;
  run({0x0F, 0x30});
  expect_fault(13, 0);
  EXPECT_EQ(s.pc, 0x5002u);
}

TEST_F(LiftTest, FarIndirectJumpReadsOffsetAndSelector) {
  enter64(0);
  s.gpr[kRbx] = 0x8000;
  memory.put<std::uint64_t>(0x8000, 0x6000);
  memory.put<std::uint16_t>(0x8008, kKernelCs32);
  run({0x48, 0xFF, 0x2B});
  EXPECT_EQ(s.pc, 0x6000u);
  EXPECT_EQ(s.segment[kCs].selector, kKernelCs32);
}

}  // namespace
}  // namespace hindsight::tests::isa
