// Decode rows and lift functions of system instructions. What is short is lifted inline; the rest are calls
// of the helpers in system_control, system_transfer, system_msr, system_cpuid and system_io.
#include "engine/guest/x86/decode.h"
#include "engine/guest/x86/lift.h"
#include "engine/guest/x86/system_bits.h"
#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_cpuid.h"
#include "engine/guest/x86/system_io.h"
#include "engine/guest/x86/system_msr.h"
#include "engine/guest/x86/system_transfer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;
using O = Operand;

// ---------------------------------------------------------------- building blocks

constexpr std::uint32_t field(std::size_t offset) { return static_cast<std::uint32_t>(offset); }
constexpr std::uint32_t kFlagsField = field(offsetof(CpuState, rflags_system));
constexpr std::uint32_t kCr4Field = field(offsetof(CpuState, cr4));

constexpr std::uint32_t segment_base_field(unsigned segment) {
  return field(offsetof(CpuState, segment) + segment * sizeof(Segment) + offsetof(Segment, base));
}
constexpr std::uint32_t selector_field(unsigned segment) {
  return field(offsetof(CpuState, segment) + segment * sizeof(Segment) + offsetof(Segment, selector));
}

Value wide(LiftContext& c, Value v) { return c.b.zext(Type::I64, v); }
Value low_gpr(LiftContext& c, unsigned index) { return wide(c, c.gpr(index, Type::I32)); }
Value shift(LiftContext& c, Op op, Value v, unsigned count) {
  return c.b.binary(op, v, c.constant(Type::I8, count));
}

/// #`vector` unless every bit of `bits` of CR4 is set.
void require_cr4(LiftContext& c, std::uint64_t bits, std::uint32_t vector) {
  const Value inverse = c.b.unary(Op::Not, c.b.load_reg(Type::I64, kCr4Field));
  c.b.trap_if_bits(inverse, bits, vector);
}
/// SGDT, SIDT, SLDT, STR and SMSW are #GP above CPL 0 under CR4.UMIP (SDM vol. 3, 2.5).
void check_umip(LiftContext& c) {
  if (c.user()) c.b.trap_if_bits(c.b.load_reg(Type::I64, kCr4Field), cr4::kUmip, exception::kGp);
}

/// Calls a helper that may have changed the mode and goes on at the next instruction.
void call_and_continue(LiftContext& c, const ir::HelperInfo& helper, Value a = ir::kNoValue,
                       Value b = ir::kNoValue, Value d = ir::kNoValue) {
  c.b.call(helper, a, b, d);
  c.end_with_jump_indirect(c.next_pc());
}

/// EDX:EAX = value.
void write_edx_eax(LiftContext& c, Value value) {
  c.b.store_reg(Type::I64, gpr_offset(kRax), c.b.and_(value, c.constant(0xFFFFFFFFu)));
  c.b.store_reg(Type::I64, gpr_offset(kRdx), shift(c, Op::Shr, value, 32));
}
Value read_edx_eax(LiftContext& c) {
  return c.b.or_(shift(c, Op::Shl, low_gpr(c, kRdx), 32), low_gpr(c, kRax));
}

// ---------------------------------------------------------------- interrupts and transfers

void lift_int3(LiftContext& c) {
  c.end_with_call(kSoftwareInterrupt, c.constant(exception::kBp), c.next_pc());
}
void lift_int1(LiftContext& c) { c.end_with_call(kDebugInterrupt, c.constant(exception::kDb), c.next_pc()); }
void lift_int(LiftContext& c) {
  const auto vector = static_cast<std::uint64_t>(c.d.immediate) & 0xFF;
  c.end_with_call(kSoftwareInterrupt, c.constant(vector), c.next_pc());
}

std::uint64_t into(ir::CoreState* core, std::uint64_t overflow, std::uint64_t next_pc, std::uint64_t) {
  return overflow != 0 ? kSoftwareInterrupt.fn(core, exception::kOf, next_pc, 0) : next_pc;
}
const ir::HelperInfo kInto{
    "into", into,
    ir::kReadsRegisters | ir::kWritesRegisters | ir::kReadsFlags | ir::kWritesFlags | ir::kMayTrap};
void lift_into(LiftContext& c) { c.end_with_call(kInto, wide(c, c.b.cond(ir::Condition::V)), c.next_pc()); }

