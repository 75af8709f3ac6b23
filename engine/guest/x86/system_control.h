// Control and debug registers, the mode tag, segment-register instructions and descriptor-table registers, as
// helpers of translated code (each traps or completes; arguments in brackets). The run loop's thread only;
// deterministic.
#pragma once

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

/// See ir::Guest::mode: the bits of x86::mode, shifted by mode::kShift.
std::uint64_t mode_of(const CpuState& state);

/// Bits of CR4 that this CPU has.
std::uint64_t cr4_mask();

/// Privilege is checked by the lifter, validity here.
extern const ir::HelperInfo kReadCr8;
/// (value): MOV to CR0, CR3, CR4, CR8; LMSW takes the low 16 bits.
extern const ir::HelperInfo kWriteCr0, kWriteCr3, kWriteCr4, kWriteCr8, kLmsw;
/// CLTS.
extern const ir::HelperInfo kClts;
/// (number), (number, value): MOV from and to DR.
extern const ir::HelperInfo kReadDr, kWriteDr;
/// STI: asks for the run loop only if IF was clear.
extern const ir::HelperInfo kSti;
/// (0 or 1): CLAC, STAC.
extern const ir::HelperInfo kSetAc;
/// (segment, selector): MOV and POP to a segment register; sets the interrupt shadow for SS.
extern const ir::HelperInfo kLoadSegment;
/// (segment, selector): the same for LSS, LDS and their kin: no shadow.
extern const ir::HelperInfo kLoadFarPointer;
/// (selector)
extern const ir::HelperInfo kLldt, kLtr;
/// (0 GDTR or 1 IDTR, base, limit)
extern const ir::HelperInfo kLoadTable;
/// (selector): the result and kSelectorValid, or 0 where ZF becomes 0.
extern const ir::HelperInfo kLar, kLsl;
/// (selector): kSelectorValid or 0.
extern const ir::HelperInfo kVerr, kVerw;
constexpr std::uint64_t kSelectorValid = std::uint64_t{1} << 63;
/// (index), (value): XGETBV, XSETBV.
extern const ir::HelperInfo kXgetbv, kXsetbv;

}  // namespace hindsight::engine::guest::x86
