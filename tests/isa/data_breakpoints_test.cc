// A guest's own breakpoints as its kernel sees them (SDM vol. 3, 17.2): it arms DR0 to DR3, touches memory
// and ports, and its handler of #DB notes DR6 and where it was called from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/bare_machine.h"
#include "tests/support/guest_program.h"

namespace hindsight::tests {

using engine::exec::EngineKind;
using engine::port::StopReason;
using support::BareMachine;
using support::GuestProgram;
using testing::ElementsAre;
using testing::IsEmpty;
namespace x86 = asmjit::x86;

/// What the handler notes each time.
struct Hit {
  std::uint64_t dr6, rip, rcx;
  bool operator==(const Hit&) const = default;
};
void PrintTo(const Hit& hit, std::ostream* out) {
  *out << std::hex << "DR6 " << hit.dr6 << " RIP " << hit.rip << " RCX " << hit.rcx;
}

namespace {

constexpr std::uint64_t kDebugHandler = BareMachine::kCode + 0x1000;
constexpr std::uint64_t kFaultHandler = BareMachine::kCode + 0x2000;
constexpr std::uint64_t kWatched = BareMachine::kData;
constexpr std::uint64_t kHitCount = BareMachine::kData + 0x10000, kHits = kHitCount + 0x1000;
constexpr std::uint64_t kDr6Clear = 0xFFFF0FF0, kSingleStep = 1u << 14;
constexpr std::uint32_t kResume = 1u << 16;
constexpr unsigned kWrites = 1, kPorts = 2, kReadsAndWrites = 3, kInstructions = 0;
constexpr unsigned kPort = 0x280;  // nothing is there

x86::Mem at(std::uint64_t address, unsigned size) { return x86::ptr_abs(address, size); }

class DataBreakpoints : public testing::TestWithParam<EngineKind> {
 protected:
  DataBreakpoints() : machine_(GetParam()), a(program_.a) {
    assemble_handlers();
    a.mov(x86::ecx, 0);
    a.mov(x86::eax, 0x11223344);
  }