void lift_iret(LiftContext& c) { c.end_with_call(kIret, c.constant(c.d.operand_bytes)); }
void lift_syscall(LiftContext& c) { c.end_with_call(kSyscall, c.next_pc()); }
void lift_sysret(LiftContext& c) { c.end_with_call(kSysret, c.constant(c.d.operand_bytes)); }
void lift_sysenter(LiftContext& c) { c.end_with_call(kSysenter); }
void lift_sysexit(LiftContext& c) { c.end_with_call(kSysexit, c.constant(c.d.operand_bytes)); }

void far_transfer(LiftContext& c, Value selector, Value offset, bool call) {
  if (!call) return c.end_with_call(kFarJump, selector, offset);
  const Value packed = c.b.or_(selector, c.constant(std::uint64_t{c.d.operand_bytes} << 16));
  c.end_with_call(kFarCall, packed, offset, c.next_pc());
}
void lift_far_direct(LiftContext& c, bool call) {
  far_transfer(c, c.constant(c.d.immediate2), c.constant(static_cast<std::uint64_t>(c.d.immediate)), call);
}
void lift_jmp_far(LiftContext& c) { lift_far_direct(c, false); }
void lift_call_far(LiftContext& c) { lift_far_direct(c, true); }

/// The offset (of the operand size) and the selector of a far pointer in memory.
struct FarPointer {
  Value offset, selector;
};
FarPointer load_far_pointer(LiftContext& c) {
  const unsigned size = c.d.operand_bytes;
  const Value linear = c.linear_address(size + 2);
  const Value offset = c.b.load(LiftContext::integer_type(size), linear, c.access());
  const Value selector = c.b.load(Type::I16, c.b.add_imm(linear, size), c.access());
  return {offset, wide(c, selector)};
}
void lift_far_indirect(LiftContext& c, bool call) {
  const FarPointer pointer = load_far_pointer(c);
  far_transfer(c, pointer.selector, wide(c, pointer.offset), call);
}
void lift_jmp_far_memory(LiftContext& c) { lift_far_indirect(c, false); }
void lift_call_far_memory(LiftContext& c) { lift_far_indirect(c, true); }
void lift_retf(LiftContext& c) {
  c.end_with_call(kFarReturn, c.constant(c.d.operand_bytes),
                  c.constant(static_cast<std::uint64_t>(c.d.immediate) & 0xFFFF));
}

// ---------------------------------------------------------------- segment registers

/// Stores a 16-bit register to a Ew-like operand: a register destination takes the operand size.
void store_word(LiftContext& c, Value word) {
  if (c.d.is_memory()) return c.store(word);
  c.set_gpr(c.d.rm, c.b.zext(c.operand_type(), word));
}

void lift_mov_from_segment(LiftContext& c) {
  if (c.d.reg3() >= kSegmentCount) return c.raise_ud();
  store_word(c, c.b.load_reg(Type::I16, selector_field(c.d.reg3())));
}

/// After a segment load: SS casts a shadow, and outside 64-bit mode the mode may have changed.
void after_segment_load(LiftContext& c, unsigned segment) {
  if (segment == kSs || !c.code64()) c.end_with_jump_indirect(c.next_pc());
}

void lift_mov_to_segment(LiftContext& c) {
  const unsigned segment = c.d.reg3();
  if (segment >= kSegmentCount || segment == kCs) return c.raise_ud();
  c.b.call(kLoadSegment, c.constant(segment), wide(c, c.operand(1)));
  after_segment_load(c, segment);
}

void push_segment(LiftContext& c, unsigned segment) {
  c.push(c.b.zext(c.operand_type(), c.b.load_reg(Type::I16, selector_field(segment))));
}
void pop_segment(LiftContext& c, unsigned segment) {
  const Value sp = c.stack_pointer();
  const Value selector = wide(c, c.load_stack(Type::I16, sp));
  c.b.call(kLoadSegment, c.constant(segment), selector);
  // The old SS decides the width of the stack pointer, as the mode that this was lifted for says.
  c.set_stack_pointer(c.stack_offset(sp, c.d.operand_bytes));
  after_segment_load(c, segment);
}
template <unsigned kSegment>
void lift_push_segment(LiftContext& c) {
  push_segment(c, kSegment);
}
template <unsigned kSegment>
void lift_pop_segment(LiftContext& c) {
  pop_segment(c, kSegment);
}

template <unsigned kSegment>
void lift_load_far(LiftContext& c) {
  const FarPointer pointer = load_far_pointer(c);
  c.b.call(kLoadFarPointer, c.constant(kSegment), pointer.selector);
  c.set_gpr(c.d.reg, pointer.offset);
  if (!c.code64()) c.end_with_jump_indirect(c.next_pc());
}

