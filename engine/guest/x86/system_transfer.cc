#include "engine/guest/x86/system_transfer.h"

#include "engine/base/log.h"
#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

constexpr std::uint16_t kSelectorMask = 0xFFFC;
constexpr std::uint32_t kSystemTransfer =
    ir::kReadsRegisters | ir::kWritesRegisters | ir::kReadsFlags | ir::kWritesFlags | ir::kMayTrap;

std::uint64_t changed(CpuState& state, std::uint64_t pc) {
  state.memory->context_changed(&state);
  return pc;
}

std::uint64_t software_interrupt(ir::CoreState* core, std::uint64_t vector, std::uint64_t next_pc,
                                 std::uint64_t) {
  CpuState& state = cpu(core);
  std::uint64_t handler = 0;
  deliver_event(state, {static_cast<std::uint32_t>(vector), 0, EventKind::software, false, next_pc}, handler);
  if (state.alone && !trapped(state)) state.stepping |= stepping::kTfWasClear;
  return handler;
}

std::uint64_t debug_interrupt(ir::CoreState* core, std::uint64_t vector, std::uint64_t next_pc,
                              std::uint64_t) {
  CpuState& state = cpu(core);
  std::uint64_t handler = 0;
  deliver_event(state, {static_cast<std::uint32_t>(vector), 0, EventKind::exception, false, next_pc},
                handler);
  if (state.alone && !trapped(state)) state.stepping |= stepping::kTfWasClear;
  return handler;
}

// ---------------------------------------------------------------- far returns

/// Where a far return goes.
struct Target {
  std::uint16_t cs, ss;
  std::uint64_t pc, sp;
  Segment code, stack;
  unsigned cpl;
  bool code64;
};

/// Checks CS of a far RET or IRET (SDM vol. 2, RET and IRET).
bool check_return_code(CpuState& state, Target& t) {
  if (is_null(t.cs)) return fail(state, exception::kGp, 0);
  Descriptor d;
  if (!read_descriptor(state, t.cs, d)) return false;
  const std::uint32_t error = t.cs & kSelectorMask;
  t.cpl = t.cs & kRplMask;
  if (!d.is_code() || t.cpl < state.cpl) return fail(state, exception::kGp, error);
  if (d.is_conforming() ? d.dpl() > t.cpl : d.dpl() != t.cpl) return fail(state, exception::kGp, error);
  t.code64 = in_long_mode(state) && d.is_code64();
  if (t.code64 && (d.raw >> 54 & 1) != 0) return fail(state, exception::kGp, error);
  if (!d.present()) return fail(state, exception::kNp, error);
  if (t.code64 ? !is_canonical(t.pc) : (t.pc & 0xFFFFFFFFu) > d.limit())
    return fail(state, exception::kGp, 0);
  if (!t.code64) t.pc &= 0xFFFFFFFFu;
  if (!mark_accessed(state, d)) return false;
  t.code = d.segment(t.cs);
  return true;
}

bool check_return_stack(CpuState& state, Target& t) {
  if (is_null(t.ss)) {
    if (!t.code64 || t.cpl == 3 || (t.ss & kRplMask) != t.cpl) return fail(state, exception::kGp, 0);
    t.stack = null_segment(t.ss);
    return true;
  }
  return check_stack_segment(state, t.ss, t.cpl, exception::kGp, 0, t.stack);
}

/// Commits a return: CS, and SS:RSP when they were popped.
void commit_return(CpuState& state, const Target& t, bool pops_stack) {
  const bool outward = t.cpl > state.cpl;
  state.segment[kCs] = t.code;
  state.cpl = static_cast<std::uint8_t>(t.cpl);
  if (pops_stack) {
    state.segment[kSs] = t.stack;
    const bool wide = (t.stack.attributes & attribute::kDb) != 0;
    if (t.code64) {
      state.gpr[kRsp] = t.sp;
    } else if (wide) {
      state.gpr[kRsp] = t.sp & 0xFFFFFFFFu;
    } else {
      state.gpr[kRsp] = (state.gpr[kRsp] & ~std::uint64_t{0xFFFF}) | (t.sp & 0xFFFF);
    }
  }
  if (outward) drop_inner_segments(state);
}

