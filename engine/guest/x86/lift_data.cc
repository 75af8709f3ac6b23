// Moves, stack, exchange (SDM vol. 2).
#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;

/// POP to memory addresses by the incremented stack pointer (SDM vol. 2, POP).
void store_popped(LiftContext& c, Value value) {
  Decoded adjusted = c.d;
  if (adjusted.base == kRsp) adjusted.displacement += ir::bytes_of(c.b.type_of(value));
  LiftContext inner(c.b, adjusted, c.mode, c.offset());
  inner.store(value);
}

void compare_exchange8(LiftContext& c) {
  auto& b = c.b;
  const auto pair = [&](unsigned high, unsigned low) {
    const Value upper = b.binary(Op::Shl, c.gpr(high, Type::I64), c.constant(Type::I8, 32));
    return b.or_(upper, b.zext(Type::I64, c.gpr(low, Type::I32)));
  };
  const Value old = c.load(Type::I64, ir::kAccessWriteIntent);
  const Value equal = b.compare(Op::CmpEq, old, pair(kRdx, kRax));
  c.store(b.select(equal, pair(kRcx, kRbx), old));
  const Value old_low = b.and_(old, c.constant(0xFFFFFFFFu));
  const Value old_high = b.binary(Op::Shr, old, c.constant(Type::I8, 32));
  const Value rax = b.select(equal, c.gpr(kRax, Type::I64), old_low);
  const Value rdx = b.select(equal, c.gpr(kRdx, Type::I64), old_high);
  c.set_gpr(kRax, rax);
  c.set_gpr(kRdx, rdx);
  b.set_flags(b.select(equal, c.constant(Type::I32, ir::eflags::kZ), c.constant(Type::I32, 0)), ir::kFlagZ);
}

}  // namespace

void lift_mov(LiftContext& c) { c.write(0, c.operand(1)); }
void lift_movzx(LiftContext& c) { c.write(0, c.b.zext(c.operand_type(), c.operand(1))); }
void lift_movsx(LiftContext& c) {
  // MOVSXD with a 16-bit destination reads 16 bits (SDM vol. 2, MOVSX/MOVSXD).
  if (c.type_of_operand(1) == Type::I32 && c.operand_type() == Type::I16) {
    const Value source = c.is_memory_operand(1) ? c.load(Type::I16) : c.gpr(c.d.rm, Type::I16);
    c.write(0, source);
    return;
  }
  c.write(0, c.b.sext(c.operand_type(), c.operand(1)));
}

void lift_lea(LiftContext& c) {
  const Value address = c.effective_address();
  const Type type = c.operand_type();
  c.write(0, c.b.trunc(type, address));
}

void lift_xlat(LiftContext& c) {
  const Type type = LiftContext::integer_type(c.d.address_bytes);
  const Value index = c.b.zext(type, c.gpr(kRax, Type::I8));
  const Value offset = c.b.zext(Type::I64, c.b.add(c.gpr(kRbx, type), index));
  const Value linear = c.segment_linear(c.d.segment, offset, 1, false);
  c.set_gpr(kRax, c.b.load(Type::I8, linear, c.access()));
}

// XCHG with memory locks the bus whether LOCK is there or not; one vCPU runs at a time.
void lift_xchg(LiftContext& c) {
  if (c.d.row->operands[0] == Operand::Zv && c.d.opcode_register() == kRax) return;  // 90: NOP and PAUSE
  const Value first = c.operand_for_update(0);
  const Value second = c.operand(1);
  c.write(0, second);
  c.write(1, first);
}

void lift_xadd(LiftContext& c) {
  const Value destination = c.operand_for_update(0);
  const Value source = c.operand(1);
  const Value sum = c.b.add(destination, source, ir::kFlagsAll);
  const bool memory = c.is_memory_operand(0);
  if (memory) c.write(0, sum);
  c.write(1, destination);
  if (!memory) c.write(0, sum);  // after the source: of XADD with one register twice the sum remains
}

void lift_cmpxchg(LiftContext& c) {
  auto& b = c.b;
  const Value destination = c.operand_for_update(0);
  const Value source = c.operand(1);
  const Type type = b.type_of(destination);
  const Value accumulator = c.gpr(kRax, type);
  b.sub(accumulator, destination, ir::kFlagsAll);
  const Value equal = b.compare(Op::CmpEq, accumulator, destination);
  // A 32-bit register that is not loaded keeps its upper half, so registers are selected whole.
  const bool whole = type == Type::I32;
  const Value kept = whole ? b.select(equal, c.gpr(kRax, Type::I64), b.zext(Type::I64, destination))
                           : b.select(equal, accumulator, destination);
  if (c.is_memory_operand(0)) {
    // Memory is written in either case (SDM vol. 2, CMPXCHG).
    c.write(0, b.select(equal, source, destination));
    c.set_gpr(kRax, kept);
    return;
  }
  const Value fresh = whole ? b.select(equal, b.zext(Type::I64, source), c.gpr(c.d.rm, Type::I64))
                            : b.select(equal, source, destination);
  c.set_gpr(kRax, kept);
  if (whole) {
    c.set_gpr(c.d.rm, fresh);
  } else {
    c.write(0, fresh);
  }
}