/// LAR, LSL: the register changes only if the selector is good, and ZF says so.
void lift_selector_query(LiftContext& c, const ir::HelperInfo& helper) {
  const Value selector = c.d.is_memory() ? c.load(Type::I16) : c.gpr(c.d.rm, Type::I16);
  const Value result = c.b.call(helper, wide(c, selector));
  const Type type = c.operand_type();
  const Value valid = c.b.trunc(Type::I8, shift(c, Op::Shr, result, 63));
  const Value clean = c.b.and_(result, c.constant(~kSelectorValid));
  c.set_gpr(c.d.reg, c.b.select(valid, c.b.trunc(type, clean), c.gpr(c.d.reg, type)));
  const Value zf = shift(c, Op::Shr, result, 63 - 6);
  c.b.set_flags(c.b.trunc(Type::I32, zf), ir::kFlagZ);
}
void lift_lar(LiftContext& c) { lift_selector_query(c, kLar); }
void lift_lsl(LiftContext& c) { lift_selector_query(c, kLsl); }

void lift_verify(LiftContext& c, const ir::HelperInfo& helper) {
  const Value result = c.b.call(helper, wide(c, c.operand(0)));
  c.b.set_flags(c.b.trunc(Type::I32, shift(c, Op::Shr, result, 63 - 6)), ir::kFlagZ);
}
void lift_verr(LiftContext& c) { lift_verify(c, kVerr); }
void lift_verw(LiftContext& c) { lift_verify(c, kVerw); }

void lift_arpl(LiftContext& c) {
  const Value destination = c.operand_for_update(0);
  const Value rpl = c.constant(Type::I16, 3);
  const Value wanted = c.b.and_(c.operand(1), rpl);
  const Value lower = c.b.compare(Op::CmpLtU, c.b.and_(destination, rpl), wanted);
  const Value raised = c.b.or_(c.b.and_(destination, c.constant(Type::I16, 0xFFFC)), wanted);
  c.write(0, c.b.select(lower, raised, destination));
  c.b.set_flags(shift(c, Op::Shl, c.b.zext(Type::I32, lower), 6), ir::kFlagZ);
}

// ---------------------------------------------------------------- descriptor tables

void store_table(LiftContext& c, std::size_t offset) {
  check_umip(c);
  const Value linear = c.linear_address(c.code64() ? 10 : 6, true);
  const Value limit = c.b.load_reg(Type::I16, field(offset + offsetof(DescriptorTable, limit)));
  const Type type = c.code64() ? Type::I64 : Type::I32;
  const Value base = c.b.load_reg(type, field(offset + offsetof(DescriptorTable, base)));
  c.b.store(linear, limit, c.access());
  c.b.store(c.b.add_imm(linear, 2), base, c.access());
}
void lift_sgdt(LiftContext& c) { store_table(c, offsetof(CpuState, gdtr)); }
void lift_sidt(LiftContext& c) { store_table(c, offsetof(CpuState, idtr)); }

void load_table(LiftContext& c, std::uint64_t which) {
  const Value linear = c.linear_address(c.code64() ? 10 : 6);
  const Value limit = wide(c, c.b.load(Type::I16, linear, c.access()));
  const Type type = c.code64() ? Type::I64 : Type::I32;
  Value base = wide(c, c.b.load(type, c.b.add_imm(linear, 2), c.access()));
  // A 16-bit operand loads 24 bits (SDM vol. 2, LGDT).
  if (!c.code64() && c.d.operand_bytes == 2) base = c.b.and_(base, c.constant(0xFFFFFF));
  c.b.call(kLoadTable, c.constant(which), base, limit);
}
void lift_lgdt(LiftContext& c) { load_table(c, 0); }
void lift_lidt(LiftContext& c) { load_table(c, 1); }

void store_selector(LiftContext& c, std::size_t offset) {
  check_umip(c);
  store_word(c, c.b.load_reg(Type::I16, field(offset + offsetof(Segment, selector))));
}
void lift_sldt(LiftContext& c) { store_selector(c, offsetof(CpuState, ldtr)); }
void lift_str(LiftContext& c) { store_selector(c, offsetof(CpuState, tr)); }
void lift_lldt(LiftContext& c) { c.b.call(kLldt, wide(c, c.operand(0))); }
void lift_ltr(LiftContext& c) { c.b.call(kLtr, wide(c, c.operand(0))); }

