// A guest without an architecture, for tests of the code generator: sixteen general and sixteen vector
// registers and a few pages of memory with different manners. One test thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/ir/core_state.h"
#include "engine/ir/guest.h"

namespace hindsight::engine::test {

struct MachineState : ir::CoreState {
  std::uint64_t gpr[16];
  alignas(16) std::uint8_t vec[16][16];
};
constexpr std::uint32_t gpr_at(unsigned i) {
  return static_cast<std::uint32_t>(offsetof(MachineState, gpr) + i * 8);
}
constexpr std::uint32_t vec_at(unsigned i) {
  return static_cast<std::uint32_t>(offsetof(MachineState, vec) + i * 16);
}

/// General registers 0..8 are the ones to pin.
const ir::RegisterTable& register_table();

/// Guest pages from kBase on: 0..3 plain RAM, 4 RAM that never enters the TLB, 5 read-only, 6 to be accessed
/// alone, everything else faults.
class Machine {
 public:
  static constexpr std::uint64_t kBase = 0x40000000, kPages = 7, kPageBytes = 4096;
  static constexpr std::uint64_t kSlowPage = 4, kReadOnlyPage = 5, kAlonePage = 6;
  Machine();

  MachineState state{};
  std::vector<std::uint8_t> ram;
  std::uint64_t slow_accesses = 0;
  bool fill_tlb = true;

  void flush_tlb();
  void clear_jumps(const void* invalid);
  [[nodiscard]] ir::JumpTable& jumps() { return *jumps_; }
  [[nodiscard]] ir::TlbView& view() { return *view_; }

 private:
  friend struct MachineMemory;
  bool check(std::uint64_t address, std::uint64_t size, bool write);
  std::unique_ptr<ir::TlbView> view_;
  std::unique_ptr<ir::JumpTable> jumps_;
};

}  // namespace hindsight::engine::test
