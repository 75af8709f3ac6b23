#include "engine/guest/x86/system_msr.h"

#include "engine/base/log.h"
#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

constexpr unsigned kVariableMtrrs = 8;
constexpr std::uint64_t kMtrrCapValue = kVariableMtrrs | 1u << 8 | 1u << 10;  // fixed ranges, write combining

std::uint64_t tsc_at(const CpuState& state, std::uint64_t icount) {
  return ir::virtual_time(state, icount) + state.tsc_offset;
}

/// The storage behind a register that is plain 64-bit storage; nullptr if it is none.
std::uint64_t* storage(CpuState& state, std::uint32_t index) {
  switch (index) {
    case msr::kSysenterCs:
      return &state.sysenter_cs;
    case msr::kSysenterEsp:
      return &state.sysenter_esp;
    case msr::kSysenterEip:
      return &state.sysenter_eip;
    case msr::kStar:
      return &state.star;
    case msr::kLstar:
      return &state.lstar;
    case msr::kCstar:
      return &state.cstar;
    case msr::kFmask:
      return &state.sfmask;
    case msr::kFsBase:
      return &state.segment[kFs].base;
    case msr::kGsBase:
      return &state.segment[kGs].base;
    case msr::kKernelGsBase:
      return &state.kernel_gs_base;
    case msr::kTscAux:
      return &state.tsc_aux;
    case msr::kPat:
      return &state.pat;
    case msr::kMiscEnable:
      return &state.misc_enable;
    case msr::kMtrrDefType:
      return &state.mtrr_def_type;
    case msr::kMtrrFix64K:
      return &state.mtrr_fixed[0];
    default:
      break;
  }
  if (index >= msr::kMtrrFix16K && index < msr::kMtrrFix16K + 2)
    return &state.mtrr_fixed[1 + index - msr::kMtrrFix16K];
  if (index >= msr::kMtrrFix4K && index < msr::kMtrrFix4K + 8)
    return &state.mtrr_fixed[3 + index - msr::kMtrrFix4K];
  if (index >= msr::kMtrrPhysBase0 && index < msr::kMtrrPhysBase0 + 2 * kVariableMtrrs) {
    const std::uint32_t pair = (index - msr::kMtrrPhysBase0) / 2;
    return (index & 1) == 0 ? &state.mtrr_base[pair] : &state.mtrr_mask[pair];
  }
  return nullptr;
}

template <bool (*valid)(std::uint64_t)>
bool all_bytes(std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i)
    if (!valid(value >> (8 * i) & 0xFF)) return false;
  return true;
}

/// Whether plain storage takes the value.
bool valid_value(std::uint32_t index, std::uint64_t value) {
  switch (index) {
    case msr::kSysenterEsp:
    case msr::kSysenterEip:
    case msr::kLstar:
    case msr::kCstar:
    case msr::kFsBase:
    case msr::kGsBase:
    case msr::kKernelGsBase:
      return is_canonical(value);
    case msr::kFmask:
    case msr::kTscAux:
      return value >> 32 == 0;
    case msr::kPat:
      return all_bytes<msr::valid_pat_type>(value);
    case msr::kMtrrDefType:
      return (value & ~msr::kMtrrDefTypeMask) == 0 && msr::valid_mtrr_type(value & 0xFF);
    default:
      break;
  }
  if (index >= msr::kMtrrFix64K && index < msr::kMtrrFix4K + 8) return all_bytes<msr::valid_mtrr_type>(value);
  if (index >= msr::kMtrrPhysBase0 && index < msr::kMtrrPhysBase0 + 2 * kVariableMtrrs)
    return (index & 1) != 0 ? (value & ~msr::kMtrrMaskMask) == 0
                            : (value & ~msr::kMtrrBaseMask) == 0 && msr::valid_mtrr_type(value & 0xFF);
  return true;
}

bool write_efer(CpuState& state, std::uint64_t value) {
  if ((value & ~msr::kEferMask) != 0) return false;
  const bool paging = (state.cr0 & cr0::kPg) != 0;
  if (paging && ((value ^ state.efer) & efer::kLme) != 0) return false;
  state.efer = (value & ~efer::kLma) | (state.efer & efer::kLma);
  state.memory->context_changed(&state);
  return true;
}

/// The APIC counts virtual nanoseconds; the guest's counter is ahead of them by tsc_offset. Zero disarms.
std::uint64_t deadline_for_apic(const CpuState& state, std::uint64_t tsc) {
  if (tsc == 0) return 0;
  // A deadline at or before the counter's zero is in the past: any instant that has been is as good.
  return tsc <= state.tsc_offset && state.tsc_offset >> 63 == 0 ? 1 : tsc - state.tsc_offset;
}