// ---------------------------------------------------------------- control and debug registers

void lift_smsw(LiftContext& c) {
  check_umip(c);
  if (c.d.is_memory()) return c.store(c.b.load_reg(Type::I16, field(offsetof(CpuState, cr0))));
  c.set_gpr(c.d.rm, c.b.load_reg(c.operand_type(), field(offsetof(CpuState, cr0))));
}
void lift_lmsw(LiftContext& c) { call_and_continue(c, kLmsw, wide(c, c.operand(0))); }
void lift_clts(LiftContext& c) { call_and_continue(c, kClts); }

Type register_width(const LiftContext& c) { return c.code64() ? Type::I64 : Type::I32; }

/// MOV to and from control and debug registers: #UD of a register that is not there comes before #GP of the
/// privilege (observed on AMD hosts; SDM vol. 2, MOV, lists both). False: the lift is over.
bool may_move_system_register(LiftContext& c, bool exists) {
  if (exists && !c.user()) return true;
  exists ? c.raise_gp() : c.raise_ud();
  return false;
}
bool is_control_register(unsigned number) {
  return number == 0 || (number >= 2 && number <= 4) || number == 8;
}
bool is_debug_register(unsigned number) { return number <= 7; }

void lift_mov_from_cr(LiftContext& c) {
  if (!may_move_system_register(c, is_control_register(c.d.reg))) return;
  const Type type = register_width(c);
  std::size_t offset = 0;
  switch (c.d.reg) {
    case 0:
      offset = offsetof(CpuState, cr0);
      break;
    case 2:
      offset = offsetof(CpuState, cr2);
      break;
    case 3:
      offset = offsetof(CpuState, cr3);
      break;
    case 4:
      offset = offsetof(CpuState, cr4);
      break;
    default:
      return c.set_gpr(c.d.rm, c.b.trunc(type, c.b.call(kReadCr8)));
  }
  c.set_gpr(c.d.rm, c.b.load_reg(type, field(offset)));
}

void lift_mov_to_cr(LiftContext& c) {
  if (!may_move_system_register(c, is_control_register(c.d.reg))) return;
  const Value value = wide(c, c.gpr(c.d.rm, register_width(c)));
  switch (c.d.reg) {
    case 0:
      return call_and_continue(c, kWriteCr0, value);
    case 2:
      return c.b.store_reg(Type::I64, field(offsetof(CpuState, cr2)), value);
    case 3:
      return call_and_continue(c, kWriteCr3, value);
    case 4:
      return call_and_continue(c, kWriteCr4, value);
    default:
      return call_and_continue(c, kWriteCr8, value);
  }
}

void lift_mov_from_dr(LiftContext& c) {
  if (!may_move_system_register(c, is_debug_register(c.d.reg))) return;
  const Value value = c.b.call(kReadDr, c.constant(c.d.reg));
  c.set_gpr(c.d.rm, c.b.trunc(register_width(c), value));
}
void lift_mov_to_dr(LiftContext& c) {
  if (!may_move_system_register(c, is_debug_register(c.d.reg))) return;
  call_and_continue(c, kWriteDr, c.constant(c.d.reg), wide(c, c.gpr(c.d.rm, register_width(c))));
}

void lift_xgetbv(LiftContext& c) { write_edx_eax(c, c.b.call(kXgetbv, low_gpr(c, kRcx))); }
void lift_xsetbv(LiftContext& c) { call_and_continue(c, kXsetbv, low_gpr(c, kRcx), read_edx_eax(c)); }

// ---------------------------------------------------------------- flags

void lift_pushf(LiftContext& c) {
  const Value system = c.b.load_reg(Type::I64, kFlagsField);
  const Value all = c.b.or_(wide(c, c.b.get_flags()), system);
  const Value image = c.b.and_(all, c.constant(~(flag::kRf | flag::kVm)));
  const Value fixed = c.b.or_(image, c.constant(flag::kFixed));
  c.push(c.b.trunc(c.operand_type(), fixed));
}

void lift_popf(LiftContext& c) {
  const Value value = wide(c, c.pop(c.operand_type()));
  call_and_continue(c, kPopFlags, value, c.constant(c.d.operand_bytes));
}

void lift_cli(LiftContext& c) {
  if ((c.mode & mode::kIoPrivileged) == 0) return c.raise_gp();
  const Value flags = c.b.load_reg(Type::I64, kFlagsField);
  c.b.store_reg(Type::I64, kFlagsField, c.b.and_(flags, c.constant(~flag::kIf)));
}

