// What the lift functions of x86 instructions work with: one LiftContext per instruction. Operands are read
// and written by their number in the row (operand(0) is the first), so that one function serves every
// encoding of a mnemonic. Owned by X86Guest::lift for the time of one instruction; one thread. Pure: the IR
// depends on the bytes, the mode and the offset alone.
//
// Order inside a lift function: compute, access memory, then commit registers and flags (ir.h, precise
// state). A function that does not end the block leaves `ended()` false; the lifter goes on with the next
// instruction, or, for kAlone and kEndsBlock rows, ends the block with a Jump to it.
#pragma once

#include <cstdint>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/decode.h"
#include "engine/guest/x86/system_bits.h"
#include "engine/ir/builder.h"

namespace hindsight::engine::guest::x86 {

class LiftContext {
 public:
  using Value = ir::Value;
  using Type = ir::Type;

  /// `offset`: of the instruction from the block's page base. `mode_bits`: CoreState::mode >> mode::kShift.
  LiftContext(ir::Builder& builder, const Decoded& decoded, std::uint64_t mode_bits, std::int64_t offset)
      : b(builder),
        d(decoded),
        mode(mode_bits),
        mode_after_(mode_bits),
        block_mode_(mode_bits),
        offset_(offset) {}

  ir::Builder& b;
  const Decoded& d;
  const std::uint64_t mode;  ///< bits of x86::mode, unshifted

  // x87 TOP is known at translation: mode carries it. A lift function that changes it calls set_fpu_top once,
  // among its commits. The lifter lifts the next instruction with mode_after() as its mode bits. A block that
  // ends in another mode than it was entered with ends by JumpIndirect: what follows is keyed by that mode.
  [[nodiscard]] unsigned fpu_top() const { return (mode_after_ >> mode::kTopShift) & 7; }
  [[nodiscard]] std::uint64_t mode_after() const { return mode_after_; }
  /// Commits TOP to the state and to CoreState::mode, whose highest byte holds the mode bits 8..15.
  void set_fpu_top(unsigned top) {
    follow_fpu_top(top);
    b.store_reg(Type::I8, offsetof(CpuState, ftop), constant(Type::I8, top & 7u));
    b.store_reg(Type::I8, offsetof(CpuState, mode) + 7, constant(Type::I8, mode_after_ >> 8));
  }

  /// The same where a helper has committed it.
  void follow_fpu_top(unsigned top) {
    mode_after_ =
        (mode_after_ & ~(std::uint64_t{7} << mode::kTopShift)) | (std::uint64_t{top & 7u} << mode::kTopShift);
  }

  /// The mode at block entry, where that is not the mode of this instruction.
  void set_block_mode(std::uint64_t mode_bits) { block_mode_ = mode_bits; }

  [[nodiscard]] bool code64() const { return (mode & mode::kCode64) != 0; }
  [[nodiscard]] bool user() const { return (mode & mode::kUser) != 0; }
  [[nodiscard]] Type operand_type() const { return integer_type(d.operand_bytes); }
  /// 2, 4 or 8: width of the stack pointer.
  [[nodiscard]] unsigned stack_bytes() const;
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  [[nodiscard]] std::int64_t next_offset() const { return offset_ + d.length; }
  static Type integer_type(unsigned bytes);

  // constants and program counter
  Value constant(std::uint64_t bits) { return b.constant(Type::I64, bits); }
  Value constant(Type type, std::uint64_t bits) { return b.constant(type, bits); }
  Value this_pc() { return b.get_pc(offset_); }
  Value next_pc() { return b.get_pc(next_offset()); }

  // general registers. Reads give the low part; writes of I32 clear the upper half, of I8 and I16 keep the
  // rest
  Value gpr(unsigned index, Type type);
  /// Byte register by its encoding: 4..7 are AH..BH without REX.
  Value gpr8(unsigned encoding);
  void set_gpr(unsigned index, Value value);
  void set_gpr8(unsigned encoding, Value value);

  // operands of the row, by number
  Value operand(unsigned number);
  /// The same, for an operand that the instruction will write: memory is checked for write.
  Value operand_for_update(unsigned number);
  /// Writes an operand. The value has the operand's type.
  void write(unsigned number, Value value);
  [[nodiscard]] Type type_of_operand(unsigned number) const;
  [[nodiscard]] bool is_memory_operand(unsigned number) const;
  /// The immediate, sign-extended as decoded.
  Value immediate(Type type) { return b.constant(type, static_cast<std::uint64_t>(d.immediate)); }

  // memory operand of ModRM (or moffs)
  /// Offset within the segment, cut to the address size, as LEA gives it. I64.
  Value effective_address();
  /// Linear address of `bytes` bytes, segment base added; in segmented modes limits and rights are checked.
  /// Computed once per instruction and offset.
  Value linear_address(unsigned bytes, bool write = false);
  /// AccessFlags that go with the operand's segment.
  [[nodiscard]] std::uint32_t access() const;
  Value load(Type type, std::uint32_t extra_access = 0);
  void store(Value value, std::uint32_t extra_access = 0);

  // other memory
  /// Segment-relative offset (I64, already cut to the address size) to linear address.
  Value segment_linear(unsigned segment, Value offset, unsigned bytes, bool write);
  [[nodiscard]] static std::uint32_t segment_access(unsigned segment) {
    return segment == kSs ? std::uint32_t{ir::kAccessStack} : 0u;
  }

  // stack. The pointer is committed by set_stack_pointer, after the access
  Value stack_pointer();                             ///< I64, cut to the stack width
  Value stack_offset(Value sp, std::int64_t delta);  ///< sp + delta, cut to the stack width
  Value load_stack(Type type, Value sp);
  void store_stack(Value sp, Value value);
  void set_stack_pointer(Value sp);
  void push(Value value);  ///< store, then commit
  Value pop(Type type);    ///< load, then commit

  // control flow; each ends the block
  [[nodiscard]] bool ended() const { return ended_; }
  void end_with_jump(std::int64_t page_offset);
  void end_with_branch(Value condition, std::int64_t taken_offset);  ///< else the next instruction
  void end_with_jump_indirect(Value pc);
  void end_with_jump_next() { end_with_jump(next_offset()); }
  /// To the run loop; goes on at the next instruction, or at `pc`.
  void leave();
  void leave(Value pc);
  /// Raises an exception in place of the instruction.
  void raise(std::uint32_t vector);
  void raise(std::uint32_t vector, std::uint32_t error_code);
  void raise_ud() { raise(exception::kUd); }
  void raise_gp() { raise(exception::kGp, 0); }
  /// Calls a helper that has done everything and returned the linear pc to go on at.
  void end_with_call(const ir::HelperInfo& helper, Value a = ir::kNoValue, Value b_ = ir::kNoValue,
                     Value c_ = ir::kNoValue);
  /// Target of a relative branch, as a page offset; wraps as the operand size says outside 64-bit mode.
  [[nodiscard]] std::int64_t branch_target() const { return next_offset() + d.immediate; }

  // flags
  Value direction_step(unsigned bytes);  ///< +bytes or -bytes (I64) as DF says
 private:
  Value read(unsigned number, std::uint32_t extra_access);
  std::uint64_t mode_after_, block_mode_;
  Value address_ = ir::kNoValue;
  Value linear_ = ir::kNoValue;
  std::int64_t offset_;
  bool ended_ = false;
};

/// Reports a guest #UD: the helper behind raise(exception::kUd) and others: (state, vector, error code, has
/// error code).
extern const ir::HelperInfo kRaiseHelper;

}  // namespace hindsight::engine::guest::x86
