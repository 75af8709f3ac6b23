// Helpers behind SSE instructions that are not one vector operation. The run loop's thread. Integer
// arithmetic or IEEE operations only, so results are the same on every host.
#pragma once

#include "engine/ir/core_state.h"

namespace hindsight::engine::guest::x86::fp {

/// RCPPS and RSQRTPS on two 32-bit lanes. Intel and AMD return different approximations; here both are the
/// IEEE quotient 1/x and 1/sqrt(x) (each operation rounded to nearest), which lies within the architectural
/// error bound of 1.5 * 2^-12. Denormal operands count as zero, denormal results become zero, no exception
/// is flagged (SDM vol. 2, RCPPS).
extern const ir::HelperInfo kReciprocal;
extern const ir::HelperInfo kReciprocalRoot;

/// (address, data register | mask register << 8 | byte count << 16, AccessFlags)
extern const ir::HelperInfo kMaskedStoreXmm;
extern const ir::HelperInfo kMaskedStoreMm;

/// PCMPxSTRx (SDM vol. 2, 4.1): (imm8 | V << 8 | explicit << 16 | wide lengths << 17 | index << 18, low and
/// high half of the second operand) -> ECX | eflags << 32; writes XMM0 for the mask forms.
extern const ir::HelperInfo kStringCompare;

/// (value, next pc) -> next pc; #GP on reserved bits.
extern const ir::HelperInfo kLoadMxcsr;
extern const ir::HelperInfo kStoreMxcsr;

/// MXCSR as the guest reads it now, and set to `value` (whose reserved bits are clear), for helpers that run
/// with the guest's MXCSR live.
std::uint32_t current_mxcsr(const ir::CoreState* state);
void set_mxcsr(ir::CoreState* state, std::uint32_t value);

}  // namespace hindsight::engine::guest::x86::fp
