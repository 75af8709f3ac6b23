// The tasks of a Linux guest: who there is, what each does, and where it sleeps. Offsets come from the
// kernel's own BTF (btf.h). Values as of the instant they were read; every walk is bounded. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "debugger/symbols/btf.h"
#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/machine_view.h"
#include "debugger/symbols/memory_view.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

struct Task {
  GuestVirt address{};  ///< of its task_struct
  std::uint32_t pid = 0, tgid = 0;
  std::string name;         ///< comm
  std::uint32_t state = 0;  ///< the kernel's bits
  bool on_cpu = false;      ///< always false in kernels for one CPU only, which do not note it
  bool kernel_thread = false;
  /// Of one that does not run: where it goes on, as Unwinder::unwind wants them.
  std::optional<Registers> saved;

  /// As ps(1) has it: R, S, D, T, t, I; ? for what else there is.
  [[nodiscard]] char state_letter() const;
};

class TaskReader final {
 public:
  /// Fails with one line where the kernel does not tell where things are.
  static Result<TaskReader> create(const Btf& btf, const KernelSymbols& kernel);
  /// Every thread of every process, the idle task first, then in the kernel's order.
  [[nodiscard]] std::vector<Task> read(const MemoryView& memory) const;

 private:
  [[nodiscard]] std::optional<Task> task_at(const MemoryView& memory, GuestVirt address) const;

  GuestVirt init_task_{};
  std::uint64_t tasks_ = 0, pid_ = 0, tgid_ = 0, comm_ = 0, state_ = 0, mm_ = 0, sp_ = 0, signal_ = 0,
                thread_head_ = 0, thread_node_ = 0;
  std::optional<std::uint64_t> on_cpu_;
};

}  // namespace hindsight::debugger::symbols
