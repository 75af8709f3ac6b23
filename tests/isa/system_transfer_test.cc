// IRET, SYSCALL, SYSENTER, far transfers, segment loads and port permissions, as helpers.
#include "engine/guest/x86/system_transfer.h"

#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_io.h"
#include "tests/isa/system_fixture.h"

namespace hindsight::tests::isa {
namespace {

class FakeApic final : public engine::port::LocalApicPort {
 public:
  [[nodiscard]] bool pending() const override { return interrupt_pending; }
  std::uint8_t acknowledge() override { return 0x30; }
  [[nodiscard]] std::uint64_t base_msr() const override { return 0xFEE00900; }
  void set_base_msr(std::uint64_t) override {}
  [[nodiscard]] std::uint64_t tsc_deadline() const override { return 0; }
  void set_tsc_deadline(std::uint64_t) override {}
  [[nodiscard]] std::uint8_t cr8() const override { return priority; }
  void set_cr8(std::uint8_t value) override { priority = value; }
  bool interrupt_pending = false;
  std::uint8_t priority = 0;
};

class TransferTest : public SystemTest {
 protected:
  /// An IRETQ frame at the stack pointer.
  void frame64(std::uint64_t rip, std::uint64_t cs, std::uint64_t flags, std::uint64_t rsp,
               std::uint64_t ss) {
    const std::uint64_t values[] = {rip, cs, flags, rsp, ss};
    for (unsigned i = 0; i < 5; ++i) memory.put(s.gpr[kRsp] + 8 * i, values[i]);
  }
  void frame32(std::initializer_list<std::uint32_t> values) {
    std::uint64_t at = s.gpr[kRsp];
    for (const std::uint32_t value : values) memory.put(at, value), at += 4;
  }
};

TEST_F(TransferTest, IretqReturnsToUserWithEverything) {
  enter64(0);
  frame64(0x0000'7FFF'0000'1000, kUserCs, 0x246 | flag::kAc, kUserStack, kUserSs);
  EXPECT_EQ(call(kIret, 8), 0x0000'7FFF'0000'1000u);
  ASSERT_TRUE(no_fault());
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.segment[kCs].selector, kUserCs);
  EXPECT_EQ(s.segment[kSs].selector, kUserSs);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
  EXPECT_EQ(read_rflags(s), 0x246u | flag::kAc);
  EXPECT_EQ(s.segment[kDs].selector, 0);  // a DPL-0 segment does not survive
}

TEST_F(TransferTest, InterruptAndIretqRoundTripKeepsTheState) {
  enter64(3);
  gate64(0x30, 0x7000);
  set_rflags(s, 0x293);
  ASSERT_TRUE(deliver_interrupt(s, 0x30));
  EXPECT_EQ(call(kIret, 8), 0x5000u);
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
  EXPECT_EQ(read_rflags(s), 0x293u);
  EXPECT_EQ(s.segment[kDs].selector, kUserSs);
}

TEST_F(TransferTest, IretqToCompatibilityModeCutsThePc) {
  enter64(0);
  frame64(0x1'0000'4000, kUserCs32, 0x202, 0xFFFF'FFFF'0000'D000, kUserSs);
  EXPECT_EQ(call(kIret, 8), 0x4000u);
  EXPECT_EQ(mode_of(s) >> mode::kShift & (mode::kCode64 | mode::kCode32 | mode::kLong),
            mode::kCode32 | mode::kLong);
  EXPECT_EQ(s.gpr[kRsp], 0xD000u);
}

TEST_F(TransferTest, IretqToANonCanonicalAddressFaultsBeforeAnythingChanges) {
  enter64(0);
  frame64(0x8000'0000'0000'0000, kUserCs, 0x202, kUserStack, kUserSs);
  call(kIret, 8);
  expect_fault(13, 0);
  EXPECT_EQ(s.cpl, 0);
}

TEST_F(TransferTest, IretqWithANullSsToUserIsRefused) {
  enter64(0);
  frame64(0x4000, kUserCs, 0x202, kUserStack, 3);
  call(kIret, 8);
  expect_fault(13, 0);
}

TEST_F(TransferTest, IretqWithABadSelectorNamesIt) {
  enter64(0);
  frame64(0x4000, 0x103, 0x202, kUserStack, kUserSs);
  call(kIret, 8);
  expect_fault(13, 0x100);
}

TEST_F(TransferTest, IretWithNtFaultsInLongMode) {
  enter64(0);
  s.rflags_system |= flag::kNt;
  frame64(0x4000, kKernelCs, 0x202, kUserStack, kKernelSs);
  call(kIret, 8);
  expect_fault(13, 0);
}

TEST_F(TransferTest, IretAtUserLevelCannotChangeIfOrIopl) {
  enter64(3);
  frame64(0x4000, kUserCs, 0x3000, kUserStack, kUserSs);
  call(kIret, 8);
  ASSERT_TRUE(no_fault());
  EXPECT_EQ(read_rflags(s), 0x202u);
}

TEST_F(TransferTest, IretAsksForTheRunLoopOnlyWhenAnInterruptWaits) {
  enter64(0);
  FakeApic apic;
  s.apic = &apic;
  set_rflags(s, 2);
  frame64(0x4000, kKernelCs, 0x202, s.gpr[kRsp], kKernelSs);
  call(kIret, 8);
  EXPECT_EQ(s.leave, 0);
  set_rflags(s, 2);
  apic.interrupt_pending = true;
  frame64(0x4000, kKernelCs, 0x202, s.gpr[kRsp], kKernelSs);
  call(kIret, 8);
  EXPECT_EQ(s.leave, 1);
}

TEST_F(TransferTest, IretdReturnsFromAProtectedModeInterrupt) {
  enter32(3);
  gate32(0x20, 0x7000);
  ASSERT_TRUE(deliver_interrupt(s, 0x20));
  EXPECT_EQ(call(kIret, 4), 0x5000u);
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
  EXPECT_EQ(s.segment[kSs].selector, kUserSs);
}

TEST_F(TransferTest, IretdWithinTheKernelPopsThreeWords) {
  enter32(0);
  frame32({0x4000, kKernelCs32, 0x202});
  const std::uint64_t before = s.gpr[kRsp];
  EXPECT_EQ(call(kIret, 4), 0x4000u);
  EXPECT_EQ(s.gpr[kRsp], before + 12);
}

TEST_F(TransferTest, SyscallAndSysretRoundTrip) {
  enter64(3);
  s.star = std::uint64_t{kUserCs32} << 48 | std::uint64_t{kKernelCs} << 32;
  s.lstar = 0xFFFF'FFFF'8100'0000;
  s.sfmask = 0x47700;
  set_rflags(s, 0x246);
  EXPECT_EQ(call(kSyscall, 0x5002), 0xFFFF'FFFF'8100'0000u);
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.gpr[kRcx], 0x5002u);
  EXPECT_EQ(s.gpr[kR11], 0x246u);
  EXPECT_EQ(read_rflags(s), 0x46u);
  EXPECT_EQ(s.segment[kCs].selector, kKernelCs);
  EXPECT_EQ(s.segment[kSs].selector, kKernelSs);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
  EXPECT_EQ(call(kSysret, 8), 0x5002u);
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(read_rflags(s), 0x246u);
  EXPECT_EQ(s.segment[kCs].selector, kUserCs);
  EXPECT_EQ(s.segment[kSs].selector, kUserSs);
}

TEST_F(TransferTest, SyscallWithoutSceIsUndefined) {
  enter64(3);
  s.efer &= ~efer::kSce;
  call(kSyscall, 0x5002);
  EXPECT_EQ(s.trap.vector, exception::kUd);
  EXPECT_EQ(s.cpl, 3);
}

TEST_F(TransferTest, SysretToANonCanonicalAddressFaultsInTheKernel) {
  enter64(0);
  s.gpr[kRcx] = 0x0000'8000'0000'0000;
  call(kSysret, 8);
  expect_fault(13, 0);
  EXPECT_EQ(s.cpl, 0);
}

TEST_F(TransferTest, SysenterAndSysexitInProtectedMode) {
  enter32(3);
  s.sysenter_cs = 0x58;
  s.sysenter_esp = 0x9000;
  s.sysenter_eip = 0x7000;
  EXPECT_EQ(call(kSysenter), 0x7000u);
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.segment[kSs].selector, 0x60);
  EXPECT_EQ(s.gpr[kRsp], 0x9000u);
  EXPECT_EQ(s.rflags_system & flag::kIf, 0u);
  s.gpr[kRdx] = 0x5002;
  s.gpr[kRcx] = kUserStack;
  EXPECT_EQ(call(kSysexit, 4), 0x5002u);
  EXPECT_EQ(s.segment[kCs].selector, 0x58 + 16 + 3);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
}

TEST_F(TransferTest, FarJumpFromCompatibilityTo64BitCode) {
  enter64(0);
  s.segment[kCs] = flat_code(kKernelCs32, 0, false);
  EXPECT_EQ(call(kFarJump, kKernelCs, 0x6000), 0x6000u);
  EXPECT_NE(mode_of(s) >> mode::kShift & mode::kCode64, 0u);
}

TEST_F(TransferTest, FarCallAndFarReturnWithinOneLevel) {
  enter32(0);
  const std::uint64_t before = s.gpr[kRsp];
  EXPECT_EQ(call(kFarCall, kKernelCs32 | 4u << 16, 0x6000, 0x5007), 0x6000u);
  EXPECT_EQ(stack32(0), 0x5007u);
  EXPECT_EQ(stack32(1), kKernelCs32);
  EXPECT_EQ(call(kFarReturn, 4, 8), 0x5007u);
  EXPECT_EQ(s.gpr[kRsp], before + 8);
}

TEST_F(TransferTest, FarReturnToUserTakesTheOuterStackAndDropsParametersThere) {
  enter32(0);
  frame32({0x4000, kUserCs32, 0x11, 0x22, static_cast<std::uint32_t>(kUserStack), kUserSs});
  EXPECT_EQ(call(kFarReturn, 4, 8), 0x4000u);
  ASSERT_TRUE(no_fault());
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.gpr[kRsp], kUserStack + 8);
}

TEST_F(TransferTest, CallGateCopiesParametersToTheInnerStack) {
  enter32(3);
  // Call gate at selector 70H, DPL 3, two parameters, to 7000H in the kernel.
  put_descriptor(0x70, 0x7000 | std::uint64_t{kKernelCs32} << 16 | std::uint64_t{0xEC02} << 32);
  frame32({0x11, 0x22});
  EXPECT_EQ(call(kFarCall, 0x73 | 4u << 16, 0, 0x5007), 0x7000u);
  ASSERT_TRUE(no_fault());
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.gpr[kRsp], kKernelStack - 24);
  EXPECT_EQ(stack32(0), 0x5007u);
  EXPECT_EQ(stack32(1), kUserCs32);
  EXPECT_EQ(stack32(2), 0x11u);
  EXPECT_EQ(stack32(3), 0x22u);
  EXPECT_EQ(stack32(4), kUserStack);
  EXPECT_EQ(stack32(5), kUserSs);
}

TEST_F(TransferTest, FarJumpToATaskIsRefused) {
  enter32(0);
  call(kFarJump, kTssSelector, 0);
  expect_fault(13, kTssSelector);
}

TEST_F(TransferTest, PopfSettingIfWithNothingPendingStaysInTheBlock) {
  enter64(0);
  FakeApic apic;
  s.apic = &apic;
  set_rflags(s, 2);
  call(kPopFlags, 0x202 | 0x8D5, 8);
  EXPECT_EQ(read_rflags(s), 0x202u | 0x8D5);
  EXPECT_EQ(s.leave, 0);
  EXPECT_EQ(memory.context_changes, 0u);
}

TEST_F(TransferTest, PopfSettingTfAsksForTheRunLoop) {
  enter64(3);
  call(kPopFlags, 0x302, 8);
  EXPECT_EQ(s.leave, 1);
}

TEST_F(TransferTest, StiCastsAShadowOnlyWhenInterruptsWereOff) {
  enter64(0);
  call(kSti);
  EXPECT_EQ(s.irq_shadow, 0);
  EXPECT_EQ(s.leave, 0);
  set_rflags(s, 2);
  call(kSti);
  EXPECT_EQ(s.irq_shadow, kShadowSti);
  EXPECT_EQ(s.leave, 1);
}

TEST_F(TransferTest, LoweringThePriorityLetsAWaitingInterruptIn) {
  enter64(0);
  FakeApic apic;
  s.apic = &apic;
  call(kWriteCr8, 5);
  EXPECT_EQ(call(kReadCr8), 5u);
  EXPECT_EQ(s.leave, 0);
  apic.interrupt_pending = true;
  call(kWriteCr8, 0);
  EXPECT_EQ(s.leave, 1);
  call(kWriteCr8, 16);
  expect_fault(13, 0);
}

TEST_F(TransferTest, LoadingSegmentsChecksRightsAndSetsAccessed) {
  enter32(3);
  call(kLoadSegment, kDs, kKernelSs | 3);
  expect_fault(13, kKernelSs);
  s.trap = {};
  put_descriptor(kUserSs, flat_descriptor(0x2, 3, kFlags32));
  call(kLoadSegment, kDs, kUserSs);
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(memory.bytes[kGdt + (kUserSs & ~7) + 5] & 1, 1);
  call(kLoadSegment, kEs, 0);
  EXPECT_TRUE(no_fault());
  EXPECT_NE(mode_of(s) >> mode::kShift & mode::kSegmented, 0u);
  put_descriptor(kUserSs, flat_descriptor(0x2, 3, kFlags32) & ~(std::uint64_t{0x80} << 40));
  call(kLoadSegment, kDs, kUserSs);
  expect_fault(11, kUserSs & ~3);
}

TEST_F(TransferTest, LoadingSsCastsTheMovSsShadow) {
  enter64(0);
  call(kLoadSegment, kSs, kKernelSs);
  EXPECT_EQ(s.irq_shadow, kShadowMovSs);
  EXPECT_EQ(s.leave, 1);
  s.irq_shadow = 0;
  call(kLoadSegment, kSs, 0);  // null is fine in 64-bit mode at CPL 0
  EXPECT_TRUE(no_fault());
  s.cpl = 3;
  call(kLoadSegment, kSs, 3);
  expect_fault(13, 0);
}

TEST_F(TransferTest, LtrMarksTheTaskBusyAndTakesTheHighBase) {
  enter64(0);
  memory.put<std::uint64_t>(kGdt + 0x48, 0xFFFF8800);
  call(kLtr, kTssSelector);
  ASSERT_TRUE(no_fault());
  EXPECT_EQ(s.tr.base, 0xFFFF'8800'0000'0000u + kTssAt);
  EXPECT_EQ(memory.bytes[kGdt + kTssSelector + 5], 0x8B);
  call(kLtr, kTssSelector);
  expect_fault(13, kTssSelector);
}

TEST_F(TransferTest, LarAndLslAnswerOnlyForReachableDescriptors) {
  enter64(3);
  EXPECT_EQ(call(kLsl, kUserSs), 0xFFFFFFFFu | kSelectorValid);
  EXPECT_EQ(call(kLar, kUserSs), 0x00CFF300u | kSelectorValid);
  EXPECT_EQ(call(kLsl, kKernelSs), 0u);
  EXPECT_EQ(call(kLar, 0x1000), 0u);
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(call(kVerw, kUserCs), 0u);
  EXPECT_EQ(call(kVerr, kUserCs), kSelectorValid);
}

TEST_F(TransferTest, Cr0PagingSwitchesLongModeOn) {
  enter32(0);
  s.efer = efer::kLme;
  call(kWriteCr0, cr0::kPe | cr0::kPg);
  expect_fault(13, 0);  // PAE is missing
  s.trap = {};
  s.cr4 = cr4::kPae;
  call(kWriteCr0, cr0::kPe | cr0::kPg);
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(s.efer, efer::kLme | efer::kLma);
  call(kWriteCr4, 0);
  expect_fault(13, 0);
}

TEST_F(TransferTest, Cr4RefusesWhatIsNotAdvertised) {
  enter64(0);
  call(kWriteCr4, cr4::kPae | cr4::kMce);
  expect_fault(13, 0);
}

TEST_F(TransferTest, GeneralDetectTrapsDebugRegisterAccess) {
  enter64(0);
  call(kWriteDr, 7, debug::kGd);
  EXPECT_EQ(s.dr[7], debug::kGd | debug::kDr7Fixed);
  call(kReadDr, 0);
  EXPECT_EQ(s.trap.vector, exception::kDb);
  gate64(1, 0x7000);
  ASSERT_TRUE(deliver_trap(s));
  EXPECT_EQ(s.dr[6], debug::kDr6Fixed | debug::kBd);
  EXPECT_EQ(s.dr[7], debug::kDr7Fixed);
}

TEST_F(TransferTest, PortsAreCheckedAgainstTheTssBitmap) {
  enter64(3);
  s.tr.limit = 0x67 + 0x100;
  s.alone = 1;
  memory.put<std::uint16_t>(kTssAt + 0x66, 0x68);
  memory.put<std::uint8_t>(kTssAt + 0x68 + 0x60 / 8, 0x02);  // port 61H is denied
  memory.on_port_in = [](std::uint16_t port, std::uint32_t) { return std::uint32_t{port}; };
  EXPECT_EQ(call(kPortIn, 0x60, 1), 0x60u);
  EXPECT_TRUE(no_fault());
  call(kPortIn, 0x60, 2);
  expect_fault(13, 0);
  s.trap = {};
  call(kPortOut, 0x3F8, 1, 'x');
  EXPECT_TRUE(no_fault());
  call(kPortOut, 0x808, 1, 'x');  // beyond the limit
  expect_fault(13, 0);
}

TEST_F(TransferTest, RepInsRunsOneIterationAndComesBack) {
  enter64(0);
  s.alone = 1;
  s.gpr[kRcx] = 2;
  s.gpr[kRdi] = 0x8000;
  s.gpr[kRdx] = 0x1F0;
  memory.on_port_in = [](std::uint16_t, std::uint32_t) { return 0xBEEFu; };
  const std::uint64_t io = StringIo{2, 8, true, kDs}.pack();
  EXPECT_EQ(call(kIns, io, 0x5000, 0x5002), 0x5000u);
  EXPECT_EQ(memory.get<std::uint16_t>(0x8000), 0xBEEF);
  EXPECT_EQ(call(kIns, io, 0x5000, 0x5002), 0x5002u);
  EXPECT_EQ(s.gpr[kRdi], 0x8004u);
  EXPECT_EQ(s.gpr[kRcx], 0u);
}

TEST_F(TransferTest, InsToAnAbsentPageFaultsBeforeTheDeviceIsRead) {
  enter64(0);
  s.alone = 1;
  bool asked = false;
  memory.on_port_in = [&](std::uint16_t, std::uint32_t) { return asked = true, 0u; };
  memory.absent_pages = {0x8000};
  s.gpr[kRdi] = 0x8000;
  call(kIns, StringIo{1, 8, false, kDs}.pack(), 0x5000, 0x5001);
  expect_fault(14, 2);
  EXPECT_FALSE(asked);
}

}  // namespace
}  // namespace hindsight::tests::isa
