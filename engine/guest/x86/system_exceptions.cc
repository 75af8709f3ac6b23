#include "engine/guest/x86/system_exceptions.h"

#include "engine/base/log.h"
#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

using system_type::kInterruptGate;
using system_type::kInterruptGate16;
using system_type::kTaskGate;
using system_type::kTrapGate;
using system_type::kTrapGate16;

constexpr std::uint64_t kClearedByDelivery = flag::kTf | flag::kNt | flag::kRf | flag::kVm;

/// What is being delivered and what has been found out about its target.
struct Delivery {
  const Event& event;
  std::uint32_t ext;  // EXT bit of nested error codes
  Gate gate;
  Descriptor code;
  unsigned cpl = 0;  // of the handler
};

bool read_gate(CpuState& state, Delivery& d) {
  const std::uint32_t size = in_long_mode(state) ? 16 : 8;
  const std::uint32_t offset = d.event.vector * size;
  const std::uint32_t error = d.event.vector * 8 + 2 + d.ext;
  if (offset + size - 1 > state.idtr.limit) return fail(state, exception::kGp, error);
  d.gate.low = load_memory(state, state.idtr.base + offset, 8, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  if (size == 16) {
    d.gate.high = load_memory(state, state.idtr.base + offset + 8, 8, ir::kAccessSupervisor);
    if (trapped(state)) return false;
  }
  const unsigned type = d.gate.type();
  const bool legacy = type == kInterruptGate16 || type == kTrapGate16 || type == kTaskGate;
  const bool known = type == kInterruptGate || type == kTrapGate || (legacy && size == 8);
  if (!known) return fail(state, exception::kGp, error);
  if (d.event.kind == EventKind::software && d.gate.dpl() < state.cpl)
    return fail(state, exception::kGp, error);
  if (!d.gate.present()) return fail(state, exception::kNp, error);
  if (type == kTaskGate) {
    log::warn("cpu", "vector {} goes through a task gate: hardware task switches are not supported",
              d.event.vector);
    return fail(state, exception::kGp, error);
  }
  return true;
}

bool read_handler_code(CpuState& state, Delivery& d) {
  const std::uint16_t selector = d.gate.selector();
  if (is_null(selector)) return fail(state, exception::kGp, d.ext);
  if (!read_descriptor(state, selector, d.code, exception::kGp, d.ext)) return false;
  const std::uint32_t error = (selector & 0xFFFCu) | d.ext;
  if (!d.code.is_code() || d.code.dpl() > state.cpl) return fail(state, exception::kGp, error);
  if (!d.code.present()) return fail(state, exception::kNp, error);
  if (in_long_mode(state)) {
    const bool db = (d.code.raw >> 54 & 1) != 0;
    if (!d.code.is_code64() || db) return fail(state, exception::kGp, error);
  }
  d.cpl = d.code.is_conforming() ? state.cpl : d.code.dpl();
  return mark_accessed(state, d.code);
}

/// Commits what both modes have in common.
void enter_handler(CpuState& state, const Delivery& d) {
  const bool interrupt_gate = (d.gate.type() & 1) == 0;
  const std::uint64_t cleared = kClearedByDelivery | (interrupt_gate ? flag::kIf : 0);
  state.rflags_system &= ~cleared;
  state.segment[kCs] = d.code.segment(static_cast<std::uint16_t>((d.gate.selector() & ~kRplMask) | d.cpl));
  state.cpl = static_cast<std::uint8_t>(d.cpl);
  state.memory->context_changed(&state);
}

std::uint64_t pushed_flags(const CpuState& state, const Event& event) {
  return read_rflags(state) | (event.resume_flag ? flag::kRf : 0);
}

/// What both modes push last: where IRET goes back to, and the error code.
void push_return(Frame& frame, const CpuState& state, const Event& event) {
  frame.push(pushed_flags(state, event));
  frame.push(state.segment[kCs].selector);
  frame.push(event.return_pc);
  if (event.kind == EventKind::exception && exception::pushes_error_code(event.vector))
    frame.push(event.error_code);
}

/// SDM vol. 3, 6.14: stack by IST or privilege change, aligned; SS:RSP always pushed.
bool deliver64(CpuState& state, Delivery& d, std::uint64_t& handler) {
  const bool inward = d.cpl < state.cpl;
  Stack stack{0, state.gpr[kRsp], ~std::uint64_t{0}, ir::kAccessStack, nullptr, d.ext};
  if (d.cpl != 3) stack.access |= ir::kAccessSupervisor;
  if (inward || d.gate.ist() != 0) {
    const std::uint32_t offset = d.gate.ist() != 0 ? 28 + 8 * d.gate.ist() : 4 + 8 * d.cpl;
    if (offset + 7 > state.tr.limit)
      return fail(state, exception::kTs, (state.tr.selector & 0xFFFCu) | d.ext);
    stack.sp = load_memory(state, state.tr.base + offset, 8, ir::kAccessSupervisor);
    if (trapped(state)) return false;
    if (!is_canonical(stack.sp)) return fail(state, exception::kSs, d.ext);
  }
  if (!is_canonical(d.gate.offset64())) return fail(state, exception::kGp, d.ext);
  stack.sp &= ~std::uint64_t{15};
  Frame frame(8);
  frame.push(state.segment[kSs].selector);
  frame.push(state.gpr[kRsp]);
  push_return(frame, state, d.event);
  if (!frame.commit(state, stack)) return false;
  state.gpr[kRsp] = stack.sp;
  if (inward) state.segment[kSs] = null_segment(static_cast<std::uint16_t>(d.cpl));
  handler = d.gate.offset64();
  enter_handler(state, d);
  return true;
}

/// The stack of an inner privilege level from a 16- or 32-bit TSS.
bool inner_stack32(CpuState& state, unsigned cpl, std::uint32_t ext, std::uint64_t& esp, Segment& ss) {
  const bool wide = (state.tr.attributes & 8) != 0;
  const std::uint32_t offset = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
  const std::uint32_t size = wide ? 4 : 2;
  if (offset + size + 1 > state.tr.limit)
    return fail(state, exception::kTs, (state.tr.selector & 0xFFFCu) | ext);
  esp = load_memory(state, state.tr.base + offset, size, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  const std::uint64_t selector = load_memory(state, state.tr.base + offset + size, 2, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  return check_stack_segment(state, static_cast<std::uint16_t>(selector), cpl, exception::kTs, ext, ss);
}

/// SDM vol. 3, 6.12.1.
bool deliver32(CpuState& state, Delivery& d, std::uint64_t& handler) {
  const bool inward = d.cpl < state.cpl;
  const std::uint32_t size = (d.gate.type() & 8) != 0 ? 4 : 2;
  Stack stack = current_stack(state);
  Segment ss = state.segment[kSs];
  if (inward) {
    if (!inner_stack32(state, d.cpl, d.ext, stack.sp, ss)) return false;
    stack.segment = &ss;
    stack.base = ss.base;
    stack.mask = (ss.attributes & attribute::kDb) != 0 ? 0xFFFFFFFFu : 0xFFFFu;
    stack.fault = ss.selector & 0xFFFCu;
  }
  stack.fault |= d.ext;
  if (d.cpl != 3) stack.access |= ir::kAccessSupervisor;
  handler = size == 4 ? d.gate.offset32() : d.gate.offset32() & 0xFFFFu;
  if (handler > d.code.limit()) return fail(state, exception::kGp, d.ext);
  Frame frame(size);
  if (inward) {
    frame.push(state.segment[kSs].selector);
    frame.push(state.gpr[kRsp]);
  }
  push_return(frame, state, d.event);
  if (!frame.commit(state, stack)) return false;
  state.segment[kSs] = ss;
  set_stack_pointer(state, stack);
  enter_handler(state, d);
  return true;
}

bool contributory(std::uint32_t vector) {
  return vector == exception::kDe || (vector >= exception::kTs && vector <= exception::kGp);
}

/// What a fault during the delivery of `first` becomes (SDM vol. 3, table 6-5).
enum class Nested : std::uint8_t { serial, double_fault, shutdown };
Nested nested(std::uint32_t first, std::uint32_t second) {
  if (second == exception::kDf) return Nested::shutdown;  // nothing can be delivered in this mode
  const bool second_bad = contributory(second) || second == exception::kPf;
  if (first == exception::kDf) return second_bad ? Nested::shutdown : Nested::serial;
  if (first == exception::kPf && second_bad) return Nested::double_fault;
  if (contributory(first) && contributory(second)) return Nested::double_fault;
  return Nested::serial;
}

/// What delivery has to note before the IDT is looked at.
void note_exception(CpuState& state, const ir::Trap& trap) {
  if (trap.vector == exception::kPf) state.cr2 = trap.address;
  if (trap.vector == exception::kDb) {
    state.dr[6] = (state.dr[6] & ~std::uint64_t{0xF}) | debug::kDr6Fixed | trap.address;
    state.dr[7] &= ~debug::kGd;
  }
}

bool pushes_resume_flag(const ir::Trap& trap) {
  // Debug conditions reported after an instruction, and instruction breakpoints, keep RF as it is.
  return trap.vector != exception::kDf && (trap.vector != exception::kDb || (trap.address & debug::kBd) != 0);
}

/// Delivers state.trap, and whatever delivering it raises, until one arrives.
bool deliver_pending(CpuState& state) {
  const std::uint8_t alone = state.alone;
  state.alone = 1;  // every page may be written: there is no instruction to redo
  bool delivered = false;
  for (;;) {
    const ir::Trap trap = state.trap;
    state.trap = {};
    note_exception(state, trap);
    const Event event{trap.vector, trap.error_code, EventKind::exception, pushes_resume_flag(trap), state.pc};
    std::uint64_t handler = 0;
    if (deliver_event(state, event, handler)) {
      state.pc = handler;
      delivered = true;
      break;
    }
    const Nested outcome = nested(trap.vector, state.trap.vector);
    if (outcome == Nested::shutdown) break;
    if (outcome == Nested::double_fault) {
      note_exception(state, state.trap);
      ir::raise(&state, exception::kDf, 0);
    }
  }
  state.trap = {};
  state.alone = alone;
  return delivered;
}

unsigned breakpoint_kind(std::uint64_t dr7, unsigned i) { return dr7 >> (16 + 4 * i) & 3; }
unsigned breakpoint_length(std::uint64_t dr7, unsigned i) {
  constexpr unsigned kLengths[] = {1, 2, 8, 4};
  return kLengths[dr7 >> (18 + 4 * i) & 3];
}
bool breakpoint_enabled(std::uint64_t dr7, unsigned i) { return (dr7 >> (2 * i) & 3) != 0; }

/// A hit of breakpoint `i`, if it is enabled and covers any of these bytes or ports.
void note_access(CpuState& state, unsigned i, std::uint64_t first, std::uint32_t size) {
  if (!breakpoint_enabled(state.dr[7], i)) return;
  const std::uint64_t length = breakpoint_length(state.dr[7], i);
  const std::uint64_t start = state.dr[i] & ~(length - 1);
  if (first < start + length && start < first + size)
    state.stepping = static_cast<std::uint8_t>(state.stepping | 1u << (stepping::kHitShift + i));
}

std::uint64_t instruction_breakpoints(const CpuState& state) {
  std::uint64_t hits = 0;
  for (unsigned i = 0; i < 4; ++i)
    if (breakpoint_enabled(state.dr[7], i) && breakpoint_kind(state.dr[7], i) == 0 && state.dr[i] == state.pc)
      hits |= 1u << i;
  return hits;
}

}  // namespace

bool deliver_event(CpuState& state, const Event& event, std::uint64_t& handler) {
  if (!is_protected(state)) {
    log::warn("cpu", "vector {} in real-address mode, which is not supported", event.vector);
    return fail(state, exception::kDf, 0);
  }
  Delivery d{event, event.kind == EventKind::software ? 0u : 1u, {}, {}};
  if (!read_gate(state, d) || !read_handler_code(state, d)) return false;
  return in_long_mode(state) ? deliver64(state, d, handler) : deliver32(state, d, handler);
}

bool deliver_trap(CpuState& state) {
  state.irq_shadow = 0;
  state.halted = 0;
  state.stepping = 0;
  return deliver_pending(state);
}

bool deliver_interrupt(CpuState& state, std::uint8_t vector) {
  state.irq_shadow = 0;
  state.halted = 0;
  state.trap = {};
  const std::uint8_t alone = state.alone;
  state.alone = 1;
  std::uint64_t handler = 0;
  const bool delivered = deliver_event(state, {vector, 0, EventKind::external, false, state.pc}, handler);
  state.alone = alone;
  if (delivered) {
    state.pc = handler;
    return true;
  }
  return deliver_pending(state);
}

bool accepts_interrupt(const CpuState& state) {
  return (state.rflags_system & flag::kIf) != 0 && state.irq_shadow == 0;
}

bool must_run_alone(const CpuState& state) {
  return state.irq_shadow != 0 || (state.rflags_system & flag::kTf) != 0 ||
         (state.dr[7] & debug::kEnables) != 0;
}

void before_instruction(CpuState& state) {
  if ((state.dr[7] & debug::kEnables) == 0 || (state.rflags_system & flag::kRf) != 0) return;
  // MOV SS and POP SS hold instruction breakpoints off (SDM vol. 3, 6.8.3).
  if (state.irq_shadow == kShadowMovSs) return;
  const std::uint64_t hits = instruction_breakpoints(state);
  if (hits != 0) state.trap = {ir::TrapKind::guest, exception::kDb, 0, 0, hits};
}

void after_instruction(CpuState& state) {
  const std::uint8_t said = state.stepping;
  state.stepping = 0;
  const bool tf_now = (state.rflags_system & flag::kTf) != 0;
  const bool tf = (said & stepping::kTfWasSet) != 0 || (tf_now && (said & stepping::kTfWasClear) == 0);
  // RF holds until the last iteration of a repeated string instruction (SDM vol. 3, 17.3.1.1).
  const bool repeating = (said & stepping::kRepeating) != 0;
  if ((said & stepping::kRfLoaded) == 0 && !repeating) state.rflags_system &= ~flag::kRf;
  // Other debug exceptions as well.
  if (state.irq_shadow == kShadowMovSs) return;
  std::uint64_t conditions = said >> stepping::kHitShift;
  if (tf) conditions |= debug::kBs;
  // What is reported in between goes on with RF set, likewise.
  if (conditions != 0 && repeating) state.rflags_system |= flag::kRf;
  if (conditions != 0) state.trap = {ir::TrapKind::guest, exception::kDb, 0, 0, conditions};
}

void note_data_access(CpuState& state, std::uint64_t address, std::uint32_t size, bool write) {
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned kind = breakpoint_kind(state.dr[7], i);
    if (kind == 3 || (kind == 1 && write)) note_access(state, i, address, size);
  }
}

void note_port_access(CpuState& state, std::uint16_t port, std::uint32_t size) {
  if ((state.cr4 & cr4::kDe) == 0 || (state.dr[7] & debug::kEnables) == 0) return;
  for (unsigned i = 0; i < 4; ++i)
    if (breakpoint_kind(state.dr[7], i) == 2) note_access(state, i, port, size);
}

}  // namespace hindsight::engine::guest::x86