/// Remembers how TF and RF were for after_instruction, when that will be called.
void note_flag_load(CpuState& state, std::uint64_t old_flags) {
  if (!state.alone) return;
  state.stepping |= (old_flags & flag::kTf) != 0 ? stepping::kTfWasSet : stepping::kTfWasClear;
}

std::uint64_t iret(ir::CoreState* core, std::uint64_t operand_size, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto size = static_cast<std::uint32_t>(operand_size);
  if ((state.rflags_system & flag::kNt) != 0) {
    if (!in_long_mode(state))
      log::warn("cpu", "IRET to a nested task: hardware task switches are not supported");
    fail(state, exception::kGp, 0);
    return 0;
  }
  const bool from64 = in_code64(state);
  Stack stack = current_stack(state);
  std::uint64_t f[5];
  if (!read_frame(state, stack, size, from64 ? 5 : 3, f)) return 0;
  if (!from64 && !in_long_mode(state) && size == 4 && (f[2] & flag::kVm) != 0 && state.cpl == 0) {
    log::warn("cpu", "IRET to virtual-8086 mode, which is not supported");
    fail(state, exception::kGp, 0);
    return 0;
  }
  Target t{};
  t.pc = f[0];
  t.cs = static_cast<std::uint16_t>(f[1]);
  if (!check_return_code(state, t)) return 0;
  const bool pops_stack = from64 || t.cpl > state.cpl;
  if (pops_stack) {
    if (!from64 && !read_frame(state, stack, size, 5, f)) return 0;
    t.sp = f[3];
    t.ss = static_cast<std::uint16_t>(f[4]);
    if (!check_return_stack(state, t)) return 0;
  }
  const std::uint64_t old_flags = state.rflags_system;
  std::uint64_t flags = merge_flags(state, read_rflags(state), f[2], size);
  // RF matters only with breakpoints armed, when every instruction runs alone and after_instruction clears
  // it; otherwise the next instruction would clear it unseen.
  const bool load_rf = size >= 4 && (f[2] & flag::kRf) != 0 && (state.dr[7] & debug::kEnables) != 0;
  if (load_rf) flags |= flag::kRf;
  note_flag_load(state, old_flags);
  if (load_rf && state.alone) state.stepping |= stepping::kRfLoaded;
  if (!pops_stack) {
    stack.sp += std::uint64_t{3} * size;
    set_stack_pointer(state, stack);
  }
  commit_return(state, t, pops_stack);
  set_rflags(state, flags);
  state.nmi_blocked = 0;
  notice_interrupts(state, old_flags);
  return changed(state, t.pc);
}

std::uint64_t far_return(ir::CoreState* core, std::uint64_t operand_size, std::uint64_t drop, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto size = static_cast<std::uint32_t>(operand_size);
  Stack stack = current_stack(state);
  std::uint64_t f[2];
  if (!read_frame(state, stack, size, 2, f)) return 0;
  Target t{};
  t.pc = f[0];
  t.cs = static_cast<std::uint16_t>(f[1]);
  if (!check_return_code(state, t)) return 0;
  const bool outward = t.cpl > state.cpl;
  stack.sp += 2 * size + drop;
  if (outward) {
    std::uint64_t outer[2];
    if (!read_frame(state, stack, size, 2, outer)) return 0;
    t.sp = outer[0];
    t.ss = static_cast<std::uint16_t>(outer[1]);
    if (!check_return_stack(state, t)) return 0;
    t.sp += drop;
  } else {
    set_stack_pointer(state, stack);
  }
  commit_return(state, t, outward);
  return changed(state, t.pc);
}

// ---------------------------------------------------------------- far jumps and calls

