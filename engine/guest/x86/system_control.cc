#include "engine/guest/x86/system_control.h"

#include "engine/guest/x86/system_cpuid.h"
#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_segments.h"
#include "engine/guest/x86/system_transfer.h"

namespace hindsight::engine::guest::x86 {
namespace {

constexpr std::uint32_t kRunLoopState = ir::kMayTrap;

bool flat(const Segment& segment) {
  using namespace attribute;
  constexpr std::uint16_t kLooked = kWritable | kExpandDown | kCode | kS | kP;
  return segment.base == 0 && segment.limit == 0xFFFFFFFFu &&
         (segment.attributes & kLooked) == (kWritable | kS | kP);
}

std::uint64_t write_cr0(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  value |= cr0::kEt;
  const bool pg = (value & cr0::kPg) != 0;
  if (value >> 32 != 0) return fail(state, exception::kGp, 0);
  value &= cr0::kAll;
  if (pg && (value & cr0::kPe) == 0) return fail(state, exception::kGp, 0);
  if ((value & cr0::kNw) != 0 && (value & cr0::kCd) == 0) return fail(state, exception::kGp, 0);
  const bool was_pg = (state.cr0 & cr0::kPg) != 0;
  if (pg && !was_pg && (state.efer & efer::kLme) != 0) {
    const bool code64 = (state.segment[kCs].attributes & attribute::kL) != 0;
    if ((state.cr4 & cr4::kPae) == 0 || code64) return fail(state, exception::kGp, 0);
    state.efer |= efer::kLma;
  } else if (!pg && was_pg && in_long_mode(state)) {
    if (in_code64(state)) return fail(state, exception::kGp, 0);
    state.efer &= ~efer::kLma;
  }
  // Entering protected mode leaves the segments as they are; leaving it forces CPL 0.
  if ((value & cr0::kPe) == 0) state.cpl = 0;
  state.cr0 = value;
  state.memory->context_changed(core);
  return 0;
}

std::uint64_t lmsw(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  const CpuState& state = cpu(core);
  constexpr std::uint64_t kLow = cr0::kPe | cr0::kMp | cr0::kEm | cr0::kTs;
  // LMSW sets PE but cannot clear it (SDM vol. 2, LMSW).
  return write_cr0(core, (state.cr0 & ~kLow) | (value & kLow) | (state.cr0 & cr0::kPe), 0, 0);
}

std::uint64_t write_cr3(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if (in_long_mode(state)) {
    if ((value & ~kPhysicalMask) != 0) return fail(state, exception::kGp, 0);
  } else {
    value &= 0xFFFFFFFFu;
  }
  state.cr3 = value;
  state.memory->context_changed(core);
  return 0;
}

std::uint64_t write_cr4(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((value & ~cr4_mask()) != 0) return fail(state, exception::kGp, 0);
  if (in_long_mode(state) && (value & cr4::kPae) == 0) return fail(state, exception::kGp, 0);
  state.cr4 = value;
  state.memory->context_changed(core);
  return 0;
}

std::uint64_t read_cr8(ir::CoreState* core, std::uint64_t, std::uint64_t, std::uint64_t) {
  const CpuState& state = cpu(core);
  return state.apic != nullptr ? state.apic->cr8() : 0;
}

std::uint64_t write_cr8(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if (value > 15) return fail(state, exception::kGp, 0);
  if (state.apic == nullptr) return 0;
  state.apic->set_cr8(static_cast<std::uint8_t>(value));
  if (state.apic->pending()) state.leave = 1;
  return 0;
}

std::uint64_t clts(ir::CoreState* core, std::uint64_t, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.cr0 & cr0::kTs) == 0) return 0;
  state.cr0 &= ~cr0::kTs;
  state.memory->context_changed(core);
  return 0;
}

// ---------------------------------------------------------------- debug registers

/// DR4 and DR5 stand for DR6 and DR7 unless CR4.DE (SDM vol. 3, 17.2.2). False: trap set.
bool settle_debug_register(CpuState& state, std::uint64_t& number) {
  if (number == 4 || number == 5) {
    if ((state.cr4 & cr4::kDe) != 0) {
      ir::raise(&state, exception::kUd);
      return false;
    }
    number += 2;
  }
  if ((state.dr[7] & debug::kGd) != 0) {
    state.trap = {ir::TrapKind::guest, exception::kDb, 0, 0, debug::kBd};
    return false;
  }
  return true;
}

std::uint64_t read_dr(ir::CoreState* core, std::uint64_t number, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  return settle_debug_register(state, number) ? state.dr[number & 7] : 0;
}

std::uint64_t write_dr(ir::CoreState* core, std::uint64_t number, std::uint64_t value, std::uint64_t) {
  CpuState& state = cpu(core);
  if (!settle_debug_register(state, number)) return 0;
  if (number >= 6 && value >> 32 != 0) return fail(state, exception::kGp, 0);
  if (number == 6) value = (value & debug::kDr6Writable) | debug::kDr6Fixed;
  if (number == 7) {
    value = (value & debug::kDr7Writable) | debug::kDr7Fixed;
    state.leave = 1;
  }
  state.dr[number & 7] = value;
  return 0;
}