  /// Arms DR`number`. `enable`: bit 0 locally, bit 1 globally.
  void arm(unsigned number, std::uint64_t address, unsigned kind, unsigned length, unsigned enable = 2) {
    const unsigned coded = length == 8 ? 2 : length - 1;
    dr7_ |= std::uint64_t{enable} << (2 * number) | std::uint64_t{kind | coded << 2} << (16 + 4 * number);
    a.mov(x86::rbx, address);
    a.mov(x86::dr(number), x86::rbx);
    a.mov(x86::rbx, dr7_);
    a.mov(x86::dr7, x86::rbx);
  }
  /// Lets breakpoints cover ports.
  void set_debugging_extensions() {
    a.mov(x86::rbx, x86::cr4);
    a.or_(x86::ebx, 8);
    a.mov(x86::cr4, x86::rbx);
  }
  void rep_insb() {
    a.db(0xF3);
    a.db(0x6C);
  }
  /// The address of what follows: where a hit of what was assembled last is reported.
  std::uint64_t here() const { return program_.here(); }
  /// Runs the program to its end and tells the hits.
  std::vector<Hit> run() {
    a.hlt();
    program_.load_into(machine_);
    EXPECT_EQ(machine_.run_for(10'000), StopReason::idle_forever);
    std::vector<Hit> hits;
    for (std::uint64_t i = 0; i < machine_.read64(kHitCount); ++i) {
      const std::uint64_t entry = kHits + i * 32;
      hits.push_back({machine_.read64(entry), machine_.read64(entry + 8), machine_.read64(entry + 16)});
    }
    return hits;
  }
  static Hit hit(std::uint64_t bits, std::uint64_t rip, std::uint64_t rcx = 0) {
    return {kDr6Clear | bits, rip, rcx};
  }

  BareMachine machine_;

 private:
  /// #DB: notes the hit, clears DR6 and the TF it returns to, and sets RF there as an instruction breakpoint
  /// demands of its handler. #PF: stops.
  void assemble_handlers() {
    GuestProgram debug(kDebugHandler), fault(kFaultHandler);
    auto& d = debug.a;
    d.push(x86::rax);
    d.push(x86::rbx);
    d.mov(x86::rbx, at(kHitCount, 8));
    d.shl(x86::rbx, 5);
    d.mov(x86::rax, x86::dr6);
    d.mov(x86::ptr(x86::rbx, kHits), x86::rax);
    d.mov(x86::rax, x86::ptr(x86::rsp, 16));
    d.mov(x86::ptr(x86::rbx, kHits + 8), x86::rax);
    d.mov(x86::ptr(x86::rbx, kHits + 16), x86::rcx);
    d.mov(x86::rax, x86::ptr(x86::rsp, 32));
    d.mov(x86::ptr(x86::rbx, kHits + 24), x86::rax);
    d.inc(at(kHitCount, 8));
    d.mov(x86::rax, kDr6Clear);
    d.mov(x86::dr6, x86::rax);
    d.and_(x86::dword_ptr(x86::rsp, 32), ~0x100);
    d.or_(x86::dword_ptr(x86::rsp, 32), kResume);
    d.pop(x86::rbx);
    d.pop(x86::rax);
    d.iretq();
    fault.a.hlt();
    debug.load_into(machine_);
    fault.load_into(machine_);
    machine_.set_gate(1, kDebugHandler);
    machine_.set_gate(14, kFaultHandler);
  }

  GuestProgram program_;
  std::uint64_t dr7_ = 0x400;

 protected:
  x86::Assembler& a;
};

TEST_P(DataBreakpoints, AStoreIsReportedAfterItIsDone) {
  arm(0, kWatched, kWrites, 4);
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(1, after)));
  EXPECT_EQ(machine_.read64(kWatched), 0x11223344u);
}

TEST_P(DataBreakpoints, ABreakpointOnWritesIgnoresLoads) {
  arm(0, kWatched, kWrites, 4);
  a.mov(x86::edx, at(kWatched, 4));
  a.cmp(at(kWatched, 4), 0);
  EXPECT_THAT(run(), IsEmpty());
}

TEST_P(DataBreakpoints, OneOnReadsAndWritesReportsBoth) {
  arm(1, kWatched, kReadsAndWrites, 4);
  a.mov(x86::edx, at(kWatched, 4));
  const std::uint64_t after_load = here();
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after_store = here();
  EXPECT_THAT(run(), ElementsAre(hit(2, after_load), hit(2, after_store)));
}

TEST_P(DataBreakpoints, ReadModifyWriteIsOneHit) {
  arm(2, kWatched, kReadsAndWrites, 8);
  a.lock().xadd(at(kWatched, 8), x86::rax);
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(4, after)));
}

TEST_P(DataBreakpoints, OnlyAccessesThatTouchTheWatchedBytesCount) {
  arm(3, kWatched + 2, kWrites, 2);
  a.mov(at(kWatched + 1, 1), x86::al);
  a.mov(at(kWatched + 4, 1), x86::al);
  a.mov(at(kWatched - 6, 8), x86::rax);
  a.mov(at(kWatched + 2, 1), x86::al);
  const std::uint64_t first_byte = here();
  a.mov(at(kWatched + 3, 1), x86::al);
  const std::uint64_t last_byte = here();
  a.mov(at(kWatched - 5, 8), x86::rax);
  const std::uint64_t reaching_in = here();
  a.movups(at(kWatched - 8, 16), x86::xmm0);
  const std::uint64_t wide = here();
  EXPECT_THAT(run(), ElementsAre(hit(8, first_byte), hit(8, last_byte), hit(8, reaching_in), hit(8, wide)));
}

TEST_P(DataBreakpoints, OneStoreThatHitsTwoNamesBoth) {
  arm(0, kWatched, kWrites, 4);
  arm(1, kWatched + 0x100, kWrites, 4);
  arm(3, kWatched + 4, kReadsAndWrites, 1);
  a.mov(at(kWatched, 8), x86::rax);
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(9, after)));
}

