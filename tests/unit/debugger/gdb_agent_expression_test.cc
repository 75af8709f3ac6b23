#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "debugger/gdb/agent_expression.h"

namespace hindsight::debugger::gdb {
namespace {

using testing::HasSubstr;

/// Register n holds 100 + n, up to 16 of them; memory from 0x1000 to 0x1010 counts up from 0xf0.
class Context final : public ExpressionContext {
 public:
  std::optional<std::uint64_t> register_value(unsigned number) const override {
    return number < 16 ? std::optional<std::uint64_t>(100 + number) : std::nullopt;
  }
  bool read(std::uint64_t address, std::span<std::byte> out) const override {
    if (address < 0x1000 || address > 0x1010 - out.size()) return false;
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::byte>(0xf0 + (address - 0x1000) + i);
    return true;
  }
};

std::string code(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

std::uint64_t value(std::initializer_list<int> bytes) {
  const auto expression = AgentExpression::parse(code(bytes));
  if (!expression) {
    ADD_FAILURE() << expression.failure().message;
    return 0;
  }
  const auto result = expression->evaluate(Context());
  if (!result) {
    ADD_FAILURE() << result.failure().message;
    return 0;
  }
  return *result;
}

std::string refusal(std::initializer_list<int> bytes) {
  const auto expression = AgentExpression::parse(code(bytes));
  return expression ? "parsed" : expression.failure().message;
}

std::string failure(std::initializer_list<int> bytes) {
  const auto expression = AgentExpression::parse(code(bytes));
  if (!expression) return "not parsed";
  const auto result = expression->evaluate(Context());
  return result ? "evaluated" : result.failure().message;
}

constexpr int kEnd = 0x27, kConst8 = 0x22, kReg = 0x26;

TEST(GdbAgentExpression, ConstantsStandMostSignificantByteFirst) {
  EXPECT_EQ(value({kConst8, 0xfe, kEnd}), 0xfeU);
  EXPECT_EQ(value({0x23, 1, 2, kEnd}), 0x0102U);
  EXPECT_EQ(value({0x24, 1, 2, 3, 4, kEnd}), 0x01020304U);
  EXPECT_EQ(value({0x25, 1, 2, 3, 4, 5, 6, 7, 8, kEnd}), 0x0102030405060708U);
}

TEST(GdbAgentExpression, RegistersAreNumberedBy16Bits) { EXPECT_EQ(value({kReg, 0, 7, kEnd}), 107U); }

TEST(GdbAgentExpression, MemoryIsLittleEndian) {
  EXPECT_EQ(value({0x23, 0x10, 0x01, 0x17, kEnd}), 0xf1U);
  EXPECT_EQ(value({0x23, 0x10, 0x01, 0x18, kEnd}), 0xf2f1U);
  EXPECT_EQ(value({0x23, 0x10, 0x01, 0x19, kEnd}), 0xf4f3f2f1U);
  EXPECT_EQ(value({0x23, 0x10, 0x01, 0x1a, kEnd}), 0xf8f7f6f5f4f3f2f1U);
}

TEST(GdbAgentExpression, ArithmeticTakesTheTopAsItsSecondOperand) {
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x02, kEnd}), 13U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x03, kEnd}), 5U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x04, kEnd}), 36U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x06, kEnd}), 2U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x08, kEnd}), 1U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x09, kEnd}), 144U);
  EXPECT_EQ(value({kConst8, 0xff, 0x16, 8, kConst8, 60, 0x0b, kEnd}), 15U);
  EXPECT_EQ(value({kConst8, 0x80, 0x16, 8, kConst8, 3, 0x0a, kEnd}), ~std::uint64_t{15});
}

TEST(GdbAgentExpression, SignedAndUnsignedDivisionDiffer) {
  EXPECT_EQ(value({kConst8, 0xf7, 0x16, 8, kConst8, 2, 0x05, kEnd}), static_cast<std::uint64_t>(-4));
  EXPECT_EQ(value({kConst8, 0xf7, 0x16, 8, kConst8, 2, 0x07, kEnd}), static_cast<std::uint64_t>(-1));
  // The least integer by -1 has no quotient that fits: it wraps.
  EXPECT_EQ(value({0x25, 0x80, 0, 0, 0, 0, 0, 0, 0, kConst8, 0xff, 0x16, 8, 0x05, kEnd}),
            std::uint64_t{1} << 63);
}