void lift_cmpxchg8b(LiftContext& c) {
  if (c.d.rex_w()) {
    c.b.call(kCompareExchange16, c.linear_address(16, true), c.constant(c.access()));
  } else {
    compare_exchange8(c);
  }
}

void lift_push(LiftContext& c) { c.push(c.operand(0)); }

void lift_pop(LiftContext& c) {
  const Type type = c.operand_type();
  const Value sp = c.stack_pointer();
  const Value value = c.load_stack(type, sp);
  const Value new_sp = c.stack_offset(sp, c.d.operand_bytes);
  if (c.is_memory_operand(0)) {
    store_popped(c, value);
    c.set_stack_pointer(new_sp);
  } else {
    c.set_stack_pointer(new_sp);
    c.write(0, value);  // after it: of POP rSP the popped value remains
  }
}

void lift_pusha(LiftContext& c) {
  const Type type = c.operand_type();
  const unsigned bytes = c.d.operand_bytes;
  const Value sp = c.stack_pointer();
  for (unsigned i = kRax; i <= kRdi; ++i)
    c.store_stack(c.stack_offset(sp, -static_cast<std::int64_t>(bytes) * (i + 1)), c.gpr(i, type));
  c.set_stack_pointer(c.stack_offset(sp, -static_cast<std::int64_t>(bytes) * 8));
}

void lift_popa(LiftContext& c) {
  const Type type = c.operand_type();
  const unsigned bytes = c.d.operand_bytes;
  const Value sp = c.stack_pointer();
  Value values[8];
  for (unsigned i = 0; i < 8; ++i) values[kRdi - i] = c.load_stack(type, c.stack_offset(sp, bytes * i));
  c.set_stack_pointer(c.stack_offset(sp, bytes * 8));
  for (unsigned i = kRax; i <= kRdi; ++i)
    if (i != kRsp) c.set_gpr(i, values[i]);
}

void lift_enter(LiftContext& c) {
  auto& b = c.b;
  const Type type = c.operand_type();
  const std::int64_t bytes = c.d.operand_bytes;
  const unsigned level = c.d.immediate2 & 31u;
  const Value sp = c.stack_pointer();
  const Value frame = c.stack_offset(sp, -bytes);
  c.store_stack(frame, c.gpr(kRbp, type));
  std::int64_t below = bytes;
  if (level != 0) {
    const Value old_frame = b.zext(Type::I64, c.gpr(kRbp, LiftContext::integer_type(c.stack_bytes())));
    for (unsigned i = 1; i < level; ++i) {
      const Value outer = c.load_stack(type, c.stack_offset(old_frame, -bytes * i));
      below += bytes;
      c.store_stack(c.stack_offset(sp, -below), outer);
    }
    below += bytes;
    c.store_stack(c.stack_offset(sp, -below), b.trunc(type, frame));
  }
  const Value new_sp = c.stack_offset(sp, -below - c.d.immediate);
  // ENTER faults if the new stack top cannot be written (SDM vol. 2, ENTER): check by a load for write.
  b.load(type, c.segment_linear(kSs, new_sp, c.d.operand_bytes, true),
         ir::kAccessStack | ir::kAccessWriteIntent);
  c.set_gpr(kRbp, b.trunc(type, frame));
  c.set_stack_pointer(new_sp);
}

void lift_leave(LiftContext& c) {
  const Type type = c.operand_type();
  const Type stack_type = LiftContext::integer_type(c.stack_bytes());
  const Value frame = c.b.zext(Type::I64, c.gpr(kRbp, stack_type));
  const Value outer = c.load_stack(type, frame);
  c.set_stack_pointer(c.stack_offset(frame, c.d.operand_bytes));
  c.set_gpr(kRbp, outer);
}

void lift_nop(LiftContext&) {}

// CLFLUSH has the checks of a byte load (SDM vol. 2, CLFLUSH) and nothing to flush.
void lift_clflush(LiftContext& c) { c.load(Type::I8); }

}  // namespace hindsight::engine::guest::x86
