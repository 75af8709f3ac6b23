// Call stacks of kernel code from ORC data, which Linux carries for its own unwinder (CONFIG_UNWINDER_ORC,
// Documentation/x86/orc-unwinder.rst; struct orc_entry in arch/x86/include/asm/orc_types.h): for every place
// in the code, how to find the caller's stack pointer, frame pointer and return address. Tables are read from
// guest memory as needed, each read bounded. Values that stay true while the kernel runs and its modules stay
// loaded; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/machine_view.h"
#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/modules.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

/// One place's recipe, whatever its encoding.
struct OrcEntry {
  enum class Base : std::uint8_t {  ///< what an offset counts from, as ORC numbers them
    undefined = 0,
    previous_sp = 1,
    dx = 2,
    di = 3,
    bp = 4,
    sp = 5,
    r10 = 6,
    r13 = 7,
    bp_indirect = 8,  ///< the word at bp + offset
    sp_indirect = 9   ///< the word at sp, then + offset
  };
  enum class Kind : std::uint8_t {
    unknown,    ///< not covered
    bottom,     ///< nothing called this
    call,       ///< called: the return address is below the caller's stack pointer
    registers,  ///< interrupted: a whole struct pt_regs lies at the stack pointer found
    frame       ///< interrupted: only what the CPU itself pushed lies there
  };
  std::int16_t sp_offset = 0, bp_offset = 0;
  Base sp_base = Base::undefined, bp_base = Base::undefined;
  Kind kind = Kind::unknown;
};

/// How a kernel encodes what follows the two registers of an entry.
enum class OrcFormat : std::uint8_t {
  type_end,         ///< up to 6.2: a type of two bits, and one that says it is the bottom
  type_signal_end,  ///< 6.3: one bit more between them
  wide_type         ///< from 6.4: a type of three bits, which also tells the bottom
};

[[nodiscard]] OrcEntry decode_orc(std::span<const std::byte, 6> entry, OrcFormat format);

/// A place from which all up to the next is alike.
struct OrcPlace {
  GuestVirt from;
  OrcEntry entry;
};

struct Frame {
  GuestVirt pc;              ///< exact in the first frame and in interrupted ones, else a return address
  GuestVirt sp;              ///< the stack pointer there
  bool interrupted = false;  ///< what called the frame before is an interrupt or exception that came here
  bool entered = false;      ///< its first instruction is next: a retpoline is about to jump there
  bool guessed = false;      ///< found through the frame pointer, for want of ORC data
  /// The general registers there, as instructions encode them; of those whose bit is set in `known`.
  std::array<std::uint64_t, 16> general{};
  std::uint16_t known = 0;

  /// An address of the instruction that is being executed: for return addresses one byte before them.
  [[nodiscard]] GuestVirt lookup_pc(bool first) const {
    return first || interrupted || entered ? pc : pc - 1;
  }
};

struct Stack {
  enum class End : std::uint8_t {
    bottom,      ///< where a kernel thread or a CPU began
    user,        ///< came from user space, at user
    unknown,     ///< code without data, and no frame pointer to go by
    unreadable,  ///< the stack is not where it should be
    limit        ///< deeper than was asked for
  };
  std::vector<Frame> frames;
  End end = End::unknown;
  std::optional<Frame> user;
};

class Unwinder final {
 public:
  /// Fails with one line where the kernel has no ORC data.
  static Result<Unwinder> create(const MemoryView& memory, const KernelSymbols& kernel);
  /// From now on also through these modules' code, and no others'.
  void set_modules(std::span<const Module> modules);

  /// The frames from `registers` on, the innermost first.
  [[nodiscard]] Stack unwind(const Registers& registers, const MemoryView& memory,
                             std::size_t most = 256) const;
  /// The recipe for the instruction at `pc`.
  [[nodiscard]] std::optional<OrcEntry> entry_at(const MemoryView& memory, GuestVirt pc) const;

  /// Whether a function seems to begin at `pc`: a place of its own, with nothing but a return address pushed.
  [[nodiscard]] bool begins_at(const MemoryView& memory, GuestVirt pc) const;
  /// Whether `pc` is where a retpoline returns to its target.
  [[nodiscard]] bool is_retpoline(GuestVirt pc) const { return thunks_.contains(pc) || pc == return_thunk_; }

  struct Table {
    Range code;  ///< what it is consulted for
    OrcTable orc;
  };
  [[nodiscard]] const std::vector<Table>& tables() const { return tables_; }
  /// A whole table in order, entries that say the same joined.
  [[nodiscard]] std::vector<OrcPlace> read(const MemoryView& memory, const Table& table) const;
  [[nodiscard]] OrcFormat format() const { return format_; }

 private:
  [[nodiscard]] std::optional<OrcPlace> place_at(const MemoryView& memory, GuestVirt pc) const;
  void amend(OrcEntry& entry, GuestVirt pc) const;

  std::vector<Table> tables_;  ///< the kernel's own first
  Range thunks_{};             ///< retpolines
  GuestVirt return_thunk_{};
  OrcFormat format_ = OrcFormat::type_end;
};

}  // namespace hindsight::debugger::symbols