/// Checks a code segment reached by a far JMP or CALL without a gate.
bool check_direct_code(CpuState& state, std::uint16_t selector, Descriptor& d, std::uint64_t& pc) {
  const std::uint32_t error = selector & kSelectorMask;
  const unsigned rpl = selector & kRplMask;
  const bool allowed = d.is_conforming() ? d.dpl() <= state.cpl : rpl <= state.cpl && d.dpl() == state.cpl;
  if (!allowed) return fail(state, exception::kGp, error);
  const bool code64 = in_long_mode(state) && d.is_code64();
  if (code64 && (d.raw >> 54 & 1) != 0) return fail(state, exception::kGp, error);
  if (!d.present()) return fail(state, exception::kNp, error);
  if (!code64) pc &= 0xFFFFFFFFu;
  if (code64 ? !is_canonical(pc) : pc > d.limit()) return fail(state, exception::kGp, 0);
  return mark_accessed(state, d);
}

/// Reads a call gate and the code descriptor it names.
bool read_call_gate(CpuState& state, std::uint16_t selector, const Descriptor& low, Gate& gate,
                    Descriptor& code) {
  const std::uint32_t error = selector & kSelectorMask;
  gate.low = low.raw;
  const unsigned type = gate.type();
  const bool known =
      type == system_type::kCallGate || (type == system_type::kCallGate16 && !in_long_mode(state));
  if (!known) {
    if (type == system_type::kTaskGate || (type & ~2u) == system_type::kTss ||
        (type & ~2u) == system_type::kTss16)
      log::warn("cpu", "far transfer to a task: hardware task switches are not supported");
    return fail(state, exception::kGp, error);
  }
  if (gate.dpl() < state.cpl || gate.dpl() < (selector & kRplMask)) return fail(state, exception::kGp, error);
  if (!gate.present()) return fail(state, exception::kNp, error);
  if (in_long_mode(state) && !read_descriptor_high(state, selector, low, gate.high)) return false;
  if (is_null(gate.selector())) return fail(state, exception::kGp, 0);
  if (!read_descriptor(state, gate.selector(), code)) return false;
  const std::uint32_t code_error = gate.selector() & kSelectorMask;
  if (!code.is_code() || code.dpl() > state.cpl) return fail(state, exception::kGp, code_error);
  if (in_long_mode(state) && (!code.is_code64() || (code.raw >> 54 & 1) != 0))
    return fail(state, exception::kGp, code_error);
  if (!code.present()) return fail(state, exception::kNp, code_error);
  return true;
}

std::uint64_t gate_offset(const CpuState& state, const Gate& gate) {
  if (in_long_mode(state)) return gate.offset64();
  return gate.type() == system_type::kCallGate16 ? gate.offset32() & 0xFFFFu : gate.offset32();
}

bool check_gate_target(CpuState& state, const Gate& gate, const Descriptor& code) {
  const std::uint64_t pc = gate_offset(state, gate);
  const bool good = in_long_mode(state) ? is_canonical(pc) : pc <= code.limit();
  return good || fail(state, exception::kGp, 0);
}

Segment code_segment(const Descriptor& d, std::uint16_t selector, unsigned cpl) {
  return d.segment(static_cast<std::uint16_t>((selector & ~kRplMask) | cpl));
}

std::uint64_t far_jump(ir::CoreState* core, std::uint64_t selector_value, std::uint64_t pc, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto selector = static_cast<std::uint16_t>(selector_value);
  if (!is_protected(state)) {
    state.segment[kCs].selector = selector;
    state.segment[kCs].base = std::uint64_t{selector} << 4;
    return changed(state, (state.segment[kCs].base + pc) & 0xFFFFFFFFu);
  }
  if (is_null(selector)) return fail(state, exception::kGp, 0);
  Descriptor d;
  if (!read_descriptor(state, selector, d)) return 0;
  if (d.is_segment()) {
    if (!d.is_code()) return fail(state, exception::kGp, selector & kSelectorMask);
    if (!check_direct_code(state, selector, d, pc)) return 0;
    state.segment[kCs] = code_segment(d, selector, state.cpl);
    return changed(state, pc);
  }
  Gate gate;
  Descriptor code;
  if (!read_call_gate(state, selector, d, gate, code)) return 0;
  if (!code.is_conforming() && code.dpl() != state.cpl)
    return fail(state, exception::kGp, gate.selector() & kSelectorMask);
  if (!check_gate_target(state, gate, code) || !mark_accessed(state, code)) return 0;
  state.segment[kCs] = code_segment(code, gate.selector(), state.cpl);
  return changed(state, gate_offset(state, gate));
}

