// Linear to physical: the page walk of 4-level, PAE and 32-bit paging, with the checks, the error codes and
// the accessed and dirty bits of SDM vol. 3, 4.2 to 4.8. Stateless; the run loop's thread only. A walk is a
// function of memory and the control state alone: there is no TLB here and PDPTE registers are not modelled
// (a PAE walk reads the four entries from memory), so a translation can never be stale.
#pragma once

#include "engine/guest/x86/cpu_state.h"
#include "engine/ir/guest.h"

namespace hindsight::engine::guest::x86 {

/// See ir::Guest::walk. Accessed bits are set only by walks that succeed.
ir::Walk walk_page_tables(CpuState& state, std::uint64_t address, ir::AccessKind kind, std::uint32_t access,
                          ir::PageTableMemory& tables);

/// See ir::Guest::inspect.
ir::PageView inspect_page(const CpuState& state, std::uint64_t address, ir::PageTableMemory& tables);

/// See ir::Guest::view_key. Exact: the root bits of CR3 and every control bit that a walk looks at.
ir::ViewKey view_key(const CpuState& state, std::uint32_t access);

}  // namespace hindsight::engine::guest::x86
