// A symbol file for debuggers, made of what the guest's memory tells: an ELF64 image at run-time addresses
// with sections that have no contents, .symtab, and .debug_frame made of the ORC data. gdb loads it with
// `file` or `symbol-file` and names, breaks, and unwinds by it. Pure function of its arguments; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/modules.h"
#include "debugger/symbols/orc.h"

namespace hindsight::debugger::symbols {

/// `unwinder` may be null: then without .debug_frame. It should know of the same modules.
[[nodiscard]] std::vector<std::byte> write_elf(const KernelSymbols& kernel, std::span<const Module> modules,
                                               const Unwinder* unwinder, const MemoryView& memory);

}  // namespace hindsight::debugger::symbols