TEST_P(DataBreakpoints, LocallyEnabledCountsAsWellAndDisabledDoesNot) {
  arm(0, kWatched, kWrites, 4, 1);
  arm(1, kWatched, kWrites, 4, 0);
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(1, after)));
}

TEST_P(DataBreakpoints, ARepeatedStringStopsAfterTheIterationThatHitsAndGoesOn) {
  arm(0, kWatched + 5, kWrites, 1);
  a.mov(x86::rdi, kWatched);
  a.mov(x86::ecx, 8);
  const std::uint64_t string = here();
  a.rep().stosb();
  a.mov(at(kWatched + 8, 8), x86::rcx);
  EXPECT_THAT(run(), ElementsAre(hit(1, string, 2)));
  EXPECT_EQ(machine_.read64(kWatched), 0x4444444444444444u);
  EXPECT_EQ(machine_.read64(kWatched + 8), 0u);
  EXPECT_TRUE(machine_.read64(kHits + 24) &
              kResume);  // in the middle of an instruction: SDM vol. 3, 17.3.1.1
}

TEST_P(DataBreakpoints, AnInstructionBreakpointOnARepeatedStringIsReportedOnce) {
  constexpr std::uint64_t kString = BareMachine::kCode + 0x100;
  a.mov(x86::rdi, kWatched);
  arm(0, kString, kInstructions, 1);
  a.mov(x86::ecx, 8);
  while (here() < kString) a.nop();
  a.rep().stosb();
  EXPECT_THAT(run(), ElementsAre(hit(1, kString, 8)));
  EXPECT_EQ(machine_.read64(kWatched), 0x4444444444444444u);
}

TEST_P(DataBreakpoints, PushAndCallHitAWatchedStackSlot) {
  arm(0, BareMachine::kStackTop - 8, kWrites, 8);
  const asmjit::Label function = a.newLabel();
  a.push(x86::rax);
  const std::uint64_t after_push = here();
  a.pop(x86::rdx);
  a.call(function);
  a.bind(function);
  const std::uint64_t target = here();
  EXPECT_THAT(run(), ElementsAre(hit(1, after_push), hit(1, target)));
}

TEST_P(DataBreakpoints, AnInstructionThatFaultsReportsNothing) {
  arm(0, kWatched, kReadsAndWrites, 1);
  a.mov(x86::rsi, kWatched);
  a.mov(x86::rdi, BareMachine::kRam);  // not mapped
  a.movsb();
  EXPECT_THAT(run(), IsEmpty());
  EXPECT_EQ(machine_.cpu().cr2, BareMachine::kRam);
}

TEST_P(DataBreakpoints, ASingleStepAndAHitComeAsOneException) {
  arm(0, kWatched, kWrites, 4);
  a.pushfq();
  a.or_(x86::dword_ptr(x86::rsp), 0x100);
  a.popfq();
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(kSingleStep | 1, after)));
}

TEST_P(DataBreakpoints, DisarmedOnesReportNothingAnyMore) {
  arm(0, kWatched, kWrites, 4);
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after = here();
  a.mov(x86::ebx, 0x400);
  a.mov(x86::dr7, x86::rbx);
  for (int i = 0; i < 10; ++i) a.mov(at(kWatched, 4), x86::eax);
  EXPECT_THAT(run(), ElementsAre(hit(1, after)));
}

// Armed after the code that stores has been translated and its page is in the TLB.
TEST_P(DataBreakpoints, ArmingReachesCodeThatAlreadyRan) {
  const asmjit::Label again = a.newLabel(), end = a.newLabel();
  a.xor_(x86::edx, x86::edx);
  a.bind(again);
  a.mov(at(kWatched, 4), x86::eax);
  const std::uint64_t after = here();
  a.inc(x86::edx);
  a.cmp(x86::edx, 100);
  a.jb(again);
  a.cmp(x86::edx, 101);
  a.jae(end);
  arm(0, kWatched, kWrites, 4);
  a.jmp(again);
  a.bind(end);
  EXPECT_THAT(run(), ElementsAre(hit(1, after)));
}