// ---------------------------------------------------------------- flags

std::uint64_t sti(ir::CoreState* core, std::uint64_t, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.rflags_system & flag::kIf) != 0) return 0;
  state.rflags_system |= flag::kIf;
  // The shadow matters only where an interrupt could be taken at the very next boundary: one is waiting, or
  // the run loop stops there.
  if (state.apic != nullptr && !state.apic->pending() && state.budget > 0) return 0;
  state.irq_shadow = kShadowSti;
  state.leave = 1;
  return 0;
}

std::uint64_t set_ac(ir::CoreState* core, std::uint64_t on, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const std::uint64_t before = state.rflags_system;
  state.rflags_system = on != 0 ? before | flag::kAc : before & ~flag::kAc;
  if (before != state.rflags_system) state.memory->context_changed(core);
  return 0;
}

// ---------------------------------------------------------------- segments

std::uint64_t load_far_pointer(ir::CoreState* core, std::uint64_t index, std::uint64_t selector,
                               std::uint64_t) {
  CpuState& state = cpu(core);
  if (!load_segment(state, static_cast<unsigned>(index), static_cast<std::uint16_t>(selector))) return 0;
  // In 64-bit mode neither the mode tag nor the view looks at these segments.
  if (!in_code64(state)) state.memory->context_changed(core);
  return 0;
}

std::uint64_t load_segment_register(ir::CoreState* core, std::uint64_t index, std::uint64_t selector,
                                    std::uint64_t) {
  CpuState& state = cpu(core);
  load_far_pointer(core, index, selector, 0);
  if (index == kSs && !trapped(state)) {
    state.irq_shadow = kShadowMovSs;
    state.leave = 1;
  }
  return 0;
}

std::uint64_t lldt(ir::CoreState* core, std::uint64_t selector, std::uint64_t, std::uint64_t) {
  load_ldtr(cpu(core), static_cast<std::uint16_t>(selector));
  return 0;
}

std::uint64_t ltr(ir::CoreState* core, std::uint64_t selector, std::uint64_t, std::uint64_t) {
  load_tr(cpu(core), static_cast<std::uint16_t>(selector));
  return 0;
}

std::uint64_t load_table(ir::CoreState* core, std::uint64_t which, std::uint64_t base, std::uint64_t limit) {
  CpuState& state = cpu(core);
  if (in_long_mode(state) && !is_canonical(base)) return fail(state, exception::kGp, 0);
  (which == 0 ? state.gdtr : state.idtr) = {base, static_cast<std::uint32_t>(limit & 0xFFFF)};
  return 0;
}

/// Reads a descriptor for LAR, LSL, VERR and VERW, which never fault on a bad selector. False: ZF = 0, or a
/// page fault is set.
bool look_up(CpuState& state, std::uint16_t selector, Descriptor& d) {
  if (is_null(selector)) return false;
  if (!read_descriptor(state, selector, d)) {
    if (state.trap.vector == exception::kGp && state.trap.kind == ir::TrapKind::guest) state.trap = {};
    return false;
  }
  const unsigned rpl = selector & kRplMask;
  return d.is_conforming() || (d.dpl() >= rpl && d.dpl() >= state.cpl);
}

std::uint64_t lar(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  Descriptor d;
  if (!look_up(state, static_cast<std::uint16_t>(value), d)) return 0;
  if (!d.is_segment()) {
    // SDM vol. 2, LAR, table 3-53: TSS, LDT, call gates; task gates and 16-bit ones outside long mode.
    constexpr unsigned kLegacy = 0x1A3E, kLong = 0x1A04;
    if (((in_long_mode(state) ? kLong : kLegacy) >> d.type() & 1) == 0) return 0;
  }
  return (d.raw >> 32 & 0x00FFFF00u) | kSelectorValid;
}

std::uint64_t lsl(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  Descriptor d;
  if (!look_up(state, static_cast<std::uint16_t>(value), d)) return 0;
  if (!d.is_segment()) {
    constexpr unsigned kLegacy = 0x0A0E, kLong = 0x0A04;
    if (((in_long_mode(state) ? kLong : kLegacy) >> d.type() & 1) == 0) return 0;
  }
  return d.limit() | kSelectorValid;
}

std::uint64_t verr(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  Descriptor d;
  return look_up(cpu(core), static_cast<std::uint16_t>(value), d) && d.is_readable() ? kSelectorValid : 0;
}

std::uint64_t verw(ir::CoreState* core, std::uint64_t value, std::uint64_t, std::uint64_t) {
  Descriptor d;
  return look_up(cpu(core), static_cast<std::uint16_t>(value), d) && d.is_writable_data() ? kSelectorValid
                                                                                          : 0;
}

// ---------------------------------------------------------------- extended control

