// The run-time contract between translated code, the interpreter, guest helpers and the run loop: the
// guest-neutral head of a vCPU's state, addressed by generated code as [state + offset].
// Owned by the run loop; its thread only. Plain data: copied and compared freely, never hashed as bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/types.h"

namespace hindsight::engine::ir {

struct CoreState;

/// Condition flags as kept in CoreState::flags: the overflow flag in bit 0, and in the high byte the layout
/// that LAHF gives (SDM vol. 2, LAHF): S in bit 15, Z 14, A 12, P 10, a fixed one in bit 9, C 8.
namespace packed {
constexpr std::uint16_t kV = 1u << 0, kC = 1u << 8, kFixed = 1u << 9, kP = 1u << 10, kA = 1u << 12,
                        kZ = 1u << 14, kS = 1u << 15;
constexpr std::uint16_t kAll = kV | kC | kP | kA | kZ | kS;
}  // namespace packed

/// The same flags as IR values (GetFlags, SetFlags) and as x86 EFLAGS show them.
namespace eflags {
constexpr std::uint32_t kC = 1u << 0, kP = 1u << 2, kA = 1u << 4, kZ = 1u << 6, kS = 1u << 7, kV = 1u << 11;
constexpr std::uint32_t kAll = kC | kP | kA | kZ | kS | kV;
}  // namespace eflags

constexpr std::uint16_t pack_flags(std::uint32_t flags) {
  return static_cast<std::uint16_t>(((flags & 0xD5u) | 0x02u) << 8 | ((flags >> 11) & 1u));
}
constexpr std::uint32_t unpack_flags(std::uint16_t flags) {
  return ((flags >> 8) & 0xD5u) | (static_cast<std::uint32_t>(flags & 1u) << 11);
}

enum class TrapKind : std::uint32_t {
  none = 0,
  guest = 1,       ///< an architectural exception: deliver `vector`; the instruction did not retire
  redo_alone = 2,  ///< nothing happened yet: run this instruction alone, by the interpreter (device access,
                   ///< write to translated code or to a page table, watched page)
};

/// Why redo_alone was asked for; in Trap::error_code.
enum class AloneReason : std::uint32_t { device = 1, tracked_page = 2 };

struct Trap {
  TrapKind kind;
  std::uint32_t vector;
  std::uint32_t error_code;  ///< or an AloneReason
  std::uint32_t has_error_code;
  std::uint64_t address;  ///< the faulting linear address of a page fault
};

/// Software TLB: direct-mapped on the virtual page number, separate for reads and writes. An entry hits when
/// tag == page address; then host address = guest-virtual address + addend. Invalid: tag = kTlbInvalid.
/// Only plain RAM that needs no look at each access is ever entered.
struct TlbEntry {
  std::uint64_t tag;
  std::uint64_t addend;
};
constexpr std::uint64_t kTlbInvalid = ~std::uint64_t{0};
constexpr unsigned kTlbBits = 10;
constexpr unsigned kTlbSize = 1u << kTlbBits;

/// What one address space allows at one privilege: found through CoreState::view.
struct TlbView {
  TlbEntry read[kTlbSize];
  TlbEntry write[kTlbSize];
};

/// Entry points of translated code by (pc ^ mode): the inline lookup of indirect and cross-page jumps. The
/// entries of one page lie in one group of slots, so that a page is forgotten, or carried over, at little
/// cost. Invalid: tag = kTlbInvalid.
struct JumpEntry {
  std::uint64_t tag;  ///< pc ^ mode
  const void* code;
};
constexpr unsigned kJumpBits = 14;
constexpr unsigned kJumpSize = 1u << kJumpBits;
constexpr unsigned kJumpGroup = 256;
struct JumpTable {
  JumpEntry entries[kJumpSize];
};
/// The slot of a tag (pc ^ mode): the page chooses the group, its offset in units of 16 bytes the slot in it.
constexpr std::uint64_t jump_slot(std::uint64_t tag) {
  return ((tag >> 4) ^ ((tag << 4) & 0xF0)) & (kJumpSize - 1);
}

/// How an access differs from a plain data access at the current privilege.
enum AccessFlags : std::uint32_t {
  kAccessPlain = 0,
  kAccessWriteIntent = 1,  ///< a load whose instruction will store to the same bytes: checks for write
  kAccessStack = 2,        ///< stack segment: a non-canonical address is #SS, not #GP
  kAccessSupervisor = 4,   ///< implicit supervisor access (descriptor tables, task state): SDM vol. 3, 4.6.1
};

/// Guest memory as helpers, the interpreter and slow paths of generated code reach it. Sizes 1, 2, 4, 8, 16.
/// On a fault CoreState::trap is set and the result is meaningless: the caller returns at once.
struct MemoryOps {
  std::uint64_t (*load)(CoreState*, std::uint64_t address, std::uint32_t size, std::uint32_t access);
  void (*store)(CoreState*, std::uint64_t address, std::uint64_t value, std::uint32_t size,
                std::uint32_t access);
  /// 16 bytes to and from CoreState::wide.
  void (*load16)(CoreState*, std::uint64_t address, std::uint32_t access);
  void (*store16)(CoreState*, std::uint64_t address, std::uint32_t access);
  /// The longest run of bytes from `address` (at least 1, at most to the page's end) that may be accessed
  /// through the returned host pointer, checked and marked as `write` demands; nullptr with no trap set when
  /// the page needs a look at each access (the caller goes element by element), with a trap when it faults.
  std::byte* (*span)(CoreState*, std::uint64_t address, bool write, std::uint32_t access,
                     std::uint64_t* length);
  /// Makes sure `size` bytes at `address` can be written, without writing: sets trap if not.
  void (*probe_write)(CoreState*, std::uint64_t address, std::uint32_t size, std::uint32_t access);
  /// Port I/O. Only when CoreState::alone, else sets redo_alone.
  std::uint32_t (*port_in)(CoreState*, std::uint16_t port, std::uint32_t size);
  void (*port_out)(CoreState*, std::uint16_t port, std::uint32_t size, std::uint32_t value);
  /// Control state that decides translation or mode has changed (CR0/CR3/CR4/EFER, CPL, segments, AC, x87
  /// top): recomputes view, jumps and mode.
  void (*context_changed)(CoreState*);
};

struct alignas(64) CoreState {
  /// Instructions that may still retire before control must be back in the run loop. Inside generated code it
  /// lives in a host register. A block of n instructions is entered only if budget >= n, and then charges n.
  std::int64_t budget;
  /// Linear address of the next instruction. Exact whenever control is outside generated code.
  std::uint64_t pc;
  /// Linear address of the page that holds the block being executed (blocks are position-independent).
  std::uint64_t page_base;
  /// Tag bits of the translation mode, in bits 48..63, XORed into jump tags. Set by context_changed.
  std::uint64_t mode;
  TlbView* view;
  JumpTable* jumps;
  /// Icount at which budget is zero: instructions retired so far = budget_end - budget.
  std::uint64_t budget_end;
  /// virtual time = (icount * time_rate) / 2^16 + time_warp, in ns (see virtual_time).
  std::uint64_t time_rate;
  std::uint64_t time_warp;
  Trap trap;
  std::uint16_t flags;  ///< packed condition flags
  std::uint8_t alone;   ///< this instruction is executed alone: device access and every special page allowed
  std::uint8_t halted;  ///< waiting for an interrupt
  std::uint8_t leave;   ///< a helper asks to be back in the run loop after this instruction
  std::uint8_t irq_shadow;  ///< interrupts are held off until one more instruction has retired
  std::uint8_t watch_data;  ///< MemoryOps tell the guest of each access (while an instruction runs alone)
  std::uint8_t pad_[1];
  const MemoryOps* memory;
  void* environment;         ///< the run loop's object, for MemoryOps
  std::uint64_t host_stack;  ///< generated code's way home
  std::uint32_t guest_mxcsr;
  std::uint32_t host_mxcsr;
  alignas(16) std::uint8_t wide[16];  ///< 16-byte results of load16, operands of store16
  alignas(16) std::uint8_t vector_scratch[3][16];
  std::uint64_t spill[96];  ///< generated code's temporaries
};

/// Virtual nanoseconds at an Icount under the state's present rate and warp.
inline std::uint64_t virtual_time(const CoreState& s, std::uint64_t icount) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((Wide{icount} * s.time_rate) >> 16) + s.time_warp;
}

/// Raises an architectural exception from a helper.
inline void raise(CoreState* s, std::uint32_t vector) { s->trap = {TrapKind::guest, vector, 0, 0, 0}; }
inline void raise(CoreState* s, std::uint32_t vector, std::uint32_t error_code) {
  s->trap = {TrapKind::guest, vector, error_code, 1, 0};
}

/// A C++ function that IR calls. Arguments and result are 64-bit; unused arguments are zero. On a trap it
/// must have changed nothing, or be restartable.
using HelperFn = std::uint64_t (*)(CoreState*, std::uint64_t, std::uint64_t, std::uint64_t);

enum HelperEffects : std::uint32_t {
  kPure = 0,            ///< a function of its arguments alone
  kReadsRegisters = 1,  ///< reads general registers in the state
  kWritesRegisters = 2,
  kReadsFlags = 4,
  kWritesFlags = 8,
  kTouchesVectors = 16,  ///< reads or writes vector or floating-point registers in the state, or MXCSR
  kMayTrap = 32,
  kAllEffects = 63,
};

struct HelperInfo {
  const char* name;
  HelperFn fn;
  std::uint32_t effects;
};

}  // namespace hindsight::engine::ir