void lift_sti(LiftContext& c) {
  if ((c.mode & mode::kIoPrivileged) == 0) return c.raise_gp();
  call_and_continue(c, kSti);
}

void set_ac(LiftContext& c, std::uint64_t on) {
  if (c.user()) return c.raise_ud();
  call_and_continue(c, kSetAc, c.constant(on));
}
void lift_clac(LiftContext& c) { set_ac(c, 0); }
void lift_stac(LiftContext& c) { set_ac(c, 1); }

// ---------------------------------------------------------------- FS and GS bases

void lift_swapgs(LiftContext& c) {
  constexpr std::uint32_t kKernel = field(offsetof(CpuState, kernel_gs_base));
  const Value base = c.b.load_reg(Type::I64, segment_base_field(kGs));
  const Value kernel = c.b.load_reg(Type::I64, kKernel);
  c.b.store_reg(Type::I64, segment_base_field(kGs), kernel);
  c.b.store_reg(Type::I64, kKernel, base);
}

template <unsigned kSegment>
void lift_read_base(LiftContext& c) {
  require_cr4(c, cr4::kFsgsbase, exception::kUd);
  const Type type = c.d.rex_w() ? Type::I64 : Type::I32;
  c.set_gpr(c.d.rm, c.b.load_reg(type, segment_base_field(kSegment)));
}

template <unsigned kSegment>
void lift_write_base(LiftContext& c) {
  require_cr4(c, cr4::kFsgsbase, exception::kUd);
  const Type type = c.d.rex_w() ? Type::I64 : Type::I32;
  const Value base = wide(c, c.gpr(c.d.rm, type));
  if (type == Type::I64) {
    constexpr unsigned kUnused = 64 - kLinearBits;
    const Value extended = shift(c, Op::Sar, shift(c, Op::Shl, base, kUnused), kUnused);
    c.b.trap_if_bits(c.b.xor_(extended, base), ~std::uint64_t{0}, exception::kGp);
  }
  c.b.store_reg(Type::I64, segment_base_field(kSegment), base);
}

// ---------------------------------------------------------------- time and identification

/// The TSC: virtual time ((icount * rate) >> 16, plus warps) and the guest's offset, without leaving the
/// block.
Value time_stamp(LiftContext& c) {
  if (c.user()) c.b.trap_if_bits(c.b.load_reg(Type::I64, kCr4Field), cr4::kTsd, exception::kGp);
  const Value icount = c.b.get_icount();
  const Value rate = c.b.load_reg(Type::I64, field(offsetof(ir::CoreState, time_rate)));
  const Value high = shift(c, Op::Shl, c.b.binary(Op::UMulH, icount, rate), 48);
  const Value low = shift(c, Op::Shr, c.b.binary(Op::Mul, icount, rate), 16);
  const Value elapsed = c.b.or_(high, low);
  const Value warp = c.b.load_reg(Type::I64, field(offsetof(ir::CoreState, time_warp)));
  const Value offset = c.b.load_reg(Type::I64, field(offsetof(CpuState, tsc_offset)));
  return c.b.add(c.b.add(elapsed, warp), offset);
}
void lift_rdtsc(LiftContext& c) { write_edx_eax(c, time_stamp(c)); }
void lift_rdtscp(LiftContext& c) {
  write_edx_eax(c, time_stamp(c));
  c.set_gpr(kRcx, c.b.load_reg(Type::I32, field(offsetof(CpuState, tsc_aux))));
}
/// No performance counters exist, so every counter index is invalid.
void lift_rdpmc(LiftContext& c) { c.raise_gp(); }
void lift_cpuid(LiftContext& c) { c.b.call(kCpuid); }
void lift_rdmsr(LiftContext& c) { c.b.call(kRdmsr, c.b.get_icount()); }
void lift_wrmsr(LiftContext& c) { call_and_continue(c, kWrmsr, c.b.get_icount()); }

// ---------------------------------------------------------------- caches, halting

/// Caches cannot be seen and translations are always coherent with memory: nothing to do.
void lift_nothing(LiftContext&) {}

void lift_hlt(LiftContext& c) {
  c.b.store_reg(Type::I8, field(offsetof(ir::CoreState, halted)), c.constant(Type::I8, 1));
  c.leave();
}

// ---------------------------------------------------------------- ports