std::uint64_t xgetbv(ir::CoreState* core, std::uint64_t index, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.cr4 & cr4::kOsxsave) == 0) {
    ir::raise(core, exception::kUd);
    return 0;
  }
  if (static_cast<std::uint32_t>(index) != 0) return fail(state, exception::kGp, 0);
  return state.xcr0;
}

std::uint64_t xsetbv(ir::CoreState* core, std::uint64_t index, std::uint64_t value, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.cr4 & cr4::kOsxsave) == 0) {
    ir::raise(core, exception::kUd);
    return 0;
  }
  const bool valid = static_cast<std::uint32_t>(index) == 0 && (value & 1) != 0 && (value & ~kXcr0Mask) == 0;
  if (!valid || state.cpl != 0) return fail(state, exception::kGp, 0);
  state.xcr0 = value;
  return 0;
}

}  // namespace

std::uint64_t mode_of(const CpuState& state) {
  std::uint64_t bits = 0;
  const std::uint16_t cs = state.segment[kCs].attributes;
  const bool long_mode = in_long_mode(state);
  if (long_mode) bits |= mode::kLong;
  if (long_mode && (cs & attribute::kL) != 0) {
    bits |= mode::kCode64;
  } else {
    if ((cs & attribute::kDb) != 0) bits |= mode::kCode32;
    if (!flat(state.segment[kEs]) || !flat(state.segment[kSs]) || !flat(state.segment[kDs]))
      bits |= mode::kSegmented;
    if ((state.segment[kSs].attributes & attribute::kDb) != 0) bits |= mode::kStack32;
  }
  if (state.cpl == 3) bits |= mode::kUser;
  if ((state.cr0 & (cr0::kEm | cr0::kTs)) != 0) bits |= mode::kFpuTrap;
  if ((state.cr4 & cr4::kOsfxsr) == 0) bits |= mode::kSseOff;
  if (is_protected(state)) bits |= mode::kProtected;
  bits |= std::uint64_t{state.ftop & 7u} << mode::kTopShift;
  constexpr std::uint32_t kSimdMasks = 0x1F80, kX87Masks = 0x3F;
  if ((state.guest_mxcsr & kSimdMasks) != kSimdMasks || (state.fcw & kX87Masks) != kX87Masks)
    bits |= mode::kFpExact;
  if (state.cpl <= iopl(state)) bits |= mode::kIoPrivileged;
  return bits << mode::kShift;
}

std::uint64_t cr4_mask() {
  std::uint64_t mask = cr4::kTsd | cr4::kDe | cr4::kPse | cr4::kPae | cr4::kPge | cr4::kPce | cr4::kOsfxsr |
                       cr4::kOsxmmexcpt | cr4::kUmip | cr4::kFsgsbase | cr4::kSmep | cr4::kSmap;
  if (kHasXsave) mask |= cr4::kOsxsave;
  return mask;
}

const ir::HelperInfo kReadCr8{"read_cr8", read_cr8, ir::kReadsRegisters};
const ir::HelperInfo kWriteCr0{"write_cr0", write_cr0, kRunLoopState};
const ir::HelperInfo kWriteCr3{"write_cr3", write_cr3, kRunLoopState};
const ir::HelperInfo kWriteCr4{"write_cr4", write_cr4, kRunLoopState};
const ir::HelperInfo kWriteCr8{"write_cr8", write_cr8, kRunLoopState};
const ir::HelperInfo kLmsw{"lmsw", lmsw, kRunLoopState};
const ir::HelperInfo kClts{"clts", clts, kRunLoopState};
const ir::HelperInfo kReadDr{"read_dr", read_dr, kRunLoopState};
const ir::HelperInfo kWriteDr{"write_dr", write_dr, kRunLoopState};
const ir::HelperInfo kSti{"sti", sti, kRunLoopState};
const ir::HelperInfo kSetAc{"set_ac", set_ac, kRunLoopState};
const ir::HelperInfo kLoadSegment{"load_segment", load_segment_register, kRunLoopState};
const ir::HelperInfo kLoadFarPointer{"load_far_pointer", load_far_pointer, kRunLoopState};
const ir::HelperInfo kLldt{"lldt", lldt, kRunLoopState};
const ir::HelperInfo kLtr{"ltr", ltr, kRunLoopState};
const ir::HelperInfo kLoadTable{"load_table", load_table, kRunLoopState};
const ir::HelperInfo kLar{"lar", lar, kRunLoopState};
const ir::HelperInfo kLsl{"lsl", lsl, kRunLoopState};
const ir::HelperInfo kVerr{"verr", verr, kRunLoopState};
const ir::HelperInfo kVerw{"verw", verw, kRunLoopState};
const ir::HelperInfo kXgetbv{"xgetbv", xgetbv, kRunLoopState};
const ir::HelperInfo kXsetbv{"xsetbv", xsetbv, kRunLoopState};

}  // namespace hindsight::engine::guest::x86
