#include "engine/guest/x86/lift.h"

#include <optional>

#include "engine/base/check.h"
#include "engine/guest/x86/segment_address.h"

namespace hindsight::engine::guest::x86 {
namespace {

using ir::Op;
using ir::Type;
using ir::Value;

std::uint64_t raise_exception(ir::CoreState* state, std::uint64_t vector, std::uint64_t error_code,
                              std::uint64_t has_error_code) {
  if (has_error_code != 0) {
    ir::raise(state, static_cast<std::uint32_t>(vector), static_cast<std::uint32_t>(error_code));
  } else {
    ir::raise(state, static_cast<std::uint32_t>(vector));
  }
  return 0;
}

constexpr std::uint32_t segment_base_offset(unsigned segment) {
  return static_cast<std::uint32_t>(offsetof(CpuState, segment) + segment * sizeof(Segment) +
                                    offsetof(Segment, base));
}

/// AH, CH, DH, BH.
bool is_high_byte(const Decoded& d, unsigned encoding) { return d.rex == 0 && encoding >= 4 && encoding < 8; }

/// A general register as an instruction names it; of a byte register the encoding may mean AH, CH, DH or BH.
struct NamedRegister {
  unsigned encoding;
  bool byte;
};

std::optional<NamedRegister> named_register(const Decoded& d, Operand operand) {
  switch (operand) {
    using enum Operand;
    case Eb:
      return NamedRegister{d.rm, true};
    case Ew:
    case Ed:
    case Eq:
    case Ev:
    case Ey:
    case Rv:
    case Ry:
      return NamedRegister{d.rm, false};
    case Gb:
      return NamedRegister{d.reg, true};
    case Gw:
    case Gd:
    case Gv:
    case Gy:
      return NamedRegister{d.reg, false};
    case Zb:
      return NamedRegister{d.opcode_register(), true};
    case Zv:
      return NamedRegister{d.opcode_register(), false};
    case AL:
    case AX:
    case rAX:
      return NamedRegister{kRax, false};
    case CL:
      return NamedRegister{kRcx, false};
    case DX:
      return NamedRegister{kRdx, false};
    default:
      return std::nullopt;
  }
}

}  // namespace

const ir::HelperInfo kRaiseHelper = {"raise", raise_exception, ir::kMayTrap};

Type LiftContext::integer_type(unsigned bytes) {
  switch (bytes) {
    case 1:
      return Type::I8;
    case 2:
      return Type::I16;
    case 4:
      return Type::I32;
    default:
      return Type::I64;
  }
}

unsigned LiftContext::stack_bytes() const {
  if (code64()) return 8;
  return (mode & mode::kStack32) != 0 ? 4 : 2;
}

// Registers

Value LiftContext::gpr(unsigned index, Type type) { return b.load_reg(type, gpr_offset(index)); }

Value LiftContext::gpr8(unsigned encoding) {
  if (is_high_byte(d, encoding)) return b.load_reg(Type::I8, gpr_offset(encoding - 4) + 1);
  return b.load_reg(Type::I8, gpr_offset(encoding));
}

void LiftContext::set_gpr(unsigned index, Value value) {
  const Type type = b.type_of(value);
  if (type == Type::I32) {
    b.store_reg(Type::I64, gpr_offset(index), b.zext(Type::I64, value));
  } else {
    b.store_reg(type, gpr_offset(index), value);
  }
}

void LiftContext::set_gpr8(unsigned encoding, Value value) {
  const bool high = is_high_byte(d, encoding);
  b.store_reg(Type::I8, high ? gpr_offset(encoding - 4) + 1 : gpr_offset(encoding), value);
}

// Operands

Type LiftContext::type_of_operand(unsigned number) const {
  switch (d.row->operands[number]) {
    using enum Operand;
    case Eb:
    case Gb:
    case Zb:
    case AL:
    case CL:
    case Ib:
    case Mb:
    case Ob:
    case Xb:
    case Yb:
      return Type::I8;
    case Ew:
    case Gw:
    case Mw:
    case AX:
    case DX:
    case Iw:
    case Sw:
      return Type::I16;
    case Ed:
    case Gd:
    case Md:
      return Type::I32;
    case Eq:
    case Mq:
      return Type::I64;
    case Ey:
    case Gy:
      return d.rex_w() ? Type::I64 : Type::I32;
    case Ry:
      return d.code64 ? Type::I64 : Type::I32;
    default:
      return operand_type();
  }
}

bool LiftContext::is_memory_operand(unsigned number) const {
  using enum Operand;
  const Operand o = d.row->operands[number];
  if (o == Ob || o == Ov) return true;
  const bool rm = (o >= Eb && o <= Ey) || (o >= M && o <= Mx) || o == W || o == Q;
  return rm && d.mod != 3;
}

Value LiftContext::operand(unsigned number) { return read(number, 0); }
Value LiftContext::operand_for_update(unsigned number) { return read(number, ir::kAccessWriteIntent); }

Value LiftContext::read(unsigned number, std::uint32_t extra_access) {
  const Type type = type_of_operand(number);
  if (is_memory_operand(number)) return load(type, extra_access);
  if (const auto named = named_register(d, d.row->operands[number]))
    return named->byte ? gpr8(named->encoding) : gpr(named->encoding, type);
  switch (d.row->operands[number]) {
    using enum Operand;
    case Ib:
    case Iw:
    case Iz:
    case Iv:
    case sIb:
      return immediate(type);
    case I1:
      return constant(type, 1);
    default:
      CHECK(false, "{}: operand {} is not an integer", d.row->mnemonic, number);
  }
  return ir::kNoValue;
}

void LiftContext::write(unsigned number, Value value) {
  if (is_memory_operand(number)) return store(value);
  const auto named = named_register(d, d.row->operands[number]);
  CHECK(named.has_value(), "{}: operand {} is not writable", d.row->mnemonic, number);
  if (named->byte) return set_gpr8(named->encoding, value);
  set_gpr(named->encoding, value);
}

// Memory

Value LiftContext::effective_address() {
  if (address_ != ir::kNoValue) return address_;
  const Type type = integer_type(d.address_bytes);
  Value sum = ir::kNoValue;
  if (d.base == kRipBase) {
    sum = b.trunc(type, b.get_pc(next_offset() + d.displacement));
    return address_ = b.zext(Type::I64, sum);
  }
  if (d.base != kNoRegister) sum = gpr(d.base, type);
  if (d.index != kNoRegister) {
    Value index = gpr(d.index, type);
    if (d.scale != 0) index = b.binary(Op::Shl, index, constant(Type::I8, d.scale));
    sum = sum == ir::kNoValue ? index : b.add(sum, index);
  }
  if (sum == ir::kNoValue) {
    const unsigned unused = 64 - 8u * d.address_bytes;
    return address_ = constant(static_cast<std::uint64_t>(d.displacement) << unused >> unused);
  }
  return address_ = b.zext(Type::I64, b.add_imm(sum, d.displacement));
}

Value LiftContext::linear_address(unsigned bytes, bool write) {
  if (linear_ == ir::kNoValue) linear_ = segment_linear(d.segment, effective_address(), bytes, write);
  return linear_;
}

std::uint32_t LiftContext::access() const { return segment_access(d.segment); }

Value LiftContext::load(Type type, std::uint32_t extra_access) {
  const bool write = (extra_access & ir::kAccessWriteIntent) != 0;
  return b.load(type, linear_address(ir::bytes_of(type), write), access() | extra_access);
}

void LiftContext::store(Value value, std::uint32_t extra_access) {
  const Value linear = linear_address(ir::bytes_of(b.type_of(value)), true);
  b.store(linear, value, access() | extra_access);
}

Value LiftContext::segment_linear(unsigned segment, Value offset, unsigned bytes, bool write) {
  if (code64()) {
    if (segment < kFs) return offset;
    return b.add(b.load_reg(Type::I64, segment_base_offset(segment)), offset);
  }
  // Code is only translated with a flat CS; FS and GS are rarely flat.
  if (segment < kFs && (mode & mode::kSegmented) == 0) return offset;
  return b.call(kSegmentAddressHelper, offset, constant(SegmentAccess{segment, bytes, write}.pack()));
}

// Stack

Value LiftContext::stack_pointer() { return b.zext(Type::I64, gpr(kRsp, integer_type(stack_bytes()))); }

Value LiftContext::stack_offset(Value sp, std::int64_t delta) {
  const Type type = integer_type(stack_bytes());
  return b.zext(Type::I64, b.add_imm(b.trunc(type, sp), delta));
}

Value LiftContext::load_stack(Type type, Value sp) {
  return b.load(type, segment_linear(kSs, sp, ir::bytes_of(type), false), ir::kAccessStack);
}

void LiftContext::store_stack(Value sp, Value value) {
  b.store(segment_linear(kSs, sp, ir::bytes_of(b.type_of(value)), true), value, ir::kAccessStack);
}

void LiftContext::set_stack_pointer(Value sp) { set_gpr(kRsp, b.trunc(integer_type(stack_bytes()), sp)); }

void LiftContext::push(Value value) {
  const Value sp = stack_offset(stack_pointer(), -static_cast<std::int64_t>(ir::bytes_of(b.type_of(value))));
  store_stack(sp, value);
  set_stack_pointer(sp);
}

Value LiftContext::pop(Type type) {
  const Value sp = stack_pointer();
  const Value value = load_stack(type, sp);
  set_stack_pointer(stack_offset(sp, ir::bytes_of(type)));
  return value;
}

// Control flow

void LiftContext::end_with_jump(std::int64_t page_offset) {
  if (mode_after_ != block_mode_) return end_with_jump_indirect(b.get_pc(page_offset));
  b.jump(page_offset);
  ended_ = true;
}
void LiftContext::end_with_branch(Value condition, std::int64_t taken_offset) {
  if (mode_after_ != block_mode_) {
    const Value taken = b.get_pc(taken_offset);
    return end_with_jump_indirect(b.select(condition, taken, next_pc()));
  }
  b.branch(condition, taken_offset, next_offset());
  ended_ = true;
}
void LiftContext::end_with_jump_indirect(Value pc) {
  b.jump_indirect(pc);
  ended_ = true;
}
void LiftContext::leave() { leave(next_pc()); }
void LiftContext::leave(Value pc) {
  b.leave(pc);
  ended_ = true;
}
void LiftContext::raise(std::uint32_t vector) {
  b.call(kRaiseHelper, constant(vector));
  leave(this_pc());
}
void LiftContext::raise(std::uint32_t vector, std::uint32_t error_code) {
  b.call(kRaiseHelper, constant(vector), constant(error_code), constant(1));
  leave(this_pc());
}
void LiftContext::end_with_call(const ir::HelperInfo& helper, Value a, Value b_, Value c_) {
  end_with_jump_indirect(b.call(helper, a, b_, c_));
}

// Flags

Value LiftContext::direction_step(unsigned bytes) {
  // bytes - (DF ? 2 * bytes : 0), without a branch: DF is bit 10.
  const Value system = b.load_reg(Type::I64, offsetof(CpuState, rflags_system));
  const Value bit = b.binary(Op::Shr, b.and_(system, constant(flag::kDf)), constant(Type::I8, 10));
  return b.sub(constant(bytes), b.binary(Op::Mul, bit, constant(2 * bytes)));
}

}  // namespace hindsight::engine::guest::x86