/// The stack of an inner privilege level for a call gate.
bool gate_stack(CpuState& state, unsigned cpl, Stack& stack, Segment& ss) {
  const bool long_mode = in_long_mode(state);
  const bool wide = (state.tr.attributes & 8) != 0;
  const std::uint32_t offset = long_mode || wide ? 4 + 8 * cpl : 2 + 4 * cpl;
  const std::uint32_t size = long_mode ? 8 : wide ? 4 : 2;
  const std::uint32_t last = offset + size - 1 + (long_mode ? 0 : 2);
  if (last > state.tr.limit) return fail(state, exception::kTs, state.tr.selector & kSelectorMask);
  const std::uint64_t sp = load_memory(state, state.tr.base + offset, size, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  const std::uint32_t access = ir::kAccessStack | (cpl != 3 ? std::uint32_t{ir::kAccessSupervisor} : 0u);
  if (long_mode) {
    ss = null_segment(static_cast<std::uint16_t>(cpl));
    stack = {0, sp, ~std::uint64_t{0}, access, nullptr};
    return true;
  }
  const std::uint64_t selector = load_memory(state, state.tr.base + offset + size, 2, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  if (!check_stack_segment(state, static_cast<std::uint16_t>(selector), cpl, exception::kTs, 0, ss))
    return false;
  const std::uint64_t mask = (ss.attributes & attribute::kDb) != 0 ? 0xFFFFFFFFu : 0xFFFFu;
  stack = {ss.base, sp, mask, access, &ss, ss.selector & std::uint32_t{kSelectorMask}};
  return true;
}

std::uint64_t call_through_gate(CpuState& state, const Gate& gate, Descriptor& code, std::uint64_t next_pc) {
  const bool long_mode = in_long_mode(state);
  const std::uint32_t size = long_mode ? 8 : gate.type() == system_type::kCallGate16 ? 2 : 4;
  if (!check_gate_target(state, gate, code) || !mark_accessed(state, code)) return 0;
  const bool inward = !code.is_conforming() && code.dpl() < state.cpl;
  const unsigned cpl = inward ? code.dpl() : state.cpl;
  Stack stack = current_stack(state);
  Segment ss = state.segment[kSs];
  Frame frame(size);
  if (inward) {
    const Stack outer = stack;
    const unsigned count = long_mode ? 0 : gate.parameter_count();
    std::uint64_t parameters[32];
    if (count != 0 && !read_frame(state, outer, size, count, parameters)) return 0;
    if (!gate_stack(state, cpl, stack, ss)) return 0;
    frame.push(state.segment[kSs].selector);
    frame.push(state.gpr[kRsp]);
    for (unsigned i = count; i-- > 0;) frame.push(parameters[i]);
  }
  frame.push(state.segment[kCs].selector);
  frame.push(next_pc);
  if (!frame.commit(state, stack)) return 0;
  state.segment[kSs] = ss;
  if (long_mode) {
    state.gpr[kRsp] = stack.sp;
  } else {
    set_stack_pointer(state, stack);
  }
  state.segment[kCs] = code_segment(code, gate.selector(), cpl);
  state.cpl = static_cast<std::uint8_t>(cpl);
  return changed(state, gate_offset(state, gate));
}

std::uint64_t far_call(ir::CoreState* core, std::uint64_t selector_and_size, std::uint64_t pc,
                       std::uint64_t next_pc) {
  CpuState& state = cpu(core);
  const auto selector = static_cast<std::uint16_t>(selector_and_size);
  const auto size = static_cast<std::uint32_t>(selector_and_size >> 16);
  Stack stack = current_stack(state);
  Frame frame(size);
  frame.push(state.segment[kCs].selector);
  frame.push(next_pc);
  if (!is_protected(state)) {
    if (!frame.commit(state, stack)) return 0;
    set_stack_pointer(state, stack);
    return far_jump(core, selector, pc, 0);
  }
  if (is_null(selector)) return fail(state, exception::kGp, 0);
  Descriptor d;
  if (!read_descriptor(state, selector, d)) return 0;
  if (!d.is_segment()) {
    Gate gate;
    Descriptor code;
    if (!read_call_gate(state, selector, d, gate, code)) return 0;
    return call_through_gate(state, gate, code, next_pc);
  }
  if (!d.is_code()) return fail(state, exception::kGp, selector & kSelectorMask);
  if (!check_direct_code(state, selector, d, pc)) return 0;
  if (!frame.commit(state, stack)) return 0;
  set_stack_pointer(state, stack);
  state.segment[kCs] = code_segment(d, selector, state.cpl);
  return changed(state, pc);
}

// ---------------------------------------------------------------- fast system calls

std::uint64_t syscall(ir::CoreState* core, std::uint64_t next_pc, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.efer & efer::kSce) == 0 || !in_code64(state)) {
    ir::raise(core, exception::kUd);
    return 0;
  }
  const std::uint64_t flags = read_rflags(state) & ~flag::kRf;
  state.gpr[kRcx] = next_pc;
  state.gpr[kR11] = flags;
  set_rflags(state, flags & ~state.sfmask);
  const auto selector = static_cast<std::uint16_t>(state.star >> 32 & kSelectorMask);
  state.segment[kCs] = flat_code(selector, 0, true);
  state.segment[kSs] = flat_data(static_cast<std::uint16_t>(selector + 8), 0);
  state.cpl = 0;
  return changed(state, state.lstar);
}

