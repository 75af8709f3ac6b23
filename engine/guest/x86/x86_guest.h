// The x86 guest architecture: joins decoder, lifter and the system part (system_*.h) behind ir::Guest.
// Owned by the run loop; its thread only. Lifting is a function of the bytes and the mode; everything
// architectural is in the state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/decode.h"
#include "engine/ir/builder.h"
#include "engine/ir/guest.h"

namespace hindsight::engine::guest::x86 {

class X86Guest final : public ir::Guest {
 public:
  X86Guest();

  [[nodiscard]] const ir::RegisterTable& registers() const override { return registers_; }
  [[nodiscard]] std::size_t state_size() const override { return sizeof(CpuState); }
  ir::LiftOutcome lift(const ir::LiftRequest& request, ir::Block& out) override;
  [[nodiscard]] std::uint64_t mode(const ir::CoreState& state) const override;
  [[nodiscard]] ir::ViewKey view_key(const ir::CoreState& state, std::uint32_t access) const override;
  ir::Walk walk(ir::CoreState& state, std::uint64_t address, ir::AccessKind kind, std::uint32_t access,
                ir::PageTableMemory& tables) override;
  [[nodiscard]] ir::PageView inspect(const ir::CoreState& state, std::uint64_t address,
                                     ir::PageTableMemory& tables) const override;
  [[nodiscard]] std::uint64_t stack_pointer(const ir::CoreState& state) const override;
  [[nodiscard]] bool deliver_trap(ir::CoreState& state) override;
  [[nodiscard]] bool accepts_interrupt(const ir::CoreState& state) const override;
  [[nodiscard]] bool deliver_interrupt(ir::CoreState& state, std::uint8_t vector) override;
  void before_instruction(ir::CoreState& state) override;
  void after_instruction(ir::CoreState& state) override;
  [[nodiscard]] bool must_run_alone(const ir::CoreState& state) const override;
  [[nodiscard]] bool watches_data(const ir::CoreState& state) const override;
  void data_accessed(ir::CoreState& state, std::uint64_t address, std::uint32_t size, bool write) override;
  [[nodiscard]] std::string describe(const ir::CoreState& state) const override;
  [[nodiscard]] std::string dump(const ir::CoreState& state) const override;

  [[nodiscard]] const Decoder& decoder() const { return decoder_; }

 private:
  /// Lifts one decoded instruction; true if the block has ended with it.
  bool lift_instruction(ir::Builder& builder, const Decoded& decoded, std::uint64_t block_mode,
                        std::uint64_t& mode_bits, std::int64_t offset);
  void report_undefined(std::span<const std::uint8_t> bytes, const Decoded& decoded);

  Decoder decoder_;
  ir::RegisterTable registers_;
  std::unordered_set<std::uint32_t> reported_;  ///< opcodes whose absence has been logged; never iterated
};

}  // namespace hindsight::engine::guest::x86
