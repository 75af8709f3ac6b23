// Reset and boot state, CPUID, model-specific registers, saving and loading.
#include "engine/guest/x86/system_state.h"

#include <capnp/message.h>

#include <cstring>

#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_cpuid.h"
#include "engine/guest/x86/system_msr.h"
#include "tests/isa/system_fixture.h"

namespace hindsight::tests::isa {
namespace {

using traces::schema::CpuX86State;

class DeadlineApic final : public engine::port::LocalApicPort {
 public:
  [[nodiscard]] bool pending() const override { return false; }
  std::uint8_t acknowledge() override { return 0; }
  [[nodiscard]] std::uint64_t base_msr() const override { return base; }
  void set_base_msr(std::uint64_t value) override { base = value; }
  [[nodiscard]] std::uint64_t tsc_deadline() const override { return deadline; }
  void set_tsc_deadline(std::uint64_t tsc) override { deadline = tsc; }
  [[nodiscard]] std::uint8_t cr8() const override { return 0; }
  void set_cr8(std::uint8_t) override {}
  std::uint64_t base = 0xFEE00900, deadline = 0;
};

class StateTest : public SystemTest {
 protected:
  std::uint64_t rdmsr(std::uint32_t index, std::uint64_t icount = 0) {
    s.gpr[kRcx] = index;
    call(kRdmsr, icount);
    return s.gpr[kRdx] << 32 | s.gpr[kRax];
  }
  void wrmsr(std::uint32_t index, std::uint64_t value, std::uint64_t icount = 0) {
    s.gpr[kRcx] = index;
    s.gpr[kRax] = value & 0xFFFFFFFF;
    s.gpr[kRdx] = value >> 32;
    call(kWrmsr, icount);
  }
};

TEST_F(StateTest, ResetIsThePowerOnState) {
  reset(s);
  EXPECT_EQ(s.pc, 0xFFFFFFF0u);
  EXPECT_EQ(s.segment[kCs].selector, 0xF000);
  EXPECT_EQ(s.cr0, 0x60000010u);
  EXPECT_EQ(read_rflags(s), 2u);
  EXPECT_EQ(s.gpr[kRdx], kCpuSignature);
  EXPECT_EQ(s.dr[6], 0xFFFF0FF0u);
  EXPECT_EQ(s.dr[7], 0x400u);
  EXPECT_EQ(s.pat, 0x0007040600070406u);
  EXPECT_EQ(s.guest_mxcsr, 0x1F80u);
}

TEST_F(StateTest, LongModeBootIsFlat64BitCode) {
  apply_boot(s, {.mode = BootRegisters::Mode::long64, .rip = 0x1000200, .rsi = 0x7000, .cr3 = 0x9000});
  EXPECT_EQ(mode_of(s) >> mode::kShift & (mode::kCode64 | mode::kLong | mode::kProtected | mode::kUser),
            mode::kCode64 | mode::kLong | mode::kProtected);
  EXPECT_EQ(s.gpr[kRsi], 0x7000u);
  EXPECT_EQ(s.cr3, 0x9000u);
}

TEST_F(StateTest, ProtectedBootIsFlat32BitCodeWithFirmwareMtrrs) {
  apply_boot(s, {.rip = 0x100000, .rbx = 0x7000});
  EXPECT_EQ(mode_of(s) >> mode::kShift & (mode::kCode64 | mode::kCode32 | mode::kSegmented | mode::kStack32),
            mode::kCode32 | mode::kStack32);
  EXPECT_EQ(s.mtrr_def_type, 0xC06u);
  EXPECT_EQ(s.mtrr_base[0], 0xC0000000u);
  EXPECT_EQ(s.mtrr_mask[0], 0xFFC0000800u);
}

TEST_F(StateTest, CpuidNamesTheVendorAndTheBrand) {
  const CpuidRegisters r = cpuid_leaf({0, 0});
  char vendor[13] = {};
  std::memcpy(vendor, &r.ebx, 4);
  std::memcpy(vendor + 4, &r.edx, 4);
  std::memcpy(vendor + 8, &r.ecx, 4);
  EXPECT_STREQ(vendor, "GenuineIntel");
  const CpuidRegisters brand = cpuid_leaf({0x80000002, 0});
  EXPECT_EQ(std::memcmp(&brand, "Hindsight virtua", 16), 0);
}

TEST_F(StateTest, CpuidFeatureBitsAreExactlyTheAdvertisedOnes) {
  for (const std::uint32_t leaf : {1u, 6u, 7u, 0x80000001u, 0x80000007u}) {
    CpuidRegisters expected{};
    for (const Feature& feature : advertised_features()) {
      if (feature.leaf != leaf) continue;
      std::uint32_t* const registers[] = {&expected.eax, &expected.ebx, &expected.ecx, &expected.edx};
      *registers[static_cast<unsigned>(feature.reg)] |= 1u << feature.bit;
    }
    const CpuidRegisters r = cpuid_leaf({leaf, 0});
    if (leaf != 1) {
      EXPECT_EQ(r.eax, expected.eax) << leaf;
      EXPECT_EQ(r.ebx, expected.ebx) << leaf;
    }
    EXPECT_EQ(r.ecx, expected.ecx) << leaf;
    EXPECT_EQ(r.edx, expected.edx) << leaf;
  }
}

TEST_F(StateTest, CpuidNeverAdvertisesAvxNorHostOnlySources) {
  const CpuidRegisters one = cpuid_leaf({1, 0});
  EXPECT_EQ(one.ecx & (1u << 28 | 1u << 30 | 1u << 31 | 1u << 21 | 1u << 17),
            0u);                                                 // AVX RDRAND HV x2APIC PCID
  EXPECT_EQ(cpuid_leaf({7, 0}).ebx & (1u << 5 | 1u << 18), 0u);  // AVX2 RDSEED
  EXPECT_EQ(cpuid_leaf({7, 1}).ebx, 0u);
}

TEST_F(StateTest, CpuidGivesOneGigahertzAndClampsHighLeaves) {
  const CpuidRegisters tsc = cpuid_leaf({0x15, 0});
  EXPECT_EQ(tsc.ecx * std::uint64_t{tsc.ebx} / tsc.eax, 1'000'000'000u);
  EXPECT_EQ(cpuid_leaf({0x40000000, 0}).eax, cpuid_leaf({0x16, 0}).eax);
  EXPECT_EQ(cpuid_leaf({0x80000008, 0}).eax, 0x3028u);
}

TEST_F(StateTest, XsaveCoversX87AndSseOnlyAndOsxsaveIsMirrored) {
  const CpuidRegisters r = cpuid_leaf({0xD, 0});
  EXPECT_EQ(r.eax, 3u);
  EXPECT_EQ(r.ebx, 576u);
  EXPECT_EQ(r.ecx, 576u);
  EXPECT_EQ(cpuid_leaf({0xD, 1}).eax, 0u);
  s.gpr[kRax] = 1;
  s.cr4 |= cr4::kOsxsave;
  call(kCpuid);
  EXPECT_NE(s.gpr[kRcx] & 1u << 27, 0u);
  s.gpr[kRcx] = 0;
  call(kXsetbv, 0, 2);  // x87 state cannot be left out
  expect_fault(13, 0);
  s.trap = {};
  call(kXsetbv, 0, 3);
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(call(kXgetbv, 0), 3u);
}

TEST_F(StateTest, CpuidInstructionMirrorsTheApicEnable) {
  DeadlineApic apic;
  s.apic = &apic;
  s.gpr[kRax] = 1;
  call(kCpuid);
  EXPECT_NE(s.gpr[kRdx] & 1u << 9, 0u);
  apic.base = 0xFEE00100;
  s.gpr[kRax] = 1;
  call(kCpuid);
  EXPECT_EQ(s.gpr[kRdx] & 1u << 9, 0u);
}

TEST_F(StateTest, TscIsVirtualTimePlusAdjust) {
  s.time_warp = 1000;
  EXPECT_EQ(rdmsr(msr::kTsc, 500), 1500u);
  wrmsr(msr::kTsc, 0, 500);
  EXPECT_EQ(rdmsr(msr::kTsc, 600), 100u);
  EXPECT_EQ(rdmsr(msr::kTscAdjust), static_cast<std::uint64_t>(-1500));
  wrmsr(msr::kTscAdjust, 7);
  EXPECT_EQ(rdmsr(msr::kTsc, 0), 1007u);
}

TEST_F(StateTest, TscDeadlineReachesTheApicInVirtualTime) {
  DeadlineApic apic;
  s.apic = &apic;
  wrmsr(msr::kTscAdjust, 1000);
  s.leave = 0;
  wrmsr(msr::kTscDeadline, 5000);
  EXPECT_EQ(apic.deadline, 4000u);
  EXPECT_EQ(s.leave, 1);
  EXPECT_EQ(rdmsr(msr::kTscDeadline), 5000u);
  wrmsr(msr::kTscAdjust, 0);
  EXPECT_EQ(apic.deadline, 5000u);
  wrmsr(msr::kTscDeadline, 0);
  EXPECT_EQ(apic.deadline, 0u);
}

TEST_F(StateTest, InvalidMsrValuesFaultAndChangeNothing) {
  wrmsr(msr::kLstar, 0x0000'8000'0000'0000);
  expect_fault(13, 0);
  s.trap = {};
  wrmsr(msr::kPat, 0x0202020202020202);
  expect_fault(13, 0);
  EXPECT_EQ(s.pat, msr::kPatReset);
  s.trap = {};
  rdmsr(0xC0010015);
  expect_fault(13, 0);
}

TEST_F(StateTest, EferLmeIsLockedWhilePagingAndLmaIsReadOnly) {
  enter64(0);
  wrmsr(msr::kEfer, efer::kSce);
  expect_fault(13, 0);
  s.trap = {};
  wrmsr(msr::kEfer, efer::kLme | efer::kSce);
  EXPECT_TRUE(no_fault());
  EXPECT_EQ(s.efer, efer::kLme | efer::kLma | efer::kSce);
}

TEST_F(StateTest, GsBasesAreTheSegmentBases) {
  wrmsr(msr::kGsBase, 0xFFFF'8880'0000'0000);
  EXPECT_EQ(s.segment[kGs].base, 0xFFFF'8880'0000'0000u);
  EXPECT_EQ(rdmsr(msr::kMtrrCap), 0x508u);
}

/// Every field distinct.
void fill(CpuState& s) {
  for (unsigned i = 0; i < 16; ++i) {
    s.gpr[i] = 0x1111'0000'0000'0000 + i;
    for (unsigned j = 0; j < 16; ++j) s.xmm[i].bytes[j] = static_cast<std::uint8_t>(16 * i + j);
  }
  for (unsigned i = 0; i < 8; ++i)
    for (unsigned j = 0; j < 10; ++j) s.st[i].bytes[j] = static_cast<std::uint8_t>(100 + 10 * i + j);
  set_rflags(s, 0x246 | flag::kAc | 0x891);
  s.cr2 = 0x1234;
  s.cr3 = 0x5000;
  s.dr[0] = 0x77;
  s.ftop = 5;
  s.fsw = 0x4123;
  s.ftw = 0xA5;
  s.fop = 0x123;
  s.fip = 0x1111;
  s.fdp = 0x2222;
  s.star = 3;
  s.lstar = 4;
  s.kernel_gs_base = 5;
  s.tsc_aux = 6;
  s.tsc_offset = 7;
  s.mtrr_base[1] = 0x1006;
  s.mtrr_fixed[10] = 0x0606060606060606;
  s.halted = 1;
  s.irq_shadow = 2;
}

TEST_F(StateTest, SavedStateLoadsIntoAnEqualState) {
  enter64(3);
  fill(s);
  capnp::MallocMessageBuilder message, again;
  CpuStateful(s, "cpu0").save(message.initRoot<CpuX86State>());
  auto other = std::make_unique<CpuState>();
  memory.attach(*other);
  reset(*other);
  CpuStateful loaded(*other, "cpu0");
  loaded.load(message.getRoot<CpuX86State>().asReader());
  loaded.save(again.initRoot<CpuX86State>());
  EXPECT_STREQ(message.getRoot<CpuX86State>().toString().flatten().cStr(),
               again.getRoot<CpuX86State>().toString().flatten().cStr());
  EXPECT_EQ(message.getRoot<CpuX86State>().getFsw(), 0x4123 | 5 << 11);
  EXPECT_EQ(other->ftop, 5);
  EXPECT_EQ(std::memcmp(other->gpr, s.gpr, sizeof s.gpr), 0);
  EXPECT_EQ(std::memcmp(other->xmm, s.xmm, sizeof s.xmm), 0);
  EXPECT_EQ(read_rflags(*other), read_rflags(s));
  EXPECT_EQ(mode_of(*other), mode_of(s));
}

TEST_F(StateTest, LoadingNonsenseGivesAConsistentCpu) {
  capnp::MallocMessageBuilder message;
  auto state = message.initRoot<CpuX86State>();
  state.setCpl(0xFF);
  state.setCr0(~std::uint64_t{0} & ~cr0::kPe);
  state.setCr4(~std::uint64_t{0});
  state.setEfer(~std::uint64_t{0});
  state.setRip(0x1234'0000'0000'0000);
  state.setFsw(0xFFFF);
  state.setRflags(~std::uint64_t{0});
  state.setInterruptShadow(99);
  CpuStateful(s, "cpu0").load(state.asReader());
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.cr0 & cr0::kPg, 0u);
  EXPECT_EQ(s.cr4 & ~cr4_mask(), 0u);
  EXPECT_EQ(s.efer & efer::kLma, 0u);
  EXPECT_TRUE(is_canonical(s.pc));
  EXPECT_EQ(s.ftop, 7);
  EXPECT_EQ(s.rflags_system & flag::kVm, 0u);
  EXPECT_EQ(s.irq_shadow, 1);
}

}  // namespace
}  // namespace hindsight::tests::isa