TEST_P(DataBreakpoints, AnInstructionBreakpointIsReportedBeforeAndOnce) {
  constexpr std::uint64_t kStore = BareMachine::kCode + 0x100;
  arm(0, kStore, kInstructions, 1);
  while (here() < kStore) a.nop();
  a.mov(at(kWatched, 4), x86::eax);
  EXPECT_THAT(run(), ElementsAre(hit(1, kStore)));
  EXPECT_EQ(machine_.read64(kWatched), 0x11223344u);
}

TEST_P(DataBreakpoints, AnInstructionBreakpointWhereAHandlerBeginsIsReportedThere) {
  constexpr std::uint64_t kHandler = BareMachine::kCode + 0x3000;
  GuestProgram handler(kHandler);
  handler.a.inc(at(kWatched, 4));
  handler.a.iretq();
  handler.load_into(machine_);
  machine_.set_gate(0x40, kHandler);
  arm(0, kHandler, kInstructions, 1);
  a.int_(0x40);
  EXPECT_THAT(run(), ElementsAre(hit(1, kHandler)));
  EXPECT_EQ(machine_.read64(kWatched), 1u);
}

TEST_P(DataBreakpoints, AnInterruptsHandlerCanHoldAnInstructionBreakpointAsWell) {
  constexpr std::uint64_t kHandler = BareMachine::kCode + 0x3000;
  GuestProgram handler(kHandler);
  handler.a.inc(at(kWatched, 4));
  handler.a.iretq();
  handler.load_into(machine_);
  machine_.set_gate(0x30, kHandler);
  machine_.wire().vector = 0x30;
  arm(0, kHandler, kInstructions, 1);
  a.sti();
  a.nop();
  a.cli();
  EXPECT_THAT(run(), ElementsAre(hit(1, kHandler)));
  EXPECT_EQ(machine_.read64(kWatched), 1u);
}

TEST_P(DataBreakpoints, OneOnPortsReportsInAndOutThere) {
  set_debugging_extensions();
  arm(0, kPort + 2, kPorts, 2);
  a.mov(x86::edx, kPort + 3);
  a.in(x86::al, x86::dx);
  const std::uint64_t after_in = here();
  a.mov(x86::edx, kPort);
  a.out(x86::dx, x86::eax);  // four ports, of which two are covered
  const std::uint64_t after_out = here();
  a.out(x86::dx, x86::ax);  // none
  a.mov(at(kPort + 2, 1), x86::al);
  EXPECT_THAT(run(), ElementsAre(hit(1, after_in), hit(1, after_out)));
}

TEST_P(DataBreakpoints, OneOnPortsMeansNothingWithoutDebuggingExtensions) {
  arm(0, kPort, kPorts, 1);
  a.mov(x86::edx, kPort);
  a.in(x86::al, x86::dx);
  EXPECT_THAT(run(), IsEmpty());
}

TEST_P(DataBreakpoints, RepeatedInputFromAPortIsReportedAfterEachIteration) {
  set_debugging_extensions();
  arm(0, kPort, kPorts, 1);
  a.mov(x86::edx, kPort);
  a.mov(x86::rdi, kWatched);
  a.mov(x86::ecx, 2);
  const std::uint64_t string = here();
  rep_insb();
  const std::uint64_t after = here();
  EXPECT_THAT(run(), ElementsAre(hit(1, string, 1), hit(1, after, 0)));
}

TEST_P(DataBreakpoints, AnInstructionBreakpointOnRepeatedInputIsReportedOnce) {
  constexpr std::uint64_t kString = BareMachine::kCode + 0x100;
  a.mov(x86::edx, kPort);
  a.mov(x86::rdi, kWatched);
  arm(0, kString, kInstructions, 1);
  a.mov(x86::ecx, 3);
  while (here() < kString) a.nop();
  rep_insb();
  EXPECT_THAT(run(), ElementsAre(hit(1, kString, 3)));
}

INSTANTIATE_TEST_SUITE_P(On, DataBreakpoints,
                         testing::Values(EngineKind::interpreter, EngineKind::translator),
                         [](const auto& engine) {
                           return engine.param == EngineKind::interpreter ? "Interpreter" : "Translator";
                         });

}  // namespace
}  // namespace hindsight::tests