std::uint64_t sysret(ir::CoreState* core, std::uint64_t operand_size, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  if ((state.efer & efer::kSce) == 0 || !in_code64(state)) {
    ir::raise(core, exception::kUd);
    return 0;
  }
  const bool to64 = operand_size == 8;
  const std::uint64_t pc = to64 ? state.gpr[kRcx] : state.gpr[kRcx] & 0xFFFFFFFFu;
  if (state.cpl != 0 || !is_canonical(pc)) return fail(state, exception::kGp, 0);
  const std::uint64_t old_flags = state.rflags_system;
  const auto base = static_cast<std::uint16_t>(state.star >> 48);
  const auto code = static_cast<std::uint16_t>((base + (to64 ? 16 : 0)) | 3);
  const auto data = static_cast<std::uint16_t>((base + 8) | 3);
  state.segment[kCs] = flat_code(code, 3, to64);
  state.segment[kSs] = flat_data(data, 3);
  state.cpl = 3;
  set_rflags(state, (state.gpr[kR11] & 0x3C7FD7u) | flag::kFixed);
  note_flag_load(state, old_flags);
  notice_interrupts(state, old_flags);
  return changed(state, pc);
}

std::uint64_t sysenter(ir::CoreState* core, std::uint64_t, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto selector = static_cast<std::uint16_t>(state.sysenter_cs & kSelectorMask);
  if (!is_protected(state) || selector == 0) return fail(state, exception::kGp, 0);
  const bool long_mode = in_long_mode(state);
  const std::uint64_t mask = long_mode ? ~std::uint64_t{0} : 0xFFFFFFFFu;
  state.rflags_system &= ~(flag::kVm | flag::kIf | flag::kRf);
  state.segment[kCs] = flat_code(selector, 0, long_mode);
  state.segment[kSs] = flat_data(static_cast<std::uint16_t>(selector + 8), 0);
  state.cpl = 0;
  state.gpr[kRsp] = state.sysenter_esp & mask;
  return changed(state, state.sysenter_eip & mask);
}

