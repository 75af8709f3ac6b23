// Delivery of exceptions and interrupts: frames, privileges, nested faults, debug conditions.
#include "engine/guest/x86/system_exceptions.h"

#include "tests/isa/system_fixture.h"

namespace hindsight::tests::isa {
namespace {

TEST_F(SystemTest, PageFaultFromUserSwitchesToTheKernelStackAndPushesSixWords) {
  enter64(3);
  gate64(14, 0xFFFF'FFFF'8100'1234);
  set_rflags(s, 0x246 | flag::kAc | flag::kTf | flag::kNt);
  ASSERT_TRUE(deliver(14, 7, 0xDEAD000));
  EXPECT_EQ(s.pc, 0xFFFF'FFFF'8100'1234u);
  EXPECT_EQ(s.cr2, 0xDEAD000u);
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.segment[kCs].selector, kKernelCs);
  EXPECT_EQ(s.segment[kSs].selector, 0);
  EXPECT_EQ(s.gpr[kRsp], kKernelStack - 48);
  EXPECT_EQ(stack64(0), 7u);
  EXPECT_EQ(stack64(1), 0x5000u);
  EXPECT_EQ(stack64(2), kUserCs);
  EXPECT_EQ(stack64(3), 0x246 | flag::kAc | flag::kTf | flag::kNt | flag::kRf);
  EXPECT_EQ(stack64(4), kUserStack);
  EXPECT_EQ(stack64(5), kUserSs);
  EXPECT_EQ(read_rflags(s), 0x046u | flag::kAc);
  EXPECT_EQ(memory.context_changes, 1u);
}

TEST_F(SystemTest, FrameIsTheSameWhenWrittenElementByElement) {
  enter64(3);
  gate64(14, 0x7000);
  memory.spans = false;
  ASSERT_TRUE(deliver(14, 7, 0xDEAD000));
  EXPECT_EQ(s.gpr[kRsp], kKernelStack - 48);
  EXPECT_EQ(stack64(0), 7u);
  EXPECT_EQ(stack64(5), kUserSs);
}

TEST_F(SystemTest, ExceptionInTheKernelAlignsTheStackAndKeepsSs) {
  enter64(0);
  gate64(6, 0x7000);
  s.gpr[kRsp] = kKernelStack - 0x10C;
  ASSERT_TRUE(deliver(6));
  EXPECT_EQ(s.gpr[kRsp], ((kKernelStack - 0x10C) & ~15ull) - 40);
  EXPECT_EQ(stack64(3), kKernelStack - 0x10C);
  EXPECT_EQ(stack64(4), kKernelSs);
  EXPECT_EQ(s.segment[kSs].selector, kKernelSs);
}

TEST_F(SystemTest, InterruptStackTableIsUsedWithoutPrivilegeChange) {
  enter64(0);
  gate64(2, 0x7000, 0xE, 0, 1);
  ASSERT_TRUE(deliver(2));
  EXPECT_EQ(s.gpr[kRsp], kIstStack - 40);
}

TEST_F(SystemTest, TrapGateKeepsInterruptsEnabledAndInterruptGateDoesNot) {
  enter64(0);
  gate64(0x30, 0x7000, 0xF);
  gate64(0x31, 0x7000, 0xE);
  ASSERT_TRUE(deliver_interrupt(s, 0x30));
  EXPECT_NE(s.rflags_system & flag::kIf, 0u);
  ASSERT_TRUE(deliver_interrupt(s, 0x31));
  EXPECT_EQ(s.rflags_system & flag::kIf, 0u);
  EXPECT_EQ(stack64(2) & flag::kRf, 0u);  // not a fault
}

TEST_F(SystemTest, InterruptWakesAHaltedCpu) {
  enter64(0);
  gate64(0x30, 0x7000);
  s.halted = 1;
  EXPECT_TRUE(accepts_interrupt(s));
  ASSERT_TRUE(deliver_interrupt(s, 0x30));
  EXPECT_EQ(s.halted, 0);
  EXPECT_FALSE(accepts_interrupt(s));
}

TEST_F(SystemTest, InterruptShadowHoldsInterruptsOffAndRunsAlone) {
  enter64(0);
  s.irq_shadow = kShadowSti;
  EXPECT_FALSE(accepts_interrupt(s));
  EXPECT_TRUE(must_run_alone(s));
}

TEST_F(SystemTest, AbsentGateGivesNotPresentWithTheIdtErrorCode) {
  enter64(0);
  gate64(11, 0x7000);
  gate64(0x30, 0x8000);
  memory.bytes[kIdt + 0x30 * 16 + 5] &= 0x7F;
  ASSERT_TRUE(deliver_interrupt(s, 0x30));
  EXPECT_EQ(s.pc, 0x7000u);
  EXPECT_EQ(stack64(0), 0x30u * 8 + 2 + 1);
}

TEST_F(SystemTest, FaultDuringInterruptDeliveryCarriesTheExtBit) {
  enter64(0);
  gate64(13, 0x7000);  // vector 0x30 has no gate: type 0
  ASSERT_TRUE(deliver_interrupt(s, 0x30));
  EXPECT_EQ(s.pc, 0x7000u);
  EXPECT_EQ(stack64(0), 0x30u * 8 + 2 + 1);
}

TEST_F(SystemTest, ContributoryFaultDuringGeneralProtectionIsADoubleFault) {
  enter64(0);
  gate64(8, 0x8000, 0xE, 0, 1);  // 13 has no gate
  ASSERT_TRUE(deliver(13, 0));
  EXPECT_EQ(s.pc, 0x8000u);
  EXPECT_EQ(s.gpr[kRsp], kIstStack - 48);
  EXPECT_EQ(stack64(0), 0u);
  EXPECT_EQ(stack64(1), 0x5000u);
}

TEST_F(SystemTest, PageFaultWhilePushingAPageFaultIsADoubleFaultAndSetsCr2Again) {
  enter64(0);
  gate64(14, 0x7000);
  gate64(8, 0x8000, 0xE, 0, 1);
  s.gpr[kRsp] = 0x20010;
  memory.absent_pages = {0x1F000, 0x20000};
  ASSERT_TRUE(deliver(14, 2, 0xDEAD000));
  EXPECT_EQ(s.pc, 0x8000u);
  EXPECT_EQ(s.cr2 & ~0xFFFull, 0x20000u & ~0xFFFull);
  EXPECT_EQ(stack64(4), 0x20010u);
}

TEST_F(SystemTest, PageFaultWhilePushingABenignExceptionIsDeliveredInItsPlace) {
  enter64(3);
  gate64(6, 0x7000);
  gate64(14, 0x8000, 0xE, 0, 1);
  memory.absent_pages = {kKernelStack - 0x1000};
  ASSERT_TRUE(deliver(6));
  EXPECT_EQ(s.pc, 0x8000u);
  EXPECT_EQ(stack64(0), 2u);
  EXPECT_EQ(stack64(1), 0x5000u);
}

TEST_F(SystemTest, FaultDuringDoubleFaultShutsDown) {
  enter64(0);
  s.idtr.limit = 0;
  EXPECT_FALSE(deliver(13, 0));
  EXPECT_TRUE(no_fault());
}

TEST_F(SystemTest, FailedPushChangesNothing) {
  enter64(3);
  gate64(0x30, 0x7000);
  memory.absent_pages = {kKernelStack - 0x1000};
  std::uint64_t handler = 0;
  EXPECT_FALSE(deliver_event(s, {0x30, 0, EventKind::external, false, 0x5000}, handler));
  expect_fault(14, 2);
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.gpr[kRsp], kUserStack);
  EXPECT_EQ(s.segment[kCs].selector, kUserCs);
}

TEST_F(SystemTest, SoftwareInterruptNeedsTheGatesPrivilege) {
  enter64(3);
  gate64(0x80, 0x7000, 0xE, 0);
  std::uint64_t handler = 0;
  EXPECT_FALSE(deliver_event(s, {0x80, 0, EventKind::software, false, 0x5002}, handler));
  expect_fault(13, 0x80 * 8 + 2);
  s.trap = {};
  gate64(0x80, 0x7000, 0xE, 3);
  EXPECT_TRUE(deliver_event(s, {0x80, 0, EventKind::software, false, 0x5002}, handler));
  EXPECT_EQ(handler, 0x7000u);
  EXPECT_EQ(stack64(0), 0x5002u);
}

TEST_F(SystemTest, HandlerCodeMustBe64BitInLongMode) {
  enter64(0);
  gate64(0x30, 0x7000, 0xE, 0, 0, kKernelCs32);
  std::uint64_t handler = 0;
  EXPECT_FALSE(deliver_event(s, {0x30, 0, EventKind::external, false, 0x5000}, handler));
  expect_fault(13, kKernelCs32 | 1);
}

TEST_F(SystemTest, ProtectedModeInterruptFromUserLoadsTheStackOfTheTss) {
  enter32(3);
  gate32(14, 0x7000);
  ASSERT_TRUE(deliver(14, 6, 0x1234));
  EXPECT_EQ(s.pc, 0x7000u);
  EXPECT_EQ(s.gpr[kRsp], kKernelStack - 24);
  EXPECT_EQ(stack32(0), 6u);
  EXPECT_EQ(stack32(1), 0x5000u);
  EXPECT_EQ(stack32(2), kUserCs32);
  EXPECT_EQ(stack32(3), 0x202u | flag::kRf);
  EXPECT_EQ(stack32(4), kUserStack);
  EXPECT_EQ(stack32(5), kUserSs);
  EXPECT_EQ(s.segment[kSs].selector, kKernelSs);
}

TEST_F(SystemTest, ProtectedModeInterruptInTheKernelPushesThreeWords) {
  enter32(0);
  gate32(0x20, 0x7000, 0xF);
  const std::uint64_t before = s.gpr[kRsp];
  ASSERT_TRUE(deliver_interrupt(s, 0x20));
  EXPECT_EQ(s.gpr[kRsp], before - 12);
  EXPECT_NE(s.rflags_system & flag::kIf, 0u);
}

TEST_F(SystemTest, ProtectedModeTssTooShortIsAnInvalidTss) {
  enter32(3);
  gate32(0x20, 0x7000);
  gate32(10, 0x8000);
  s.tr.limit = 3;
  std::uint64_t handler = 0;
  EXPECT_FALSE(deliver_event(s, {0x20, 0, EventKind::external, false, 0x5000}, handler));
  expect_fault(10, kTssSelector | 1);
}

TEST_F(SystemTest, SingleStepTrapsAfterTheInstruction) {
  enter64(0);
  s.rflags_system |= flag::kTf;
  EXPECT_TRUE(must_run_alone(s));
  after_instruction(s);
  EXPECT_EQ(s.trap.vector, exception::kDb);
  gate64(1, 0x7000);
  ASSERT_TRUE(deliver_trap(s));
  EXPECT_EQ(s.dr[6], debug::kDr6Fixed | debug::kBs);
  EXPECT_EQ(stack64(2) & flag::kRf, 0u);
}

TEST_F(SystemTest, SingleStepWaitsOneInstructionWhenTfHasJustBeenSet) {
  enter64(0);
  s.rflags_system |= flag::kTf;
  s.stepping = stepping::kTfWasClear;
  after_instruction(s);
  EXPECT_TRUE(no_fault());
  after_instruction(s);
  EXPECT_EQ(s.trap.vector, exception::kDb);
}

TEST_F(SystemTest, InstructionBreakpointStopsBeforeTheInstructionUnlessRf) {
  enter64(0);
  s.dr[7] |= 2;
  s.dr[0] = 0x5000;
  EXPECT_TRUE(must_run_alone(s));
  s.rflags_system |= flag::kRf;
  s.stepping = stepping::kRfLoaded;
  after_instruction(s);
  before_instruction(s);
  EXPECT_TRUE(no_fault());
  after_instruction(s);
  EXPECT_TRUE(no_fault());
  before_instruction(s);
  EXPECT_EQ(s.trap.vector, exception::kDb);
  EXPECT_EQ(s.trap.address, 1u);
}

TEST_F(SystemTest, DataBreakpointIsReportedAfterTheAccess) {
  enter64(0);
  s.dr[7] |= 1u << 4 | 0xDu << 24;  // L2: writes of 4 bytes
  s.dr[2] = 0x8004;
  note_data_access(s, 0x8004, 4, false);
  note_data_access(s, 0x8008, 4, true);
  after_instruction(s);
  EXPECT_TRUE(no_fault());
  note_data_access(s, 0x8007, 1, true);
  after_instruction(s);
  EXPECT_EQ(s.trap.vector, exception::kDb);
  EXPECT_EQ(s.trap.address, 4u);
}

}  // namespace
}  // namespace hindsight::tests::isa