void port_in(LiftContext& c, Value port, unsigned size) {
  const Value value = c.b.call(kPortIn, port, c.constant(size));
  c.set_gpr(kRax, c.b.trunc(LiftContext::integer_type(size), value));
}
void port_out(LiftContext& c, Value port, unsigned size) {
  const Value value = wide(c, c.gpr(kRax, LiftContext::integer_type(size)));
  c.b.call(kPortOut, port, c.constant(size), value);
}
Value immediate_port(LiftContext& c) { return c.constant(static_cast<std::uint64_t>(c.d.immediate) & 0xFF); }
Value dx_port(LiftContext& c) { return wide(c, c.gpr(kRdx, Type::I16)); }
/// Port accesses are 1, 2 or 4 bytes: REX.W has no effect.
unsigned port_size(const LiftContext& c) { return c.d.operand_bytes == 2 ? 2 : 4; }

void lift_in_imm8(LiftContext& c) { port_in(c, immediate_port(c), 1); }
void lift_in_imm(LiftContext& c) { port_in(c, immediate_port(c), port_size(c)); }
void lift_in_dx8(LiftContext& c) { port_in(c, dx_port(c), 1); }
void lift_in_dx(LiftContext& c) { port_in(c, dx_port(c), port_size(c)); }
void lift_out_imm8(LiftContext& c) { port_out(c, immediate_port(c), 1); }
void lift_out_imm(LiftContext& c) { port_out(c, immediate_port(c), port_size(c)); }
void lift_out_dx8(LiftContext& c) { port_out(c, dx_port(c), 1); }
void lift_out_dx(LiftContext& c) { port_out(c, dx_port(c), port_size(c)); }

void string_io(LiftContext& c, const ir::HelperInfo& helper, unsigned size) {
  const StringIo io{size, c.d.address_bytes, c.d.rep != 0, c.d.segment};
  c.end_with_call(helper, c.constant(io.pack()), c.this_pc(), c.next_pc());
}
void lift_ins8(LiftContext& c) { string_io(c, kIns, 1); }
void lift_ins(LiftContext& c) { string_io(c, kIns, port_size(c)); }
void lift_outs8(LiftContext& c) { string_io(c, kOuts, 1); }
void lift_outs(LiftContext& c) { string_io(c, kOuts, port_size(c)); }

// ---------------------------------------------------------------- rows

