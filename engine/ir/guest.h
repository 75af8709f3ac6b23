// A guest architecture as the rest of the engine sees it. Implemented once per engine/guest folder; stateless
// but for decode caches: everything architectural is in the state. The run loop's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/ir/ir.h"

namespace hindsight::engine::ir {

/// Where an architecture with x87 registers keeps them: offsets in the state.
struct X87Slots {
  std::uint32_t registers = 0;  ///< eight of 16 bytes by physical number, 80 bits used
  std::uint32_t control = 0;    ///< 16 bits
  std::uint32_t status = 0;     ///< 16 bits, TOP zero
  std::uint32_t top = 0;        ///< 8 bits
  std::uint32_t tags = 0;       ///< 8 bits: bit i set = physical register i is not empty
  [[nodiscard]] bool present() const { return registers != 0; }
};

/// A 64-bit general register slot that the code generator should keep in a host register, best first.
struct RegisterTable {
  std::span<const std::uint32_t> general;  ///< offsets in the state of 8-byte slots
  std::span<const std::uint32_t> vectors;  ///< offsets in the state of 16-byte vector registers
  X87Slots x87 = {};
};

struct LiftRequest {
  std::uint64_t mode;  ///< CoreState::mode
  std::uint64_t pc;    ///< linear address of the first instruction
  std::span<const std::uint8_t>
      bytes;           ///< from pc to the page's end, then up to 15 bytes of the next page if
                       ///< it can be fetched (an instruction needing more: see fetch_beyond)
  unsigned max_insns;  ///< 1..Block::kMaxInsns
  bool alone;          ///< lift one instruction, to run alone
  /// Tells whether the instruction at this offset in the page did device I/O before: it must end up as a
  /// block of its own (the block stops before it).
  bool (*is_io_site)(const void* context, std::uint32_t page_offset);
  const void* io_context;
  bool part_transfers = false;  ///< what a call stack is made of are blocks of their own
  bool part_user_calls = true;  ///< so are the calls and returns of user space
};

enum class LiftOutcome : std::uint8_t {
  lifted,        ///< at least one instruction
  fetch_beyond,  ///< the first instruction needs bytes past the page and they were not given: fault there
};

enum class AccessKind : std::uint8_t { read, write, fetch };

/// Page-table memory as a walk reads it: marks the pages it reads, so that later writes to them are seen.
class PageTableMemory {
 public:
  virtual ~PageTableMemory() = default;
  /// A 4- or 8-byte little-endian entry; all ones where there is no RAM. `level` counts from 1 at the leaf;
  /// `span_base` is the first linear address that the table page maps, for precise invalidation.
  virtual std::uint64_t read_entry(GuestPhys address, unsigned size, unsigned level,
                                   std::uint64_t span_base) = 0;
  /// Sets accessed and dirty bits.
  virtual void write_entry(GuestPhys address, unsigned size, std::uint64_t value) = 0;
};

struct Walk {
  bool ok;
  GuestPhys page;  ///< physical address of the 4 KiB page
  bool
      writable_now;  ///< a later write at the same privilege needs no further walk (permission and dirty bit)
  bool executable;
};

/// How a page is mapped, for people: looking marks nothing.
struct PageView {
  bool mapped = false;
  GuestPhys page;
  bool writable = false, user = false, executable = false;
  struct Level {
    unsigned level;  ///< 1: a page table's entry
    GuestPhys address;
    std::uint64_t value;
  };
  std::array<Level, 5> levels{};  ///< from the root down to the first entry that is not present
  unsigned level_count = 0;
};

/// Which translations are in force. Two states with equal keys translate every address equally, given equal
/// page tables.
struct ViewKey {
  std::uint64_t root;      ///< page-table root and every control bit that changes a walk
  std::uint8_t privilege;  ///< small number: 0 supervisor, 1 supervisor with user access, 2 user
};

class Guest {
 public:
  virtual ~Guest() = default;
  [[nodiscard]] virtual const RegisterTable& registers() const = 0;
  [[nodiscard]] virtual std::size_t state_size() const = 0;

  virtual LiftOutcome lift(const LiftRequest& request, Block& out) = 0;

  /// Mode tag and view for the present control state; called by MemoryOps::context_changed.
  [[nodiscard]] virtual std::uint64_t mode(const CoreState& state) const = 0;
  [[nodiscard]] virtual ViewKey view_key(const CoreState& state, std::uint32_t access) const = 0;
  /// Translates one address as the present control state demands, setting accessed and dirty bits as an
  /// access would. On failure sets state.trap (page fault with its error code, or #GP/#SS if non-canonical).
  virtual Walk walk(CoreState& state, std::uint64_t address, AccessKind kind, std::uint32_t access,
                    PageTableMemory& tables) = 0;

  [[nodiscard]] virtual PageView inspect(const CoreState& state, std::uint64_t address,
                                         PageTableMemory& tables) const = 0;
  [[nodiscard]] virtual std::uint64_t stack_pointer(const CoreState& state) const = 0;

  /// Delivers state.trap (an architectural exception) and clears it. False: the CPU has shut down.
  [[nodiscard]] virtual bool deliver_trap(CoreState& state) = 0;
  /// An external interrupt could be taken before the next instruction.
  [[nodiscard]] virtual bool accepts_interrupt(const CoreState& state) const = 0;
  [[nodiscard]] virtual bool deliver_interrupt(CoreState& state, std::uint8_t vector) = 0;
  /// Called before an instruction is executed alone: where an instruction breakpoint is, sets trap.
  virtual void before_instruction(CoreState& state) = 0;
  /// Called after an instruction executed alone has retired: single-step traps, debug conditions. May set
  /// trap.
  virtual void after_instruction(CoreState& state) = 0;
  /// The next instruction must be executed alone (interrupt shadow, single-step flag, armed breakpoints).
  [[nodiscard]] virtual bool must_run_alone(const CoreState& state) const = 0;
  /// Data breakpoints are armed: data_accessed wants to hear of every access of each instruction.
  [[nodiscard]] virtual bool watches_data(const CoreState& state) const = 0;
  virtual void data_accessed(CoreState& state, std::uint64_t address, std::uint32_t size, bool write) = 0;
  /// One line: where the CPU is.
  [[nodiscard]] virtual std::string describe(const CoreState& state) const = 0;
  /// Every register for people, several lines.
  [[nodiscard]] virtual std::string dump(const CoreState& state) const = 0;
};

}  // namespace hindsight::engine::ir
