// The interrupt shadow of STI and MOV SS (SDM vol. 3, 6.8): it is part of the saved state, so a machine that
// is saved inside a shadow and loaded elsewhere takes a waiting interrupt where the first one does, an
// instruction later.
#include <gtest/gtest.h>

#include <functional>

#include "engine/guest/x86/system_exceptions.h"
#include "tests/support/bare_machine.h"
#include "tests/support/guest_program.h"

namespace hindsight::tests {
namespace {

using engine::exec::EngineKind;
using engine::port::StopReason;
using support::BareMachine;
using support::GuestProgram;
namespace x86 = asmjit::x86;
namespace guest = engine::guest::x86;

constexpr std::uint8_t kVector = 0x30;
constexpr std::uint64_t kHandler = BareMachine::kCode + 0x1000;
/// Where the handler leaves EAX and the address it was called from.
constexpr std::uint64_t kSeenRax = BareMachine::kData, kSeenRip = BareMachine::kData + 8;

/// Counts in EAX after the instruction that casts the shadow.
struct Scenario {
  GuestProgram program, handler{kHandler};
  std::uint64_t cast = 0;    ///< instructions retired when the shadow begins
  std::uint64_t shadow = 0;  ///< address of the instruction in the shadow
  std::uint64_t after = 0;   ///< address of the one after it

  void finish() {
    shadow = program.here();
    program.a.inc(x86::eax);
    after = program.here();
    for (int i = 0; i < 20; ++i) program.a.inc(x86::eax);
    program.a.hlt();
    handler.a.mov(x86::qword_ptr_abs(kSeenRax), x86::rax);
    handler.a.mov(x86::rbx, x86::qword_ptr(x86::rsp));
    handler.a.mov(x86::qword_ptr_abs(kSeenRip), x86::rbx);
    handler.a.hlt();
  }
  void load_into(BareMachine& machine) const {
    program.load_into(machine);
    handler.load_into(machine);
    machine.set_gate(kVector, kHandler);
  }
};

void start(Scenario& s) {
  s.program.a.xor_(x86::eax, x86::eax);
  s.program.a.mov(x86::ecx, BareMachine::kDataSelector);
}

void make_sti(Scenario& s) {
  start(s);
  s.program.a.sti();
  s.cast = 3;
  s.finish();
}

void make_mov_ss(Scenario& s) {
  start(s);
  s.program.a.sti();
  s.program.a.nop();
  s.program.a.mov(x86::ss, x86::cx);
  s.cast = 5;
  s.finish();
}

/// Nothing waits for more than the one instruction.
void expect_taken_after_one(BareMachine& machine, const Scenario& s) {
  ASSERT_EQ(machine.run_for(1), StopReason::reached);
  EXPECT_EQ(machine.cpu().pc, s.after);
  EXPECT_EQ(machine.cpu().gpr[guest::kRax], 1u);
  ASSERT_EQ(machine.run_for(100), StopReason::idle_forever);
  EXPECT_EQ(machine.read64(kSeenRax), 1u);
  EXPECT_EQ(machine.read64(kSeenRip), s.after);
}

class InterruptShadow : public testing::TestWithParam<EngineKind> {
 protected:
  /// The machine saved inside the shadow, and a fresh one that was loaded with it, with an interrupt waiting
  /// in both.
  void expect_equal_after_save_and_load(const Scenario& s, BareMachine& machine, unsigned kind) {
    ASSERT_EQ(machine.cpu().pc, s.shadow);
    ASSERT_EQ(machine.cpu().irq_shadow, kind);
    BareMachine fresh(GetParam());
    fresh.load_from(machine);
    machine.wire().vector = fresh.wire().vector = kVector;
    expect_taken_after_one(machine, s);
    expect_taken_after_one(fresh, s);
  }
};

TEST_P(InterruptShadow, OfStiSurvivesSaveAndLoadWhileAnInterruptWaits) {
  Scenario s;
  make_sti(s);
  BareMachine machine(GetParam());
  s.load_into(machine);
  machine.wire().vector = kVector;
  ASSERT_EQ(machine.run_for(s.cast), StopReason::reached);
  expect_equal_after_save_and_load(s, machine, guest::kShadowSti);
}

TEST_P(InterruptShadow, OfStiSurvivesSaveAndLoadWhereTheInterruptComesLater) {
  Scenario s;
  make_sti(s);
  BareMachine machine(GetParam());
  s.load_into(machine);
  ASSERT_EQ(machine.run_for(s.cast), StopReason::reached);
  expect_equal_after_save_and_load(s, machine, guest::kShadowSti);
}

TEST_P(InterruptShadow, OfMovSsSurvivesSaveAndLoad) {
  Scenario s;
  make_mov_ss(s);
  BareMachine machine(GetParam());
  s.load_into(machine);
  ASSERT_EQ(machine.run_for(s.cast), StopReason::reached);
  expect_equal_after_save_and_load(s, machine, guest::kShadowMovSs);
}

TEST_P(InterruptShadow, HoldsOffAnInterruptThatWaitedAllAlong) {
  Scenario s;
  make_sti(s);
  BareMachine machine(GetParam());
  s.load_into(machine);
  machine.wire().vector = kVector;
  ASSERT_EQ(machine.run_for(100), StopReason::idle_forever);
  EXPECT_EQ(machine.read64(kSeenRip), s.after);
}

// The one way an interrupt can arise where none waited at the STI: the run loop stops there for a timer.
TEST_P(InterruptShadow, HoldsOffATimerThatFallsDueRightAfterSti) {
  Scenario s;
  make_sti(s);
  BareMachine machine(GetParam());
  s.load_into(machine);
  auto& timers = machine.machine().timers();
  const auto timer = timers.create("test", [&] { machine.wire().vector = kVector; });
  timers.arm(timer, VirtualTime{s.cast});  // an instruction is a nanosecond
  ASSERT_EQ(machine.run_for(100), StopReason::idle_forever);
  EXPECT_EQ(machine.read64(kSeenRip), s.after);
}

TEST_P(InterruptShadow, IsNotCastByAnStiThatChangesNothing) {
  Scenario s;
  start(s);
  s.program.a.sti();
  s.program.a.nop();
  s.program.a.sti();
  s.cast = 5;
  s.finish();
  BareMachine machine(GetParam());
  s.load_into(machine);
  ASSERT_EQ(machine.run_for(s.cast), StopReason::reached);
  machine.wire().vector = kVector;
  ASSERT_EQ(machine.run_for(100), StopReason::idle_forever);
  EXPECT_EQ(machine.read64(kSeenRip), s.shadow);
}

INSTANTIATE_TEST_SUITE_P(On, InterruptShadow,
                         testing::Values(EngineKind::interpreter, EngineKind::translator),
                         [](const auto& engine) {
                           return engine.param == EngineKind::interpreter ? "Interpreter" : "Translator";
                         });

}  // namespace
}  // namespace hindsight::tests
