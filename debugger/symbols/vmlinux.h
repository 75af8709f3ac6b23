// A kernel's ELF file with symbols (vmlinux, as debug packages have it), and the build id by which it is
// known to be the one that runs. Values; any thread. The file may hold anything: it is read or refused.
#pragma once

#include <string>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/symbol_table.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

/// The bytes of an NT_GNU_BUILD_ID note; empty when there is none.
using BuildId = std::vector<std::byte>;

struct Vmlinux {
  SymbolTable symbols;  ///< at run-time addresses
  BuildId build_id;
};

/// Reads .symtab, its addresses moved by `slide` (KernelSymbols::slide()). Errors name the file.
Result<Vmlinux> read_vmlinux(const std::string& path, std::uint64_t slide);

/// The build id of the kernel that runs, from its notes.
[[nodiscard]] BuildId running_build_id(const MemoryView& memory, const KernelSymbols& kernel);

/// "1f2e…", as file(1) and gdb say it.
[[nodiscard]] std::string to_text(const BuildId& id);

}  // namespace hindsight::debugger::symbols
