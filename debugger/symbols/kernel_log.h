// The kernel's log (what dmesg prints), out of the ring buffer in guest memory: Linux 5.10 and later
// (Documentation/core-api/printk-ringbuffer and kernel/printk/printk_ringbuffer.h of the kernel). Values as
// of the instant they were read; every read is bounded. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/memory_view.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

struct LogRecord {
  std::uint64_t sequence = 0;
  std::uint64_t nanoseconds = 0;  ///< of the guest's clock, since its boot
  unsigned level = 0;             ///< 0 emergency to 7 debug
  std::string text;               ///< may have several lines; without the last newline

  /// As dmesg prints it: "[    1.234567] text", each line with its time.
  [[nodiscard]] std::string line() const;
};

/// What the ring still holds, the oldest first. Fails with one line where there is no such ring.
Result<std::vector<LogRecord>> read_log(const MemoryView& memory, const KernelSymbols& kernel);

}  // namespace hindsight::debugger::symbols
