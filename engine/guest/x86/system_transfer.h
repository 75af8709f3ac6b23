// Transfers of control between segments and privilege levels: software interrupts, IRET, SYSCALL, SYSENTER,
// far JMP, CALL and RET. Helpers of translated code: each does the whole instruction and returns the linear
// address to go on at, or sets CpuState::trap and has changed nothing that its restart would see.
// The run loop's thread only; deterministic. Not built: hardware task switches (#GP and a warning).
#pragma once

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

/// INT n, INT3, INTO (vector, address of the next instruction).
extern const ir::HelperInfo kSoftwareInterrupt;
/// INT1 (vector, address of the next instruction).
extern const ir::HelperInfo kDebugInterrupt;
/// IRET (operand size in bytes).
extern const ir::HelperInfo kIret;
/// SYSCALL (address of the next instruction).
extern const ir::HelperInfo kSyscall;
/// SYSRET, SYSEXIT (operand size in bytes).
extern const ir::HelperInfo kSysret;
extern const ir::HelperInfo kSysenter;
extern const ir::HelperInfo kSysexit;
/// Far JMP (selector, offset).
extern const ir::HelperInfo kFarJump;
/// Far CALL (selector | operand size << 16, offset, address of the next instruction).
extern const ir::HelperInfo kFarCall;
/// Far RET (operand size, bytes of parameters to drop).
extern const ir::HelperInfo kFarReturn;
/// POPF (value, operand size): the stack pointer is the caller's business. Never traps.
extern const ir::HelperInfo kPopFlags;

/// RFLAGS as IRET or POPF of `size` bytes may change it at this privilege (SDM vol. 2, POPF).
std::uint64_t merge_flags(const CpuState& state, std::uint64_t old_flags, std::uint64_t value, unsigned size);

/// After IF, TF or the task priority may have changed: asks for the run loop if something is now due.
void notice_interrupts(CpuState& state, std::uint64_t old_flags);

}  // namespace hindsight::engine::guest::x86
