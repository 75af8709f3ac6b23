// The modules that a Linux kernel has loaded, with their symbols. No debug information says where in struct
// module things are, and that depends on the kernel's configuration: they are found by what only they can
// look like (a pointer back to the module, tables whose entries lead into its code). Values, true for the
// instant at which they were read; owned by the debugger, any thread. Every read is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/symbol_table.h"

namespace hindsight::debugger::symbols {

/// Where unwinding data lies: `count` code addresses, in order, and as many entries (orc.h).
struct OrcTable {
  GuestVirt addresses, entries;
  std::uint32_t count = 0;
};

struct Module {
  enum class State : std::uint32_t { live = 0, coming = 1, going = 2 };  ///< enum module_state of Linux

  std::string name;
  GuestVirt address{};  ///< of its struct module
  State state = State::live;
  Range text{};         ///< of its code; empty when it was not found
  Range init_text{};    ///< of the code that initialises it, while it does
  SymbolTable symbols;  ///< empty when it was not found
  OrcTable orc;         ///< likewise
};

/// All modules that are linked into the kernel's list, the newest first; empty when it has no such list.
[[nodiscard]] std::vector<Module> read_modules(const MemoryView& memory, const KernelSymbols& kernel);

}  // namespace hindsight::debugger::symbols
