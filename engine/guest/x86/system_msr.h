// Model-specific registers and the time-stamp counter (SDM vol. 4, 2.1). The TSC is virtual time in
// nanoseconds plus IA32_TSC_ADJUST: deterministic, invariant. Unknown registers raise #GP(0) and are named in
// the log at debug level. The run loop's thread only.
#pragma once

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

/// False: no such register, or an invalid value (then nothing has changed). `icount` is the number of
/// instructions retired.
[[nodiscard]] bool read_msr(const CpuState& state, std::uint32_t index, std::uint64_t icount,
                            std::uint64_t& value);
[[nodiscard]] bool write_msr(CpuState& state, std::uint32_t index, std::uint64_t value, std::uint64_t icount);

/// RDMSR (icount): reads ECX, writes EDX:EAX. WRMSR (icount): reads ECX, EDX:EAX.
extern const ir::HelperInfo kRdmsr, kWrmsr;

namespace msr {
constexpr std::uint32_t kTsc = 0x10, kPlatformId = 0x17, kApicBase = 0x1B, kTscAdjust = 0x3B,
                        kBiosSignId = 0x8B, kMtrrCap = 0xFE, kDebugCtl = 0x1D9, kSysenterCs = 0x174,
                        kSysenterEsp = 0x175, kSysenterEip = 0x176, kMiscEnable = 0x1A0,
                        kMtrrPhysBase0 = 0x200, kMtrrFix64K = 0x250, kMtrrFix16K = 0x258, kMtrrFix4K = 0x268,
                        kPat = 0x277, kMtrrDefType = 0x2FF, kTscDeadline = 0x6E0, kEfer = 0xC0000080,
                        kStar = 0xC0000081, kLstar = 0xC0000082, kCstar = 0xC0000083, kFmask = 0xC0000084,
                        kFsBase = 0xC0000100, kGsBase = 0xC0000101, kKernelGsBase = 0xC0000102,
                        kTscAux = 0xC0000103;
/// Fast strings on; branch trace and precise sampling unavailable.
constexpr std::uint64_t kMiscEnableReset = 1u << 0 | 1u << 11 | 1u << 12;
constexpr std::uint64_t kPatReset = 0x0007040600070406;
constexpr std::uint64_t kEferMask = 0xD01;  // SCE, LME, LMA, NXE
constexpr std::uint64_t kMtrrDefTypeMask = 0xCFF;
/// Masks of valid bits of IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn at 40 physical address bits.
constexpr std::uint64_t kMtrrBaseMask = 0xFFFFFFF0FFu, kMtrrMaskMask = 0xFFFFFFF800u;
constexpr bool valid_mtrr_type(std::uint64_t type) { return type <= 6 && type != 2 && type != 3; }
constexpr bool valid_pat_type(std::uint64_t type) { return type <= 7 && type != 2 && type != 3; }
}  // namespace msr

}  // namespace hindsight::engine::guest::x86