TEST(GdbAgentExpression, ComparisonsGiveOneOrZero) {
  EXPECT_EQ(value({kConst8, 4, kConst8, 4, 0x13, kEnd}), 1U);
  EXPECT_EQ(value({kConst8, 0xff, 0x16, 8, kConst8, 4, 0x14, kEnd}), 1U);
  EXPECT_EQ(value({kConst8, 0xff, 0x16, 8, kConst8, 4, 0x15, kEnd}), 0U);
  EXPECT_EQ(value({kConst8, 4, 0x0e, kEnd}), 0U);
}

TEST(GdbAgentExpression, ExtensionsKeepTheLowBits) {
  EXPECT_EQ(value({kConst8, 0x9f, 0x16, 5, kEnd}), ~std::uint64_t{0});
  EXPECT_EQ(value({kConst8, 0x9f, 0x2a, 5, kEnd}), 0x1fU);
  EXPECT_EQ(value({kConst8, 0x9f, 0x16, 64, kEnd}), 0x9fU);
  EXPECT_EQ(value({kConst8, 0x9f, 0x2a, 200, kEnd}), 0x9fU);
}

TEST(GdbAgentExpression, TheStackIsRearranged) {
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x2b, 0x03, kEnd}), static_cast<std::uint64_t>(-5));
  EXPECT_EQ(value({kConst8, 9, 0x28, 0x02, kEnd}), 18U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x29, kEnd}), 9U);
  EXPECT_EQ(value({kConst8, 9, kConst8, 4, 0x32, 1, kEnd}), 9U);
  // 1 2 3 becomes 3 1 2
  EXPECT_EQ(value({kConst8, 1, kConst8, 2, kConst8, 3, 0x33, kEnd}), 2U);
  EXPECT_EQ(value({kConst8, 1, kConst8, 2, kConst8, 3, 0x33, 0x29, kEnd}), 1U);
}

TEST(GdbAgentExpression, AConditionalJumpIsTakenWhenTheTopIsNotZero) {
  // if (c) 7 else 5
  const auto choose = [](int c) {
    return value({kConst8, c, 0x20, 0, 8, kConst8, 5, kEnd, kConst8, 7, kEnd});
  };
  EXPECT_EQ(choose(1), 7U);
  EXPECT_EQ(choose(0), 5U);
}

TEST(GdbAgentExpression, WhatIsNotAConditionIsRefused) {
  EXPECT_THAT(refusal({0x01, kEnd}), HasSubstr("opcode 0x01 at offset 0"));
  EXPECT_THAT(refusal({kConst8, 1, 0x0d, 4, kEnd}), HasSubstr("opcode 0x0d at offset 2"));
  EXPECT_THAT(refusal({0xff}), HasSubstr("opcode 0xff"));
  EXPECT_THAT(refusal({0x24, 1, 2}), HasSubstr("ends within the opcode at offset 0"));
  EXPECT_THAT(refusal({kConst8, 1}), HasSubstr("does not end"));
  EXPECT_THAT(refusal({}), HasSubstr("does not end"));
  EXPECT_THAT(refusal({kConst8, 1, 0x20, 0, 1, kEnd}), HasSubstr("offset 1, where no instruction begins"));
  EXPECT_THAT(refusal({kConst8, 1, 0x20, 0, 99, kEnd}), HasSubstr("offset 99"));
  EXPECT_FALSE(AgentExpression::parse(std::string(AgentExpression::kMaxBytes + 1, kEnd)));
}

TEST(GdbAgentExpression, WhatCannotBeEvaluatedSaysWhy) {
  EXPECT_THAT(failure({0x02, kEnd}), HasSubstr("empty stack at offset 0"));
  EXPECT_THAT(failure({kEnd}), HasSubstr("empty stack"));
  EXPECT_THAT(failure({kConst8, 1, kConst8, 0, 0x05, kEnd}), HasSubstr("divides by zero"));
  EXPECT_THAT(failure({kConst8, 1, 0x19, kEnd}), HasSubstr("4 bytes at 0x1"));
  EXPECT_THAT(failure({kReg, 0, 16, kEnd}), HasSubstr("register 16"));
  EXPECT_THAT(failure({kConst8, 1, 0x32, 1, kEnd}), HasSubstr("below its stack"));
}

TEST(GdbAgentExpression, AnEndlessLoopEnds) {
  EXPECT_THAT(failure({0x21, 0, 0}), HasSubstr("more than 10000 steps"));
}

TEST(GdbAgentExpression, AGrowingStackEnds) {
  EXPECT_THAT(failure({kConst8, 1, 0x21, 0, 0}), HasSubstr("64 stack slots"));
}

}  // namespace
}  // namespace hindsight::debugger::gdb
