// What the x86 lifter makes of code: valid IR for every encoding in every mode, and where blocks begin and
// end.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/guest/x86/system_bits.h"
#include "engine/guest/x86/x86_guest.h"

namespace hindsight::engine::guest::x86 {
namespace {

using testing::HasSubstr;
using Code = std::vector<std::uint8_t>;

constexpr std::uint64_t kPage = 0x400000;
constexpr std::uint64_t kLong64 = mode::kCode64 | mode::kProtected | mode::kLong;
constexpr std::uint64_t kFlat32 = mode::kCode32 | mode::kProtected | mode::kStack32;

struct Request {
  std::uint64_t mode = kLong64;
  std::uint32_t offset = 0;  ///< of the first instruction in its page
  unsigned max_insns = ir::Block::kMaxInsns;
  bool (*is_io_site)(const void*, std::uint32_t) = nullptr;
};

class X86Lift : public testing::Test {
 protected:
  ir::LiftOutcome lift(const Code& code, Request r = {}) {
    const ir::LiftRequest request{r.mode << mode::kShift, kPage + r.offset, code, r.max_insns, false,
                                  r.is_io_site,           nullptr,          false};
    const ir::LiftOutcome outcome = guest_.lift(request, block_);
    if (outcome == ir::LiftOutcome::lifted) {
      EXPECT_EQ(ir::verify(block_), "") << ir::print(block_);
    }
    return outcome;
  }
  [[nodiscard]] const ir::Inst& end() const { return block_.insts.back(); }
  [[nodiscard]] bool calls(std::string_view helper) const {
    return std::any_of(block_.insts.begin(), block_.insts.end(),
                       [&](const ir::Inst& i) { return i.op == ir::Op::Call && i.helper->name == helper; });
  }
  /// The block raises this vector and nothing else.
  [[nodiscard]] bool raises(std::uint32_t vector) const {
    for (const ir::Inst& i : block_.insts)
      if (i.op == ir::Op::Call && std::string_view(i.helper->name) == "raise")
        return block_.insts[i.a].imm == static_cast<std::int64_t>(vector);
    return false;
  }

