// What a boot loader hands to the machine: where the first CPU starts and in which state. The loader has
// already written everything it names to guest memory. A plain value; any thread; deterministic.
#pragma once

#include <cstdint>

#include "engine/base/types.h"

namespace hindsight::devices::firmware {

struct BootState {
  enum class Mode : std::uint8_t {
    /// CR0 = PG|WP|NE|ET|PE, CR4 = PAE, EFER = LME|LMA, CR3 = page_table_root; code segment with L set.
    long_mode = 1,
    /// CR0 = PE|ET, CR4 = 0, EFER = 0, flat 32-bit code and data segments, no paging.
    protected32 = 2,
  };
  Mode mode = Mode::long_mode;
  std::uint64_t entry = 0;  ///< RIP
  std::uint64_t rsi = 0;
  std::uint64_t rbx = 0;
  std::uint64_t rsp = 0;      ///< a small scratch stack in low memory
  GuestPhys page_table_root;  ///< CR3 in long mode
  GuestPhys gdt_base;         ///< the GDT in guest memory that the selectors below refer to
  std::uint16_t gdt_limit = 0;
  std::uint16_t code_selector = 0;  ///< CS: base 0, limit 4 GiB, execute/read
  std::uint16_t data_selector = 0;  ///< DS, ES, SS, FS, GS: base 0, limit 4 GiB, read/write
  std::uint16_t task_selector = 0;  ///< TR: a busy TSS with base 0 and limit 67h
  // RFLAGS is 2 (interrupts off), the IDT is empty (limit 0), every register not named is 0.
};

}  // namespace hindsight::devices::firmware
