#include "debugger/symbols/guest_kernel.h"

#include <gmock/gmock.h>

#include "tests/support/tiny_kernel.h"

namespace hindsight::debugger::symbols {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using tests::support::TinyKernel;
using Kernel = TinyKernel;
using End = Stack::End;

constexpr std::uint64_t kSp = Kernel::kStack.value + 0x1000;

Registers at(GuestVirt pc, std::uint64_t sp = kSp) {
  Registers registers;
  registers.rip = pc.value;
  registers.general[Registers::rsp] = sp;
  return registers;
}

class GuestKernelTest : public testing::TestWithParam<OrcFormat> {
 protected:
  void push(std::uint64_t at, std::uint64_t value) { tiny_.memory.store(GuestVirt{at}, value); }
  Stack unwind(const Registers& registers) {
    auto stack = kernel_.unwind(registers, tiny_.memory);
    EXPECT_TRUE(stack);
    return *stack;
  }
  static std::vector<GuestVirt> pcs(const Stack& stack) {
    std::vector<GuestVirt> all;
    for (const Frame& frame : stack.frames) all.push_back(frame.pc);
    return all;
  }

  TinyKernel tiny_{GetParam()};
  GuestKernel kernel_ = *GuestKernel::find(tiny_.memory);
};

INSTANTIATE_TEST_SUITE_P(Formats, GuestKernelTest,
                         testing::Values(OrcFormat::type_end, OrcFormat::type_signal_end,
                                         OrcFormat::wide_type));

TEST_P(GuestKernelTest, FollowsCallsToTheBottom) {
  push(kSp + 32, Kernel::kBottom.value + 7);
  const Stack stack = unwind(at(Kernel::kOuter + 8));
  EXPECT_THAT(pcs(stack), ElementsAre(Kernel::kOuter + 8, Kernel::kBottom + 7));
  EXPECT_EQ(stack.end, End::bottom);
  EXPECT_EQ(stack.frames[1].sp, GuestVirt{kSp + 40});
}

TEST_P(GuestKernelTest, FollowsTheFramePointerWhereTheCodeKeepsOne) {
  Registers registers = at(Kernel::kInner + 9, kSp);
  registers.general[Registers::rbp] = kSp + 0x40;
  push(kSp + 0x40, 0x1111);
  push(kSp + 0x48, Kernel::kOuter.value + 8);
  push(kSp + 0x50 + 32, Kernel::kBottom.value + 7);
  EXPECT_THAT(pcs(unwind(registers)),
              ElementsAre(Kernel::kInner + 9, Kernel::kOuter + 8, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, LooksUpACallThatIsTheLastInstructionOfItsFunction) {
  // inner begins where outer's last call returns to
  push(kSp, Kernel::kInner.value);
  push(kSp + 8 + 32, Kernel::kBottom.value + 7);
  const Stack stack = unwind(at(Kernel::kOuter));
  EXPECT_EQ(stack.frames[1].lookup_pc(false), Kernel::kInner - 1);
  EXPECT_THAT(pcs(stack), ElementsAre(Kernel::kOuter, Kernel::kInner, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, GoesOnWhereAnInterruptCame) {
  push(kSp + 32, Kernel::kBottom.value + 7);
  const std::uint64_t regs = kSp - 0x200;
  push(regs + 16 * 8, Kernel::kOuter.value + 4);
  push(regs + 17 * 8, 0x10);
  push(regs + 19 * 8, kSp);
  const Stack stack = unwind(at(Kernel::kEntry + 8, regs));
  EXPECT_THAT(pcs(stack), ElementsAre(Kernel::kEntry + 8, Kernel::kOuter + 4, Kernel::kBottom + 7));
  EXPECT_TRUE(stack.frames[1].interrupted);
  EXPECT_FALSE(stack.frames[2].interrupted);
}

TEST_P(GuestKernelTest, KnowsEveryRegisterWhereAnInterruptSavedThemAndFewInCallers) {
  push(kSp + 32, Kernel::kBottom.value + 7);
  const std::uint64_t regs = kSp - 0x200;
  push(regs + 5 * 8, 0xb0b);  // rbx
  push(regs + 16 * 8, Kernel::kOuter.value + 4);
  push(regs + 17 * 8, 0x10);
  push(regs + 19 * 8, kSp);
  const Stack stack = unwind(at(Kernel::kEntry + 8, regs));
  EXPECT_EQ(stack.frames[1].known, 0xFFFF);
  EXPECT_EQ(stack.frames[1].general[Registers::rbx], 0xb0bU);
  EXPECT_EQ(stack.frames[1].general[Registers::rsp], kSp);
  EXPECT_EQ(stack.frames[2].known & ~(1 << Registers::rbp), 1 << Registers::rsp);
}

TEST_P(GuestKernelTest, GoesOnFromWhatTheCpuAlonePushed) {
  push(kSp + 8, Kernel::kBottom.value + 3);
  push(kSp + 16, 0x10);
  push(kSp + 32, kSp + 0x100);
  const Stack stack = unwind(at(Kernel::kEntry + 0x90));
  EXPECT_THAT(pcs(stack), ElementsAre(Kernel::kEntry + 0x90, Kernel::kBottom + 3));
}

TEST_P(GuestKernelTest, EndsInUserSpace) {
  push(kSp + 16 * 8, 0x401000);
  push(kSp + 17 * 8, 0x33);
  const Stack stack = unwind(at(Kernel::kEntry + 8));
  EXPECT_EQ(stack.end, End::user);
  ASSERT_TRUE(stack.user);
  EXPECT_EQ(stack.user->pc, GuestVirt{0x401000});
}

TEST_P(GuestKernelTest, HasNoFramesOfUserSpaceItself) {
  Registers registers = at(GuestVirt{0x401000});
  registers.cpl = 3;
  EXPECT_THAT(unwind(registers).frames, IsEmpty());
}

TEST_P(GuestKernelTest, FindsTheCallerOfARetpoline) {
  push(kSp, Kernel::kOuter.value + 8);
  push(kSp + 8 + 32, Kernel::kBottom.value + 7);
  EXPECT_THAT(pcs(unwind(at(Kernel::kThunk))),
              ElementsAre(Kernel::kThunk, Kernel::kOuter + 8, Kernel::kBottom + 7));
  push(kSp - 8, Kernel::kThunk.value + 5);
  EXPECT_THAT(pcs(unwind(at(Kernel::kThunk + 0xc, kSp - 8))),
              ElementsAre(Kernel::kThunk + 0xc, Kernel::kOuter + 8, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, TakesTheTargetOfARetpolineForEntered) {
  push(kSp - 8, Kernel::kInner.value);
  push(kSp, Kernel::kOuter.value + 8);
  push(kSp + 8 + 32, Kernel::kBottom.value + 7);
  const Stack stack = unwind(at(Kernel::kThunk + 0x10, kSp - 8));
  EXPECT_THAT(pcs(stack),
              ElementsAre(Kernel::kThunk + 0x10, Kernel::kInner, Kernel::kOuter + 8, Kernel::kBottom + 7));
  EXPECT_TRUE(stack.frames[1].entered);
}

TEST_P(GuestKernelTest, FollowsTheReturnAddressOfACallToNowhere) {
  push(kSp, Kernel::kBottom.value + 7);
  EXPECT_THAT(pcs(unwind(at(GuestVirt{0}))), ElementsAre(GuestVirt{0}, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, SaysWhereTheStackCannotBeRead) {
  EXPECT_EQ(unwind(at(Kernel::kOuter + 8, 0xffffc90000000000)).end, End::unreadable);
}

TEST_P(GuestKernelTest, EndsAStackThatGoesInCircles) {
  Registers registers = at(Kernel::kInner + 9);
  registers.general[Registers::rbp] = kSp;
  push(kSp, kSp);
  push(kSp + 8, Kernel::kInner.value + 9);
  const Stack stack = unwind(registers);
  EXPECT_LE(stack.frames.size(), 256u);
  EXPECT_NE(stack.end, End::bottom);
}

TEST_P(GuestKernelTest, UnwindsThroughAModule) {
  push(kSp + 16, Kernel::kBottom.value + 7);
  EXPECT_THAT(pcs(unwind(at(Kernel::kModule + 0x20))),
              ElementsAre(Kernel::kModule + 0x20, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, SaysAStackInLines) {
  push(kSp + 16, Kernel::kOuter.value + 8);
  push(kSp + 24 + 32, Kernel::kBottom.value + 7);
  EXPECT_EQ(kernel_.describe(unwind(at(Kernel::kModule + 0x20))),
            "#0  ffffffffc0200020  probe+0x10 [tiny]\n"
            "#1  ffffffff85000108  outer+0x8\n"
            "#2  ffffffff85000407  bottom+0x7\n");
}

TEST_P(GuestKernelTest, NamesAModulesSymbols) {
  ASSERT_THAT(kernel_.modules(), SizeIs(1));
  EXPECT_EQ(kernel_.modules()[0].text, (Range{Kernel::kModule, Kernel::kModule + 0x1000}));
  EXPECT_EQ(kernel_.describe(Kernel::kModule + 0x12), "probe+0x2 [tiny]");
  EXPECT_EQ(kernel_.describe(Kernel::kModule + 0x50), "0xffffffffc0200050");
  EXPECT_THAT(kernel_.find_symbol("probe"), SizeIs(1));
  EXPECT_THAT(kernel_.find_symbol("probe [tiny]"), SizeIs(1));
  EXPECT_THAT(kernel_.find_symbol("tiny:probe"), SizeIs(1));
  EXPECT_THAT(kernel_.find_symbol("tiny:outer"), IsEmpty());
}

TEST_P(GuestKernelTest, ForgetsAModuleThatIsGone) {
  const auto modules = *kernel_.symbols().address_of("modules");
  tiny_.memory.store(modules, modules.value);
  kernel_.refresh(tiny_.memory);
  EXPECT_THAT(kernel_.modules(), IsEmpty());
  EXPECT_FALSE(kernel_.at(Kernel::kModule + 0x12));
}

TEST_P(GuestKernelTest, EndsAListOfModulesThatLeadsIntoItself) {
  tiny_.memory.store(Kernel::kModuleStruct + 8, Kernel::kModuleStruct.value + 8);
  kernel_.refresh(tiny_.memory);
  EXPECT_LE(kernel_.modules().size(), 1024u);
}

TEST_P(GuestKernelTest, ReadsTheLogAcrossTheEndOfItsRing) {
  const auto log = kernel_.log(tiny_.memory);
  ASSERT_TRUE(log) << log.failure().message;
  // The last record has overwritten the first two.
  ASSERT_THAT(*log, SizeIs(2));
  EXPECT_EQ((*log)[1].text, "wraps around the end");
  EXPECT_EQ((*log)[1].level, 6u);
  EXPECT_EQ((*log)[1].sequence, 3u);
}

TEST_P(GuestKernelTest, ListsTasksAndWhereTheyWait) {
  const auto tasks = kernel_.tasks(tiny_.memory);
  ASSERT_TRUE(tasks) << tasks.failure().message;
  ASSERT_THAT(*tasks, SizeIs(2));
  EXPECT_TRUE((*tasks)[0].on_cpu);
  EXPECT_FALSE((*tasks)[0].saved);
  const Task& sleeper = (*tasks)[1];
  EXPECT_EQ(sleeper.name, "sleeper");
  EXPECT_EQ(sleeper.pid, 7u);
  EXPECT_EQ(sleeper.state_letter(), 'S');
  ASSERT_TRUE(sleeper.saved);
  EXPECT_THAT(pcs(unwind(*sleeper.saved)), ElementsAre(Kernel::kOuter + 8, Kernel::kBottom + 7));
}

TEST_P(GuestKernelTest, SaysThatNoTaskCanBeListedWithoutBtf) {
  tiny_.memory.store(Kernel::kBtf, std::uint16_t{0});
  const auto tasks = kernel_.tasks(tiny_.memory);
  ASSERT_FALSE(tasks);
  EXPECT_THAT(tasks.failure().message, testing::HasSubstr("a header that does not fit"));
}

TEST_P(GuestKernelTest, FindsMembersThroughOtherNamesAndUnnamedUnions) {
  const auto btf = Btf::read(tiny_.memory, kernel_.symbols());
  ASSERT_TRUE(btf) << btf.failure().message;
  EXPECT_EQ(btf->offset("task_struct", "comm"), 0x40u);
  EXPECT_EQ(btf->offset("task_struct", "thread.sp"), 0x68u);
  EXPECT_FALSE(btf->offset("task_struct", "nothing"));
  EXPECT_FALSE(btf->offset("nothing", "comm"));
}

TEST(LogRecord, GivesEachLineItsTime) {
  const LogRecord record{1, 1'234'567'890, 6, "two\nlines"};
  EXPECT_EQ(record.line(), "[    1.234567] two\n[    1.234567] lines");
}

}  // namespace
}  // namespace hindsight::debugger::symbols
