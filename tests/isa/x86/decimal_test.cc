// The decimal adjustments of 32-bit code, on the examples of SDM vol. 2 and by arithmetic.
#include <gtest/gtest.h>

#include <memory>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/system_bits.h"

namespace hindsight::engine::guest::x86 {
namespace {

class X86Decimal : public testing::Test {
 protected:
  void run(const ir::HelperInfo& helper, std::uint64_t immediate = 0) {
    helper.fn(state_.get(), immediate, 0, 0);
  }
  void set(std::uint16_t ax, std::uint32_t flags) {
    state_->gpr[kRax] = 0xABCD0000u | ax;
    state_->flags = ir::pack_flags(flags);
  }
  [[nodiscard]] std::uint64_t rax() const { return state_->gpr[kRax]; }
  [[nodiscard]] bool carry() const { return (state_->flags & ir::packed::kC) != 0; }

  std::unique_ptr<CpuState> state_ = std::make_unique<CpuState>();
};

TEST_F(X86Decimal, DaaAdjustsTheSumOf79And35) {
  set(0x00AE, ir::eflags::kS | ir::eflags::kV | ir::eflags::kP);
  run(kDaa);
  EXPECT_EQ(rax(), 0xABCD0014u);
  EXPECT_TRUE(carry());
}

TEST_F(X86Decimal, DasAdjustsTheDifferenceOf35And47) {
  set(0x00EE, ir::eflags::kC | ir::eflags::kA | ir::eflags::kS);
  run(kDas);
  EXPECT_EQ(rax(), 0xABCD0088u);
  EXPECT_TRUE(carry());
}

TEST_F(X86Decimal, DaaOfEverySumOfTwoDecimalBytesIsTheirDecimalSum) {
  for (unsigned a = 0; a < 100; ++a)
    for (unsigned b = 0; b < 100; ++b) {
      const unsigned left = a / 10 * 16 + a % 10, right = b / 10 * 16 + b % 10, sum = left + right;
      const bool adjust = (left & 15) + (right & 15) > 15;
      set(static_cast<std::uint8_t>(sum), (adjust ? ir::eflags::kA : 0) | (sum > 0xFF ? ir::eflags::kC : 0));
      run(kDaa);
      const unsigned expected = (a + b) % 100;
      ASSERT_EQ(rax() & 0xFF, expected / 10 * 16 + expected % 10) << a << "+" << b;
      ASSERT_EQ(carry(), a + b > 99) << a << "+" << b;
    }
}

TEST_F(X86Decimal, AaaCarriesIntoAh) {
  set(0x010B, 0);
  run(kAaa);
  EXPECT_EQ(rax() & 0xFFFF, 0x0201u);
  EXPECT_TRUE(carry());
}

TEST_F(X86Decimal, AasBorrowsFromAh) {
  set(0x02FE, ir::eflags::kA);
  run(kAas);
  EXPECT_EQ(rax() & 0xFFFF, 0x0108u);
  EXPECT_TRUE(carry());
}

TEST_F(X86Decimal, AamSplitsAndAadJoinsDigits) {
  set(0x003F, 0);
  run(kAam, 10);
  EXPECT_EQ(rax() & 0xFFFF, 0x0603u);
  run(kAad, 10);
  EXPECT_EQ(rax() & 0xFFFF, 0x003Fu);
}

TEST_F(X86Decimal, AamByZeroRaisesDivideErrorAndChangesNothing) {
  set(0x1234, 0);
  run(kAam, 0);
  EXPECT_EQ(state_->trap.vector, exception::kDe);
  EXPECT_EQ(rax() & 0xFFFF, 0x1234u);
}

}  // namespace
}  // namespace hindsight::engine::guest::x86
