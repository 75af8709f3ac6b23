// All that is known of a guest's kernel, in one place: its symbols and its modules', call stacks, log, and
// the symbol file for debuggers. Owned by the debugger; found once per boot, refreshed where the machine
// stands when modules may have come or gone. One thread.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "debugger/symbols/kernel_log.h"
#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/machine_view.h"
#include "debugger/symbols/module_sections.h"
#include "debugger/symbols/modules.h"
#include "debugger/symbols/orc.h"
#include "debugger/symbols/tasks.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

class GuestKernel final {
 public:
  /// As KernelSymbols::find; a kernel without ORC data is one whose stacks cannot be unwound.
  static Result<GuestKernel> find(const MemoryView& memory);
  /// Reads the list of modules again. Symbols of modules given out before are no longer valid.
  void refresh(const MemoryView& memory);

  [[nodiscard]] const KernelSymbols& symbols() const { return symbols_; }
  [[nodiscard]] const std::vector<Module>& modules() const { return modules_; }

  /// The symbol, the kernel's or a module's, that covers `address`.
  [[nodiscard]] std::optional<Location> at(GuestVirt address) const;
  /// "name+0x12 [module]", or the bare address.
  [[nodiscard]] std::string describe(GuestVirt address) const;
  /// Every symbol of that name. "name [module]" and "module:name" ask for that module's only.
  [[nodiscard]] std::vector<Symbol> find_symbol(std::string_view name) const;

  /// Fails where the kernel has no ORC data.
  Result<Stack> unwind(const Registers& registers, const MemoryView& memory, std::size_t most = 256) const;
  /// One frame a line: "#0  ffffffff81000123  name+0x23 [module]".
  [[nodiscard]] std::string describe(const Stack& stack) const;

  Result<std::vector<LogRecord>> log(const MemoryView& memory) const { return read_log(memory, symbols_); }
  /// Every task. Fails where the kernel carries no BTF; the first call reads that.
  Result<std::vector<Task>> tasks(const MemoryView& memory);
  /// Of one of modules(). Fails likewise; empty: they cannot be read.
  Result<std::vector<ModuleSection>> sections(const Module& module, const MemoryView& memory);
  /// See symbol_elf.h.
  [[nodiscard]] std::vector<std::byte> elf(const MemoryView& memory) const;

 private:
  KernelSymbols symbols_;
  std::vector<Module> modules_;
  std::optional<Unwinder> unwinder_;
  std::optional<TaskReader> task_reader_;
  std::optional<SectionReader> section_reader_;
};

}  // namespace hindsight::debugger::symbols
