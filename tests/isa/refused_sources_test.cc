// Sources of chance that a guest is told are not there (replay/DETERMINISM.md): whoever tries them all the
// same meets the exception of a CPU without them.
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "tests/support/bare_machine.h"
#include "tests/support/guest_program.h"

namespace hindsight::tests {
namespace {

using engine::exec::EngineKind;
using engine::port::StopReason;
using support::BareMachine;
using support::GuestProgram;
namespace x86 = asmjit::x86;

constexpr unsigned kUndefinedOpcode = 6, kGeneralProtection = 13;
/// Where a handler leaves its vector.
constexpr std::uint64_t kSeen = BareMachine::kData;

class RefusedSources : public testing::TestWithParam<EngineKind> {
 protected:
  /// The exception that the instruction raises, if any.
  std::optional<unsigned> exception_of(const std::function<void(x86::Assembler&)>& assemble) const {
    BareMachine machine(GetParam());
    for (const unsigned vector : {kUndefinedOpcode, kGeneralProtection}) {
      GuestProgram handler(BareMachine::kCode + 0x1000 + std::uint64_t{vector} * 0x100);
      handler.a.mov(x86::dword_ptr_abs(kSeen), vector);
      handler.a.hlt();
      handler.load_into(machine);
      machine.set_gate(vector, BareMachine::kCode + 0x1000 + std::uint64_t{vector} * 0x100);
    }
    GuestProgram program;
    assemble(program.a);
    program.a.hlt();
    program.load_into(machine);
    EXPECT_EQ(machine.run_for(100), StopReason::idle_forever);
    const std::uint64_t seen = machine.read64(kSeen);
    return seen == 0 ? std::nullopt : std::optional(static_cast<unsigned>(seen));
  }
  std::optional<unsigned> exception_of_msr(std::uint32_t number) const {
    return exception_of([number](x86::Assembler& a) {
      a.mov(x86::ecx, number);
      a.rdmsr();
    });
  }
};

TEST_P(RefusedSources, RandomNumbersOfTheCpuAreUndefinedOpcodes) {
  EXPECT_EQ(exception_of([](x86::Assembler& a) { a.rdrand(x86::rax); }), kUndefinedOpcode);
  EXPECT_EQ(exception_of([](x86::Assembler& a) { a.rdseed(x86::eax); }), kUndefinedOpcode);
}

TEST_P(RefusedSources, PerformanceCountersFault) {
  EXPECT_TRUE(exception_of([](x86::Assembler& a) {
    a.xor_(x86::ecx, x86::ecx);
    a.rdpmc();
  }));
  EXPECT_EQ(exception_of_msr(0xC1), kGeneralProtection);   // IA32_PMC0
  EXPECT_EQ(exception_of_msr(0x309), kGeneralProtection);  // IA32_FIXED_CTR0
  EXPECT_EQ(exception_of_msr(0xE8), kGeneralProtection);   // IA32_APERF
}

TEST_P(RefusedSources, ParavirtualClocksFault) {
  EXPECT_EQ(exception_of_msr(0x12), kGeneralProtection);        // MSR_KVM_SYSTEM_TIME
  EXPECT_EQ(exception_of_msr(0x4B564D01), kGeneralProtection);  // MSR_KVM_SYSTEM_TIME_NEW
  EXPECT_EQ(exception_of_msr(0x40000020), kGeneralProtection);  // HV_X64_MSR_TIME_REF_COUNT
}

TEST_P(RefusedSources, AnInstructionThatIsThereFaultsNot) {
  EXPECT_EQ(exception_of([](x86::Assembler& a) { a.rdtsc(); }), std::nullopt);
  EXPECT_EQ(exception_of_msr(0x10), std::nullopt);  // IA32_TIME_STAMP_COUNTER
}

INSTANTIATE_TEST_SUITE_P(On, RefusedSources, testing::Values(EngineKind::interpreter, EngineKind::translator),
                         [](const auto& engine) {
                           return engine.param == EngineKind::interpreter ? "Interpreter" : "Translator";
                         });

}  // namespace
}  // namespace hindsight::tests
