// What a debugger hears of a guest program: breakpoints, watched memory, page walks, exceptions, calls. On
// both engines the same, at the same positions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/bare_machine.h"
#include "tests/support/guest_program.h"

namespace hindsight::tests {
namespace {

using engine::exec::EngineKind;
using engine::port::Access;
using engine::port::AccessOrigin;
using engine::port::Interests;
using engine::port::Position;
using engine::port::StopReason;
using engine::port::WatchRange;
using support::BareMachine;
using support::GuestProgram;
using testing::ElementsAre;
namespace x86 = asmjit::x86;

constexpr std::uint64_t kHandler = BareMachine::kCode + 0x2000;
constexpr std::uint64_t kWatched = BareMachine::kData + 0x100;

class Listener final : public engine::port::Observer {
 public:
  bool stop = false;
  std::vector<Position> breakpoints;
  std::vector<Access> accesses;
  std::vector<engine::port::Delivery> deliveries;
  std::vector<engine::port::Transfer> transfers;

  bool breakpoint(Position at, GuestVirt) override { return breakpoints.push_back(at), stop; }
  bool access(const Access& access) override { return accesses.push_back(access), stop; }
  bool device(const engine::port::DeviceAccess&) override { return stop; }
  bool delivery(const engine::port::Delivery& delivery) override {
    return deliveries.push_back(delivery), stop;
  }
  bool transfer(const engine::port::Transfer& transfer) override {
    return transfers.push_back(transfer), stop;
  }
};

constexpr Position at(std::uint64_t icount, std::uint32_t delivery = 0) { return {Icount{icount}, delivery}; }

class Observed : public testing::TestWithParam<EngineKind> {
 protected:
  Observed() : machine_(GetParam()), a(program_.a) {}
  std::uint64_t here() const { return program_.here(); }
  StopReason run(const Interests& interests) {
    if (!loaded_) {
      a.hlt();
      program_.load_into(machine_);
      loaded_ = true;
    }
    machine_.machine().debug().observe(interests, &heard_);
    return machine_.run_for(1000);
  }
  Position position() { return machine_.machine().debug().position(); }

  BareMachine machine_;
  Listener heard_;

 private:
  GuestProgram program_;
  bool loaded_ = false;

 protected:
  asmjit::x86::Assembler& a;
};

TEST_P(Observed, ABreakpointInTheMiddleOfABlockStopsBeforeItsInstruction) {
  a.mov(x86::eax, 1);
  a.mov(x86::ebx, 2);
  const std::uint64_t site = here();
  a.mov(x86::ecx, 3);
  heard_.stop = true;

  EXPECT_EQ(run({.breakpoints = {GuestVirt{site}}, .ranges = {}}), StopReason::observed);

  EXPECT_EQ(position(), at(2));
  EXPECT_EQ(machine_.cpu().pc, site);
  EXPECT_EQ(machine_.cpu().gpr[3], 2U);
  EXPECT_EQ(machine_.cpu().gpr[1], 0U);
}

TEST_P(Observed, ABreakpointSetAfterItsCodeWasTranslatedIsMetAndOneTakenAwayIsNot) {
  a.mov(x86::ecx, 5);
  const auto again = a.newLabel();
  a.bind(again);
  const std::uint64_t site = here();
  a.inc(x86::eax);
  a.dec(x86::ecx);
  a.jnz(again);
  EXPECT_EQ(run({}), StopReason::idle_forever);
  machine_.cpu().pc = BareMachine::kCode;
  machine_.cpu().halted = 0;

  EXPECT_EQ(run({.breakpoints = {GuestVirt{site}}, .ranges = {}}), StopReason::idle_forever);
  const std::size_t met = heard_.breakpoints.size();
  machine_.cpu().pc = BareMachine::kCode;
  machine_.cpu().halted = 0;
  EXPECT_EQ(run({}), StopReason::idle_forever);

  EXPECT_EQ(met, 5U);
  EXPECT_EQ(heard_.breakpoints.size(), 5U);
  EXPECT_EQ(machine_.cpu().gpr[0], 15U);
}

TEST_P(Observed, AWatchedWordTellsWhoWroteWhatAndWhen) {
  a.mov(x86::eax, 0x1234);
  a.mov(x86::ptr_abs(kWatched + 8, 4), x86::eax);  // beside it, in the same page
  const std::uint64_t writer = here();
  a.mov(x86::ptr_abs(kWatched, 4), x86::eax);
  a.mov(x86::ebx, x86::ptr_abs(kWatched, 4));  // a read, not asked for

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {WatchRange{.physical = true, .first = kWatched, .size = 4}}}),
            StopReason::idle_forever);

  ASSERT_EQ(heard_.accesses.size(), 1U);
  const Access& write = heard_.accesses.front();
  EXPECT_EQ(write.at, at(2));
  EXPECT_EQ(write.pc.value, writer);
  EXPECT_EQ(write.physical.value, kWatched);
  EXPECT_EQ(write.before, 0U);
  EXPECT_EQ(write.after, 0x1234U);
  EXPECT_TRUE(write.write);
  EXPECT_EQ(write.origin, AccessOrigin::instruction);
}

