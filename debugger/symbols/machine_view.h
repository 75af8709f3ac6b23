// A CPU's registers and address space as symbol code wants them, out of the state that every machine saves.
// Values; the view borrows the machine's RAM. The run loop's thread, between instructions; changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "debugger/symbols/page_table_view.h"
#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "traces/schema/cpu_x86.capnp.h"

namespace hindsight::debugger::symbols {

/// Where the CPU stands.
struct Registers {
  enum Number : std::uint8_t {  ///< as instructions encode them
    rax = 0,
    rcx = 1,
    rdx = 2,
    rbx = 3,
    rsp = 4,
    rbp = 5,
    rsi = 6,
    rdi = 7,
    r8 = 8,
    r10 = 10,
    r13 = 13,
    r15 = 15
  };
  std::array<std::uint64_t, 16> general{};
  std::uint64_t rip = 0;
  unsigned cpl = 0;

  [[nodiscard]] std::uint64_t operator[](Number number) const { return general[number]; }
};

[[nodiscard]] Registers registers_of(traces::schema::CpuX86State::Reader cpu);
/// The address space the CPU is in; the kernel's side of it where page-table isolation split them.
[[nodiscard]] PageTableView memory_of(const engine::port::RamPages& ram,
                                      traces::schema::CpuX86State::Reader cpu);

/// Both, of the machine's part `cpu` ("cpu0").
struct CpuView {
  Registers registers;
  PageTableView memory;
};
Result<CpuView> view_of(engine::port::Machine& machine, std::string_view cpu);

}  // namespace hindsight::debugger::symbols