  X86Guest guest_;
  ir::Block block_;
};

TEST_F(X86Lift, EveryEncodingGivesAValidBlockInEveryMode) {
  static constexpr std::uint64_t kModes[] = {kLong64,
                                             kLong64 | mode::kUser,
                                             kLong64 | mode::kSseOff,
                                             kLong64 | mode::kFpuTrap | mode::kUser,
                                             kLong64 | mode::kFpExact | (5u << mode::kTopShift),
                                             kFlat32,
                                             kFlat32 | mode::kUser,
                                             kFlat32 | mode::kSegmented,
                                             mode::kCode32 | mode::kProtected,
                                             mode::kProtected | mode::kSegmented,
                                             0};
  static const Code kPrefixes[] = {{}, {0x66}, {0xF3}, {0xF2}, {0x67}, {0x48}, {0x66, 0x4F}, {0x65}, {0xF0}};
  for (const std::uint64_t mode : kModes)
    for (const Code& prefix : kPrefixes)
      for (unsigned map = 0; map < 4; ++map)
        for (unsigned opcode = 0; opcode < 256; ++opcode)
          for (const unsigned modrm : {0x00u, 0x0Cu, 0x11u, 0x1Cu, 0x25u, 0x6Bu, 0xB5u, 0x3Du, 0xC0u, 0xCAu,
                                       0xD3u, 0xDCu, 0xE5u, 0xEEu, 0xF7u, 0xF9u}) {
            Code code = prefix;
            if (map != 0) code.push_back(0x0F);
            if (map >= 2) code.push_back(map == 2 ? 0x38 : 0x3A);
            code.push_back(static_cast<std::uint8_t>(opcode));
            code.push_back(static_cast<std::uint8_t>(modrm));
            code.resize(15, 0x25);
            const ir::LiftRequest request{
                mode << mode::kShift, kPage, code, 1, false, nullptr, nullptr, false};
            Decoded d;
            if (guest_.decoder().decode(code, mode, d) != DecodeStatus::ok) continue;
            ASSERT_EQ(guest_.lift(request, block_), ir::LiftOutcome::lifted);
            ASSERT_EQ(ir::verify(block_), "")
                << fmt::format("mode {:#x} {:02x}\n", mode, fmt::join(code, " ")) << ir::print(block_);
          }
}

TEST_F(X86Lift, BlockGoesOnToTheBranchAndNamesBothTargets) {
  ASSERT_EQ(lift({0x48, 0x01, 0xC8, 0x75, 0x10, 0x90}, {.offset = 0x100}),
            ir::LiftOutcome::lifted);  // add; jnz
  EXPECT_EQ(block_.insn_count, 2);
  EXPECT_EQ(block_.byte_length, 5u);
  EXPECT_EQ(end().op, ir::Op::Branch);
  EXPECT_EQ(end().imm, 0x115);
  EXPECT_EQ(end().imm2, 0x105);
}

TEST_F(X86Lift, DirectJumpMayLeaveThePage) {
  lift({0xE9, 0x00, 0x20, 0x00, 0x00});
  EXPECT_EQ(end().op, ir::Op::Jump);
  EXPECT_EQ(end().imm, 0x2005);
}

TEST_F(X86Lift, BlockStopsAtThePageEnd) {
  lift({0x90, 0x90, 0x90, 0x90}, {.offset = 0xFFE});
  EXPECT_EQ(block_.insn_count, 2);
  EXPECT_EQ(end().op, ir::Op::Jump);
  EXPECT_EQ(end().imm, 0x1000);
}

TEST_F(X86Lift, InstructionAcrossThePageEndIsABlockOfItsOwn) {
  const Code code = {0x90, 0x48, 0xC7, 0xC0, 1, 0, 0, 0};
  lift(code, {.offset = 0xFFD});
  EXPECT_EQ(block_.insn_count, 1);
  EXPECT_EQ(end().imm, 0xFFE);
  lift({code.begin() + 1, code.end()}, {.offset = 0xFFE});
  EXPECT_EQ(block_.insn_count, 1);
  EXPECT_EQ(block_.byte_length, 7u);
}

TEST_F(X86Lift, FirstInstructionThatNeedsMoreBytesIsFetchedBeyond) {
  EXPECT_EQ(lift({0x48, 0xC7, 0xC0}, {.offset = 0xFFD}), ir::LiftOutcome::fetch_beyond);
}

TEST_F(X86Lift, LaterInstructionThatNeedsMoreBytesEndsTheBlock) {
  EXPECT_EQ(lift({0x90, 0x48, 0xC7}, {.offset = 0xFFD}), ir::LiftOutcome::lifted);
  EXPECT_EQ(block_.insn_count, 1);
}

TEST_F(X86Lift, BlockStopsAtTheLimit) {
  lift(Code(200, 0x90));
  EXPECT_EQ(block_.insn_count, ir::Block::kMaxInsns);
  EXPECT_EQ(end().imm, 64);
}

TEST_F(X86Lift, RepStringIsABlockOfItsOwn) {
  const Code code = {0x90, 0xF3, 0xA4, 0x90};
  lift(code);
  EXPECT_EQ(block_.insn_count, 1);
  lift({code.begin() + 1, code.end()}, {.offset = 1});
  EXPECT_EQ(block_.insn_count, 1);
  EXPECT_TRUE(calls("rep_movs"));
  EXPECT_EQ(end().op, ir::Op::JumpIndirect);
}

TEST_F(X86Lift, PlainStringDoesNotEndTheBlock) {
  lift({0xA4, 0xAA, 0xC3});
  EXPECT_EQ(block_.insn_count, 3);
}

TEST_F(X86Lift, IoSiteIsABlockOfItsOwn) {
  const auto at_one = [](const void*, std::uint32_t offset) { return offset == 1; };
  lift({0x90, 0x90, 0x90}, {.is_io_site = at_one});
  EXPECT_EQ(block_.insn_count, 1);
  lift({0x90, 0x90}, {.offset = 1, .is_io_site = at_one});
  EXPECT_EQ(block_.insn_count, 1);
  EXPECT_EQ(end().imm, 2);
}

TEST_F(X86Lift, UndefinedOpcodeRaisesUdInABlockOfItsOwn) {
  lift({0x90, 0x0F, 0x04});
  EXPECT_EQ(block_.insn_count, 1);
  lift({0x0F, 0x04}, {.offset = 1});
  EXPECT_TRUE(raises(exception::kUd));
  EXPECT_EQ(end().op, ir::Op::Leave);
}

TEST_F(X86Lift, SixteenByteInstructionRaisesGp) {
  Code code(15, 0x66);
  code.push_back(0x90);
  lift(code);
  EXPECT_TRUE(raises(exception::kGp));
}

TEST_F(X86Lift, LockWithARegisterDestinationRaisesUd) {
  lift({0xF0, 0x01, 0xC8});
  EXPECT_TRUE(raises(exception::kUd));
}

TEST_F(X86Lift, LockOfAnInstructionThatHasNoneRaisesUd) {
  lift({0xF0, 0x8B, 0x00});
  EXPECT_TRUE(raises(exception::kUd));
}

TEST_F(X86Lift, PrivilegedInstructionOfUserCodeRaisesGp) {
  lift({0xF4}, {.mode = kLong64 | mode::kUser});
  EXPECT_TRUE(raises(exception::kGp));
}

TEST_F(X86Lift, XorOfARegisterWithItselfIsZero) {
  lift({0x31, 0xC0}, {.max_insns = 1});
  EXPECT_THAT(ir::print(block_), testing::Not(HasSubstr("LoadReg")));
}

TEST_F(X86Lift, ShortJumpOf16BitOperandSizeIsCutTo16Bits) {
  lift({0x66, 0xEB, 0x10}, {.mode = kFlat32});
  EXPECT_EQ(end().op, ir::Op::JumpIndirect);
}

TEST_F(X86Lift, OperandSizePrefixOfANearBranchIsIgnoredIn64BitMode) {
  lift({0x66, 0xE9, 0x01, 0x00, 0x00, 0x00});
  EXPECT_EQ(end().op, ir::Op::Jump);
  EXPECT_EQ(end().imm, 7);
}

TEST_F(X86Lift, SegmentedStackGoesThroughTheSegmentCheck) {
  lift({0x50, 0xC3}, {.mode = kFlat32 | mode::kSegmented});
  EXPECT_TRUE(calls("segment_address"));
}

TEST_F(X86Lift, FlatStackDoesNot) {
  lift({0x50, 0xC3}, {.mode = kFlat32});
  EXPECT_FALSE(calls("segment_address"));
}

}  // namespace
}  // namespace hindsight::engine::guest::x86