TEST_P(Observed, AStopAtAWatchedWriteIsAfterTheInstruction) {
  a.mov(x86::eax, 7);
  a.mov(x86::ptr_abs(kWatched, 8), x86::rax);
  a.mov(x86::ebx, 1);
  heard_.stop = true;

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {WatchRange{.physical = false, .first = kWatched, .size = 1}}}),
            StopReason::observed);

  EXPECT_EQ(position(), at(2));
  EXPECT_EQ(machine_.cpu().gpr[3], 0U);
}

TEST_P(Observed, EachIterationOfARepThatTouchesAWatchedByteIsTold) {
  a.mov(x86::edi, kWatched - 2);
  a.mov(x86::ecx, 6);
  a.mov(x86::eax, 0xAB);
  a.rep().stosb();

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {WatchRange{.physical = true, .first = kWatched, .size = 2}}}),
            StopReason::idle_forever);

  ASSERT_EQ(heard_.accesses.size(), 2U);
  EXPECT_EQ(heard_.accesses[0].at, at(5));
  EXPECT_EQ(heard_.accesses[1].at, at(6));
}

TEST_P(Observed, TheDirtyBitThatAPageWalkSetsIsAWriteToItsEntry) {
  // The page table of the first 2 MiB follows the three tables above it; the word's own is among the next.
  const auto walk = machine_.machine().debug().walk(GuestVirt{kWatched});
  ASSERT_FALSE(walk.empty());
  const std::uint64_t entry = walk.back().address.value;
  a.mov(x86::eax, 1);
  const std::uint64_t writer = here();
  a.mov(x86::ptr_abs(kWatched, 4), x86::eax);

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {WatchRange{.physical = true, .first = entry, .size = 8}}}),
            StopReason::idle_forever);

  ASSERT_EQ(heard_.accesses.size(), 1U);
  EXPECT_EQ(heard_.accesses[0].origin, AccessOrigin::page_walk);
  EXPECT_EQ(heard_.accesses[0].at, at(1));
  EXPECT_EQ(heard_.accesses[0].pc.value, writer);
  EXPECT_EQ(heard_.accesses[0].after & 0x60, 0x60U);
}

TEST_P(Observed, ADeliveryIsAPositionOfItsOwn) {
  a.mov(x86::eax, 1);
  const std::uint64_t faulting = here();
  a.ud2();
  machine_.set_gate(6, kHandler);
  const std::uint8_t halt[] = {0xF4};
  machine_.write(kHandler, halt);
  heard_.stop = true;

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {}, .deliveries = true}), StopReason::observed);

  ASSERT_EQ(heard_.deliveries.size(), 1U);
  EXPECT_EQ(heard_.deliveries[0].at, at(1));
  EXPECT_EQ(heard_.deliveries[0].pc.value, faulting);
  EXPECT_EQ(heard_.deliveries[0].handler.value, kHandler);
  EXPECT_EQ(heard_.deliveries[0].vector, 6);
  EXPECT_FALSE(heard_.deliveries[0].interrupt);
  EXPECT_EQ(position(), at(1, 1));
  EXPECT_EQ(machine_.cpu().pc, kHandler);
}

TEST_P(Observed, CallsAndReturnsAreToldInOrder) {
  const auto function = a.newLabel(), end = a.newLabel();
  a.mov(x86::eax, 1);
  a.call(function);
  a.jmp(end);
  a.bind(function);
  a.inc(x86::eax);
  a.ret();
  a.bind(end);

  EXPECT_EQ(run({.breakpoints = {}, .ranges = {}, .transfers = true}), StopReason::idle_forever);

  ASSERT_EQ(heard_.transfers.size(), 2U);
  EXPECT_EQ(heard_.transfers[0].kind, engine::port::Transfer::Kind::call);
  EXPECT_EQ(heard_.transfers[0].at, at(1));
  EXPECT_EQ(heard_.transfers[0].stack, BareMachine::kStackTop - 8);
  EXPECT_EQ(heard_.transfers[1].kind, engine::port::Transfer::Kind::ret);
  EXPECT_EQ(heard_.transfers[1].at, at(3));
  EXPECT_EQ(heard_.transfers[1].stack, BareMachine::kStackTop);
}

TEST_P(Observed, AMachineThatWasRestoredInTheMiddleOfDeliveriesSaysSo) {
  machine_.machine().debug().restored(at(0, 2));
  EXPECT_EQ(position(), at(0, 2));
}

INSTANTIATE_TEST_SUITE_P(Engines, Observed, testing::Values(EngineKind::interpreter, EngineKind::translator),
                         [](const auto& engine) {
                           return engine.param == EngineKind::interpreter ? "Interpreter" : "Translator";
                         });

}  // namespace
}  // namespace hindsight::tests
