// What CPU the guest sees: one table of features, the CPUID leaves made from it, and nothing from the host,
// so that a trace replays anywhere (SDM vol. 2, CPUID). The identity is an in-order Intel Atom (Bonnell), a
// model without speculative execution: what an operating system concludes from it (no mitigations needed) is
// true of this machine. Constants and pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "engine/ir/core_state.h"

namespace hindsight::engine::guest::x86 {

struct CpuidRegisters {
  std::uint32_t eax, ebx, ecx, edx;
};
/// What CPUID depends on besides its leaf.
struct CpuidInputs {
  std::uint32_t leaf, subleaf;
  std::uint32_t apic_id = 0;
  bool apic_enabled = true;  ///< IA32_APIC_BASE bit 11: CPUID.1:EDX.APIC mirrors it
  bool osxsave = false;      ///< CR4.OSXSAVE, mirrored in CPUID.1:ECX
};
CpuidRegisters cpuid_leaf(const CpuidInputs& inputs);

enum class CpuidRegister : std::uint8_t { eax, ebx, ecx, edx };
/// One advertised feature. Exactly these bits are set, so tests can compare with what is built.
struct Feature {
  const char* name;  ///< as the SDM abbreviates it
  std::uint32_t leaf;
  CpuidRegister reg;
  std::uint8_t bit;
};
std::span<const Feature> advertised_features();

/// CPUID.1:EAX, and EDX at reset: family 6, model 1CH, stepping 10.
constexpr std::uint32_t kCpuSignature = 0x000106CA;
/// TSC, crystal and APIC timer clock: one tick a virtual nanosecond.
constexpr std::uint64_t kTscHz = 1'000'000'000;
/// XSAVE and its kin, CR4.OSXSAVE and XCR0 exist.
constexpr bool kHasXsave = true;
/// Bits that XCR0 may have: x87 and SSE.
constexpr std::uint64_t kXcr0Mask = 3;

/// CPUID: reads EAX and ECX, writes EAX, EBX, ECX, EDX.
extern const ir::HelperInfo kCpuid;

}  // namespace hindsight::engine::guest::x86