void set_tsc_offset(CpuState& state, std::uint64_t offset) {
  const std::uint64_t armed = state.apic != nullptr ? state.apic->tsc_deadline() : 0;
  const std::uint64_t tsc = armed + state.tsc_offset;
  state.tsc_offset = offset;
  if (armed != 0) state.apic->set_tsc_deadline(deadline_for_apic(state, tsc));
  state.leave = 1;
}

void note_unknown(const char* what, std::uint32_t index) {
  log::debug("cpu", "{} of unknown MSR {:#x}: #GP", what, index);
}

std::uint64_t rdmsr(ir::CoreState* core, std::uint64_t icount, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto index = static_cast<std::uint32_t>(state.gpr[kRcx]);
  std::uint64_t value = 0;
  if (!read_msr(state, index, icount, value)) {
    note_unknown("RDMSR", index);
    return fail(state, exception::kGp, 0);
  }
  state.gpr[kRax] = static_cast<std::uint32_t>(value);
  state.gpr[kRdx] = value >> 32;
  return 0;
}

std::uint64_t wrmsr(ir::CoreState* core, std::uint64_t icount, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto index = static_cast<std::uint32_t>(state.gpr[kRcx]);
  const std::uint64_t value = state.gpr[kRdx] << 32 | (state.gpr[kRax] & 0xFFFFFFFFu);
  if (!write_msr(state, index, value, icount)) {
    note_unknown("WRMSR", index);
    return fail(state, exception::kGp, 0);
  }
  return 0;
}

}  // namespace

bool read_msr(const CpuState& state, std::uint32_t index, std::uint64_t icount, std::uint64_t& value) {
  switch (index) {
    case msr::kTsc:
      value = tsc_at(state, icount);
      return true;
    case msr::kTscAdjust:
      value = state.tsc_offset;
      return true;
    case msr::kPlatformId:
    case msr::kDebugCtl:
    case msr::kBiosSignId:
      value = 0;
      return true;
    case msr::kMtrrCap:
      value = kMtrrCapValue;
      return true;
    case msr::kEfer:
      value = state.efer;
      return true;
    case msr::kApicBase:
      value = state.apic != nullptr ? state.apic->base_msr() : 0;
      return state.apic != nullptr;
    case msr::kTscDeadline: {
      if (state.apic == nullptr) return false;
      const std::uint64_t armed = state.apic->tsc_deadline();
      value = armed == 0 ? 0 : armed + state.tsc_offset;
      return true;
    }
    default:
      break;
  }
  const std::uint64_t* slot = storage(const_cast<CpuState&>(state), index);
  if (slot == nullptr) return false;
  value = *slot;
  return true;
}

bool write_msr(CpuState& state, std::uint32_t index, std::uint64_t value, std::uint64_t icount) {
  switch (index) {
    case msr::kTsc:
      set_tsc_offset(state, value - ir::virtual_time(state, icount));
      return true;
    case msr::kTscAdjust:
      set_tsc_offset(state, value);
      return true;
    case msr::kBiosSignId:
      return true;  // written before CPUID asks for the microcode's revision: there is none
    case msr::kDebugCtl:
      return value == 0;  // no branch trace, no branch stepping
    case msr::kEfer:
      return write_efer(state, value);
    case msr::kApicBase:
      if (state.apic == nullptr) return false;
      // x2APIC is not advertised, so EXTD is reserved like the bits above the address.
      if ((value & ~(kPhysicalMask & ~std::uint64_t{0x6FF})) != 0) return false;
      state.apic->set_base_msr(value);
      state.leave = 1;
      return true;
    case msr::kTscDeadline:
      if (state.apic == nullptr) return false;
      state.apic->set_tsc_deadline(deadline_for_apic(state, value));
      state.leave = 1;  // the next deadline may have come nearer
      return true;
    case msr::kMiscEnable:
      // The sampling bits are read-only; the others that exist are stored.
      state.misc_enable = (value & ~std::uint64_t{0x1800}) | (msr::kMiscEnableReset & 0x1800);
      return true;
    default:
      break;
  }
  std::uint64_t* slot = storage(state, index);
  if (slot == nullptr || !valid_value(index, value)) return false;
  *slot = value;
  return true;
}

const ir::HelperInfo kRdmsr{"rdmsr", rdmsr, ir::kReadsRegisters | ir::kWritesRegisters | ir::kMayTrap};
const ir::HelperInfo kWrmsr{"wrmsr", wrmsr, ir::kReadsRegisters | ir::kMayTrap};

}  // namespace hindsight::engine::guest::x86