constexpr Row kRows[] = {
    // software interrupts and transfers
    {Map::one, 0xCC, "int3", {}, kEndsBlock | kEnter, lift_int3},
    {Map::one, 0xCD, "int", {O::Ib}, kEndsBlock | kEnter, lift_int},
    {Map::one, 0xCE, "into", {}, kNo64 | kEndsBlock | kEnter, lift_into},
    {Map::one, 0xF1, "int1", {}, kEndsBlock | kEnter, lift_int1},
    {Map::one, 0xCF, "iret", {}, kEndsBlock | kLeave, lift_iret},
    {Map::x0f, 0x05, "syscall", {}, kEndsBlock | kEnter, lift_syscall},
    {Map::x0f, 0x07, "sysret", {}, kEndsBlock | kLeave, lift_sysret},
    {Map::x0f, 0x34, "sysenter", {}, kEndsBlock | kEnter, lift_sysenter},
    {Map::x0f, 0x35, "sysexit", {}, kEndsBlock | kLeave, lift_sysexit},
    {Map::one, 0xEA, "jmp", {O::Ap}, kNo64 | kEndsBlock, lift_jmp_far},
    {Map::one, 0x9A, "call", {O::Ap}, kNo64 | kEndsBlock, lift_call_far},
    {Map::one, 0xFF, "call", {O::M}, kEndsBlock, lift_call_far_memory, {.reg = 3}},
    {Map::one, 0xFF, "jmp", {O::M}, kEndsBlock, lift_jmp_far_memory, {.reg = 5}},
    {Map::one, 0xCA, "retf", {O::Iw}, kEndsBlock, lift_retf},
    {Map::one, 0xCB, "retf", {}, kEndsBlock, lift_retf},
    // segment registers
    {Map::one, 0x8C, "mov", {O::Ew, O::Sw}, 0, lift_mov_from_segment},
    {Map::one, 0x8E, "mov", {O::Sw, O::Ew}, 0, lift_mov_to_segment},
    {Map::one, 0x06, "push", {}, kNo64, lift_push_segment<kEs>},
    {Map::one, 0x0E, "push", {}, kNo64, lift_push_segment<kCs>},
    {Map::one, 0x16, "push", {}, kNo64, lift_push_segment<kSs>},
    {Map::one, 0x1E, "push", {}, kNo64, lift_push_segment<kDs>},
    {Map::x0f, 0xA0, "push", {}, kDefault64, lift_push_segment<kFs>},
    {Map::x0f, 0xA8, "push", {}, kDefault64, lift_push_segment<kGs>},
    {Map::one, 0x07, "pop", {}, kNo64, lift_pop_segment<kEs>},
    {Map::one, 0x17, "pop", {}, kNo64, lift_pop_segment<kSs>},
    {Map::one, 0x1F, "pop", {}, kNo64, lift_pop_segment<kDs>},
    {Map::x0f, 0xA1, "pop", {}, kDefault64, lift_pop_segment<kFs>},
    {Map::x0f, 0xA9, "pop", {}, kDefault64, lift_pop_segment<kGs>},
    {Map::one, 0xC4, "les", {O::Gv, O::M}, kNo64, lift_load_far<kEs>},
    {Map::one, 0xC5, "lds", {O::Gv, O::M}, kNo64, lift_load_far<kDs>},
    {Map::x0f, 0xB2, "lss", {O::Gv, O::M}, 0, lift_load_far<kSs>},
    {Map::x0f, 0xB4, "lfs", {O::Gv, O::M}, 0, lift_load_far<kFs>},
    {Map::x0f, 0xB5, "lgs", {O::Gv, O::M}, 0, lift_load_far<kGs>},
    {Map::x0f, 0x02, "lar", {O::Gv, O::Ew}, kProtectedOnly, lift_lar},
    {Map::x0f, 0x03, "lsl", {O::Gv, O::Ew}, kProtectedOnly, lift_lsl},
    {Map::x0f, 0x00, "verr", {O::Ew}, kProtectedOnly, lift_verr, {.reg = 4}},
    {Map::x0f, 0x00, "verw", {O::Ew}, kProtectedOnly, lift_verw, {.reg = 5}},
    {Map::one, 0x63, "arpl", {O::Ew, O::Gw}, kNo64 | kProtectedOnly, lift_arpl},
    // descriptor tables
    {Map::x0f, 0x00, "sldt", {O::Ew}, kProtectedOnly, lift_sldt, {.reg = 0}},
    {Map::x0f, 0x00, "str", {O::Ew}, kProtectedOnly, lift_str, {.reg = 1}},
    {Map::x0f, 0x00, "lldt", {O::Ew}, kProtectedOnly | kPrivileged, lift_lldt, {.reg = 2}},
    {Map::x0f, 0x00, "ltr", {O::Ew}, kProtectedOnly | kPrivileged, lift_ltr, {.reg = 3}},
    {Map::x0f, 0x01, "sgdt", {O::M}, 0, lift_sgdt, {.reg = 0}},
    {Map::x0f, 0x01, "sidt", {O::M}, 0, lift_sidt, {.reg = 1}},
    {Map::x0f, 0x01, "lgdt", {O::M}, kPrivileged, lift_lgdt, {.reg = 2}},
    {Map::x0f, 0x01, "lidt", {O::M}, kPrivileged, lift_lidt, {.reg = 3}},
    // control and debug registers
    {Map::x0f, 0x01, "smsw", {O::Ew}, 0, lift_smsw, {.reg = 4}},
    {Map::x0f, 0x01, "lmsw", {O::Ew}, kPrivileged | kEndsBlock, lift_lmsw, {.reg = 6}},
    {Map::x0f, 0x06, "clts", {}, kPrivileged | kEndsBlock, lift_clts},
    {Map::x0f, 0x20, "mov", {O::Ry, O::Cd}, 0, lift_mov_from_cr},
    {Map::x0f, 0x22, "mov", {O::Cd, O::Ry}, kEndsBlock, lift_mov_to_cr},
    {Map::x0f, 0x21, "mov", {O::Ry, O::Dd}, 0, lift_mov_from_dr},
    {Map::x0f, 0x23, "mov", {O::Dd, O::Ry}, kEndsBlock, lift_mov_to_dr},
    {Map::x0f,
     0x01,
     "xgetbv",
     {},
     0,
     lift_xgetbv,
     {.prefix = Prefix::none, .reg = 2, .mod = Mod::reg, .rm = 0}},
    {Map::x0f,
     0x01,
     "xsetbv",
     {},
     kEndsBlock,
     lift_xsetbv,
     {.prefix = Prefix::none, .reg = 2, .mod = Mod::reg, .rm = 1}},
    // flags
    {Map::one, 0x9C, "pushf", {}, kDefault64, lift_pushf},
    {Map::one, 0x9D, "popf", {}, kDefault64 | kEndsBlock, lift_popf},
    {Map::one, 0xFA, "cli", {}, 0, lift_cli},
    {Map::one, 0xFB, "sti", {}, kEndsBlock, lift_sti},
    {Map::x0f,
     0x01,
     "clac",
     {},
     kEndsBlock,
     lift_clac,
     {.prefix = Prefix::none, .reg = 1, .mod = Mod::reg, .rm = 2}},
    {Map::x0f,
     0x01,
     "stac",
     {},
     kEndsBlock,
     lift_stac,
     {.prefix = Prefix::none, .reg = 1, .mod = Mod::reg, .rm = 3}},
    // FS and GS bases
    {Map::x0f, 0x01, "swapgs", {}, kPrivileged | kOnly64, lift_swapgs, {.reg = 7, .mod = Mod::reg, .rm = 0}},
    {Map::x0f,
     0xAE,
     "rdfsbase",
     {},
     kOnly64,
     lift_read_base<kFs>,
     {.prefix = Prefix::xF3, .reg = 0, .mod = Mod::reg}},
    {Map::x0f,
     0xAE,
     "rdgsbase",
     {},
     kOnly64,
     lift_read_base<kGs>,
     {.prefix = Prefix::xF3, .reg = 1, .mod = Mod::reg}},
    {Map::x0f,
     0xAE,
     "wrfsbase",
     {},
     kOnly64,
     lift_write_base<kFs>,
     {.prefix = Prefix::xF3, .reg = 2, .mod = Mod::reg}},
    {Map::x0f,
     0xAE,
     "wrgsbase",
     {},
     kOnly64,
     lift_write_base<kGs>,
     {.prefix = Prefix::xF3, .reg = 3, .mod = Mod::reg}},
    // time, identification, model-specific registers
    {Map::x0f, 0x31, "rdtsc", {}, 0, lift_rdtsc},
    {Map::x0f, 0x01, "rdtscp", {}, 0, lift_rdtscp, {.reg = 7, .mod = Mod::reg, .rm = 1}},
    {Map::x0f, 0x33, "rdpmc", {}, kEndsBlock, lift_rdpmc},
    {Map::x0f, 0xA2, "cpuid", {}, 0, lift_cpuid},
    {Map::x0f, 0x32, "rdmsr", {}, kPrivileged, lift_rdmsr},
    {Map::x0f, 0x30, "wrmsr", {}, kPrivileged | kEndsBlock, lift_wrmsr},
    // caches and translations, halting
    {Map::x0f, 0x08, "invd", {}, kPrivileged, lift_nothing},
    {Map::x0f, 0x09, "wbinvd", {}, kPrivileged, lift_nothing},
    {Map::x0f, 0x01, "invlpg", {O::M}, kPrivileged, lift_nothing, {.reg = 7}},
    {Map::one, 0xF4, "hlt", {}, kPrivileged | kEndsBlock, lift_hlt},
    // ports
    {Map::one, 0xE4, "in", {O::AL, O::Ib}, kAlone, lift_in_imm8},
    {Map::one, 0xE5, "in", {O::rAX, O::Ib}, kAlone, lift_in_imm},
    {Map::one, 0xEC, "in", {O::AL, O::DX}, kAlone, lift_in_dx8},
    {Map::one, 0xED, "in", {O::rAX, O::DX}, kAlone, lift_in_dx},
    {Map::one, 0xE6, "out", {O::Ib, O::AL}, kAlone, lift_out_imm8},
    {Map::one, 0xE7, "out", {O::Ib, O::rAX}, kAlone, lift_out_imm},
    {Map::one, 0xEE, "out", {O::DX, O::AL}, kAlone, lift_out_dx8},
    {Map::one, 0xEF, "out", {O::DX, O::rAX}, kAlone, lift_out_dx},
    {Map::one, 0x6C, "ins", {O::Yb, O::DX}, kAlone, lift_ins8},
    {Map::one, 0x6D, "ins", {O::Yv, O::DX}, kAlone, lift_ins},
    {Map::one, 0x6E, "outs", {O::DX, O::Xb}, kAlone, lift_outs8},
    {Map::one, 0x6F, "outs", {O::DX, O::Xv}, kAlone, lift_outs},
};
static_assert(rows_are_unambiguous(kRows));

}  // namespace

std::span<const Row> system_rows() { return kRows; }

}  // namespace hindsight::engine::guest::x86
