// Descriptors and segment registers: reading descriptors from the GDT and LDT, the checks of loading a
// segment register (SDM vol. 3, 3.4.2 and chapter 5), and the small memory layer that system helpers share.
// Everything works on one CpuState through its MemoryOps; the run loop's thread only; deterministic.
// Functions that return bool return false with CpuState::trap set and nothing changed but accessed bits.
#pragma once

#include <array>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/system_bits.h"

namespace hindsight::engine::guest::x86 {

inline CpuState& cpu(ir::CoreState* state) { return *static_cast<CpuState*>(state); }
inline bool trapped(const CpuState& state) { return state.trap.kind != ir::TrapKind::none; }
inline bool fail(CpuState& state, std::uint32_t vector, std::uint32_t error_code) {
  ir::raise(&state, vector, error_code);
  return false;
}
inline bool in_long_mode(const CpuState& state) { return (state.efer & efer::kLma) != 0; }
inline bool in_code64(const CpuState& state) {
  return in_long_mode(state) && (state.segment[kCs].attributes & attribute::kL) != 0;
}
inline bool is_protected(const CpuState& state) { return (state.cr0 & cr0::kPe) != 0; }
inline unsigned iopl(const CpuState& state) {
  return static_cast<unsigned>((state.rflags_system & flag::kIopl) >> flag::kIoplShift);
}
inline unsigned dpl_of(std::uint16_t attributes) { return (attributes >> attribute::kDplShift) & 3u; }
/// EFLAGS as the architecture shows it.
inline std::uint64_t read_rflags(const CpuState& state) {
  return state.rflags_system | ir::unpack_flags(state.flags) | flag::kFixed;
}
/// Replaces the whole of EFLAGS, condition flags included.
void set_rflags(CpuState& state, std::uint64_t value);

/// Load for system structures: `access` as for MemoryOps.
inline std::uint64_t load_memory(CpuState& state, std::uint64_t address, std::uint32_t size,
                                 std::uint32_t access) {
  return state.memory->load(&state, address, size, access);
}

/// A code, data or system descriptor as it lies in its table.
struct Descriptor {
  std::uint64_t raw = 0;
  std::uint64_t address = 0;  ///< linear address of the descriptor

