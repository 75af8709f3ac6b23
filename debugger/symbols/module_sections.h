// Where the sections of a loaded module lie, as /sys/module/NAME/sections shows them: what a debugger must
// know to use the module's file. From the kernel's own tables, by its BTF. Values, true for the instant at
// which they were read; owned by the debugger, any thread. Every read is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "debugger/symbols/btf.h"
#include "debugger/symbols/memory_view.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

struct ModuleSection {
  std::string name;
  GuestVirt address;
};

class SectionReader final {
 public:
  /// Fails with one line where the kernel's BTF describes no such tables.
  static Result<SectionReader> create(const Btf& btf);

  /// Of the module whose struct module is at `module`, in the order of its file; empty: it cannot be read.
  [[nodiscard]] std::vector<ModuleSection> read(const MemoryView& memory, GuestVirt module) const;

 private:
  std::uint64_t table_ = 0, count_ = 0, first_ = 0, name_ = 0, address_ = 0, size_ = 0;
};

}  // namespace hindsight::debugger::symbols
