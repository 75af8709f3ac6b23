// Guest memory of the differential ladder: the window of native_runner.h over a private buffer, with the
// faults that the host's page tables give there, at privilege level 3. One test thread; deterministic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/ir/core_state.h"
#include "engine/ir/guest.h"
#include "tests/support/native_runner.h"

namespace hindsight::tests {

class WindowMemory {
 public:
  static constexpr std::size_t kBytes = native_layout::kWindowBytes;

  /// `guest` computes CoreState::mode when a helper changes what decides it.
  explicit WindowMemory(engine::ir::Guest& guest) : guest_(guest) { empty_tlb(); }

  /// Connects a state to this memory. `fill_tlb`: the window's pages are in the inline path from the start.
  void attach(engine::ir::CoreState& state, bool fill_tlb);

  std::array<std::byte, kBytes>& bytes() { return bytes_; }
  /// An access touched canonical addresses outside the reserved zone: the host must not run this.
  [[nodiscard]] bool escaped() const { return escaped_; }

 private:
  using State = engine::ir::CoreState;
  static const engine::ir::MemoryOps kOps;
  static WindowMemory& of(State* s) { return *static_cast<WindowMemory*>(s->environment); }
  /// Checks every byte; false with a trap set.
  bool allowed(State& s, std::uint64_t address, std::uint64_t size, bool write, std::uint32_t access);
  bool page_allowed(State& s, std::uint64_t address, bool write, std::uint32_t access);
  std::byte* at(std::uint64_t address) { return &bytes_[address - native_layout::kWindow]; }
  void empty_tlb();

  engine::ir::Guest& guest_;
  alignas(4096) std::array<std::byte, kBytes> bytes_{};
  engine::ir::TlbView view_;
  engine::ir::JumpTable jumps_;
  bool escaped_ = false;
};

}  // namespace hindsight::tests