  [[nodiscard]] std::uint16_t attributes() const {
    return static_cast<std::uint16_t>((raw >> 40) & attribute::kAll);
  }
  [[nodiscard]] unsigned type() const { return static_cast<unsigned>(raw >> 40) & 15u; }
  [[nodiscard]] bool is_segment() const { return (raw >> 44 & 1) != 0; }
  [[nodiscard]] bool is_code() const { return is_segment() && (type() & 8) != 0; }
  [[nodiscard]] bool is_conforming() const { return is_code() && (type() & 4) != 0; }
  [[nodiscard]] bool is_writable_data() const { return is_segment() && (type() & 0xA) == 2; }
  [[nodiscard]] bool is_readable() const { return is_segment() && ((type() & 8) == 0 || (type() & 2) != 0); }
  [[nodiscard]] unsigned dpl() const { return static_cast<unsigned>(raw >> 45) & 3u; }
  [[nodiscard]] bool present() const { return (raw >> 47 & 1) != 0; }
  [[nodiscard]] bool is_code64() const { return (raw >> 53 & 1) != 0; }
  [[nodiscard]] std::uint32_t limit() const;
  [[nodiscard]] std::uint32_t base() const {
    return static_cast<std::uint32_t>((raw >> 16 & 0xFFFFFF) | (raw >> 56 << 24));
  }
  [[nodiscard]] Segment segment(std::uint16_t selector) const {
    return {base(), limit(), selector, attributes()};
  }
};

/// A gate descriptor; 16 bytes in long mode (SDM vol. 3, 5.8.3.1, 6.11, 6.14.1).
struct Gate {
  std::uint64_t low = 0, high = 0;
  [[nodiscard]] unsigned type() const { return static_cast<unsigned>(low >> 40) & 31u; }
  [[nodiscard]] unsigned dpl() const { return static_cast<unsigned>(low >> 45) & 3u; }
  [[nodiscard]] bool present() const { return (low >> 47 & 1) != 0; }
  [[nodiscard]] std::uint16_t selector() const { return static_cast<std::uint16_t>(low >> 16); }
  [[nodiscard]] unsigned ist() const { return static_cast<unsigned>(low >> 32) & 7u; }
  [[nodiscard]] unsigned parameter_count() const { return static_cast<unsigned>(low >> 32) & 31u; }
  [[nodiscard]] std::uint64_t offset32() const { return (low & 0xFFFF) | (low >> 32 & 0xFFFF0000u); }
  [[nodiscard]] std::uint64_t offset64() const { return offset32() | high << 32; }
};

constexpr std::uint16_t kRplMask = 3;
constexpr bool is_null(std::uint16_t selector) { return (selector & ~kRplMask) == 0; }

/// Finds and reads the descriptor of a selector that is not null. Outside the table: `vector` with the
/// selector's index (and `ext`) as error code.
bool read_descriptor(CpuState& state, std::uint16_t selector, Descriptor& out,
                     std::uint32_t vector = exception::kGp, std::uint32_t ext = 0);
/// The upper 8 bytes of a 16-byte descriptor in long mode. False as read_descriptor.
bool read_descriptor_high(CpuState& state, std::uint16_t selector, const Descriptor& low,
                          std::uint64_t& high);
/// Sets the accessed bit in memory and in `descriptor` if it is not set.
bool mark_accessed(CpuState& state, Descriptor& descriptor);

/// True if bytes [offset, offset + size) lie within the segment.
bool segment_covers(const Segment& segment, std::uint64_t offset, std::uint32_t size);

/// Loads DS, ES, FS, GS or SS as MOV, POP and LDS do. SS loads do not set the interrupt shadow.
bool load_segment(CpuState& state, unsigned index, std::uint16_t selector);
/// Checks a new SS for a stack at privilege `cpl`; faults are `vector` (#TS, #GP or #SS rules of far
/// transfers).
bool check_stack_segment(CpuState& state, std::uint16_t selector, unsigned cpl, std::uint32_t vector,
                         std::uint32_t ext, Segment& out);
/// DS, ES, FS and GS that an outer privilege level must not keep are made null (SDM vol. 3, 5.8.6).
void drop_inner_segments(CpuState& state);

bool load_ldtr(CpuState& state, std::uint16_t selector);
bool load_tr(CpuState& state, std::uint16_t selector);

/// CS and SS as SYSCALL and its relatives load them, without reading a descriptor.
Segment flat_code(std::uint16_t selector, unsigned dpl, bool code64);
Segment flat_data(std::uint16_t selector, unsigned dpl);
/// The unusable segment of a null selector.
inline Segment null_segment(std::uint16_t selector) { return {0, 0, selector, 0}; }

/// A stack as far transfers and event delivery see it.
struct Stack {
  std::uint64_t base;  ///< of SS; 0 in 64-bit mode
  std::uint64_t sp;
  std::uint64_t mask;       ///< width of the pointer
  std::uint32_t access;     ///< AccessFlags of its accesses
  const Segment* segment;   ///< limit to check, nullptr in 64-bit mode
  std::uint32_t fault = 0;  ///< error code of #SS when the limit is violated
};
/// The present stack.
Stack current_stack(const CpuState& state);
/// Writes back the stack pointer, keeping the bits above its width.
void set_stack_pointer(CpuState& state, const Stack& stack);

/// Values to push, all of one size, in push order.
class Frame {
 public:
  explicit Frame(std::uint32_t size) : size_(size) {}
  void push(std::uint64_t value) { values_[count_++] = value; }
  /// Pushes all or fails: the stack's sp moves only on success.
  bool commit(CpuState& state, Stack& stack) const;

 private:
  std::uint32_t size_;
  unsigned count_ = 0;
  std::array<std::uint64_t, 40> values_;  // a call gate copies up to 31 parameters
};
/// Reads `count` values of `size` bytes above the stack pointer; sp does not move.
bool read_frame(CpuState& state, const Stack& stack, std::uint32_t size, unsigned count, std::uint64_t* out);

}  // namespace hindsight::engine::guest::x86