std::uint64_t sysexit(ir::CoreState* core, std::uint64_t operand_size, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto base = static_cast<std::uint16_t>(state.sysenter_cs & kSelectorMask);
  const bool to64 = operand_size == 8;
  const std::uint64_t mask = to64 ? ~std::uint64_t{0} : 0xFFFFFFFFu;
  const std::uint64_t pc = state.gpr[kRdx] & mask;
  const std::uint64_t sp = state.gpr[kRcx] & mask;
  if (!is_protected(state) || state.cpl != 0 || base == 0 || !is_canonical(pc) || !is_canonical(sp))
    return fail(state, exception::kGp, 0);
  state.segment[kCs] = flat_code(static_cast<std::uint16_t>((base + (to64 ? 32 : 16)) | 3), 3, to64);
  state.segment[kSs] = flat_data(static_cast<std::uint16_t>((base + (to64 ? 40 : 24)) | 3), 3);
  state.cpl = 3;
  state.gpr[kRsp] = sp;
  return changed(state, pc);
}

std::uint64_t pop_flags(ir::CoreState* core, std::uint64_t value, std::uint64_t operand_size, std::uint64_t) {
  CpuState& state = cpu(core);
  const std::uint64_t old_flags = state.rflags_system;
  set_rflags(state, merge_flags(state, read_rflags(state), value, static_cast<unsigned>(operand_size)));
  note_flag_load(state, old_flags);
  notice_interrupts(state, old_flags);
  if (((old_flags ^ state.rflags_system) & (flag::kAc | flag::kIopl)) != 0)
    state.memory->context_changed(core);
  return 0;
}

}  // namespace

std::uint64_t merge_flags(const CpuState& state, std::uint64_t old_flags, std::uint64_t value,
                          unsigned size) {
  std::uint64_t mask = ir::eflags::kAll | flag::kTf | flag::kDf | flag::kNt;
  if (state.cpl <= iopl(state)) mask |= flag::kIf;
  if (state.cpl == 0) mask |= flag::kIopl;
  if (size >= 4) mask |= flag::kAc | flag::kId;
  return (old_flags & ~mask & ~flag::kRf) | (value & mask);
}

void notice_interrupts(CpuState& state, std::uint64_t old_flags) {
  const std::uint64_t now = state.rflags_system;
  const bool enabled = (now & ~old_flags & flag::kIf) != 0;
  if (enabled && state.apic != nullptr && state.apic->pending()) state.leave = 1;
  if ((now & ~old_flags & flag::kTf) != 0) state.leave = 1;
}

const ir::HelperInfo kSoftwareInterrupt{"software_interrupt", software_interrupt, kSystemTransfer};
const ir::HelperInfo kDebugInterrupt{"debug_interrupt", debug_interrupt, kSystemTransfer};
const ir::HelperInfo kIret{"iret", iret, kSystemTransfer};
const ir::HelperInfo kSyscall{"syscall", syscall, kSystemTransfer};
const ir::HelperInfo kSysret{"sysret", sysret, kSystemTransfer};
const ir::HelperInfo kSysenter{"sysenter", sysenter, kSystemTransfer};
const ir::HelperInfo kSysexit{"sysexit", sysexit, kSystemTransfer};
const ir::HelperInfo kFarJump{"far_jump", far_jump, kSystemTransfer};
const ir::HelperInfo kFarCall{"far_call", far_call, kSystemTransfer};
const ir::HelperInfo kFarReturn{"far_return", far_return, kSystemTransfer};
const ir::HelperInfo kPopFlags{"pop_flags", pop_flags, ir::kReadsFlags | ir::kWritesFlags};

}  // namespace hindsight::engine::guest::x86
