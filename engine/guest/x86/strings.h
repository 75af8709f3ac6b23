// String instructions with a REP prefix (SDM vol. 2, REP): the part shared by all of them, for strings.cc and
// for INS and OUTS. Called by translated code on the run loop's thread. Determinism: how many iterations one
// call does depends on page borders and watched pages, which the guest cannot see: each call leaves the
// registers, memory, flags and budget as that many single iterations would.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/guest/x86/lift.h"

namespace hindsight::engine::guest::x86 {

/// What a REP helper is told about the instruction, in its first argument.
struct StringForm {
  unsigned bytes;          ///< of an element: 1, 2, 4, 8
  unsigned address_bytes;  ///< 2, 4, 8
  unsigned segment;        ///< of the source
  std::uint8_t rep;        ///< 0xF2 or 0xF3
  std::uint64_t mode;      ///< bits of x86::mode

  [[nodiscard]] constexpr std::uint64_t pack() const {
    return bytes | address_bytes << 8 | segment << 16 | std::uint64_t{rep} << 24 | mode << 32;
  }
  static constexpr StringForm unpack(std::uint64_t v) {
    return {static_cast<unsigned>(v & 0xFF), static_cast<unsigned>(v >> 8 & 0xFF),
            static_cast<unsigned>(v >> 16 & 0xFF), static_cast<std::uint8_t>(v >> 24), v >> 32};
  }
};

/// Ends the block with a call of `helper`(form, pc of this instruction, pc of the next).
void lift_rep(LiftContext& c, const ir::HelperInfo& helper, unsigned bytes);
/// For a single iteration in IR: linear address of the element at rSI (source) or ES:rDI.
ir::Value string_source(LiftContext& c, unsigned bytes);
ir::Value string_destination(LiftContext& c, unsigned bytes, bool write);
/// Moves rSI or rDI by one element.
void step_string_register(LiftContext& c, unsigned index, unsigned bytes);

/// One call of a REP helper.
class StringRun {
 public:
  StringRun(ir::CoreState* core, std::uint64_t packed_form, std::uint64_t this_pc, std::uint64_t next_pc)
      : state(*static_cast<CpuState*>(core)),
        form(StringForm::unpack(packed_form)),
        this_pc_(this_pc),
        next_pc_(next_pc) {}

  CpuState& state;
  const StringForm form;

  /// One operand: the register that addresses it.
  struct Side {
    unsigned reg;
    unsigned segment;
    bool write;
  };
  [[nodiscard]] Side source() const { return {kRsi, form.segment, false}; }
  [[nodiscard]] Side destination(bool write) const { return {kRdi, kEs, write}; }

  [[nodiscard]] bool backward() const { return (state.rflags_system & flag::kDf) != 0; }
  [[nodiscard]] bool trapped() const { return state.trap.kind != ir::TrapKind::none; }
  /// Iterations that remain and may be done now.
  [[nodiscard]] std::uint64_t allowed() const;
  /// How many of `most` elements lie in one page and do not wrap.
  [[nodiscard]] std::uint64_t run_length(Side side, std::uint64_t most) const;
  /// Host memory of `count` elements from the next on (its lowest byte, also when going backward), or nullptr
  /// if they must be accessed one by one; never leaves a trap.
  std::byte* window(Side side, std::uint64_t count);
  /// Linear address of the next element; nothing and a trap if the segment forbids it.
  std::optional<std::uint64_t> element_address(Side side);
  /// Next element through MemoryOps; look at trapped().
  std::uint64_t load_element(Side side, std::uint32_t extra_access = 0);
  void store_element(Side side, std::uint64_t value);
  /// `count` more iterations are done.
  void advance(std::uint64_t count, bool uses_source, bool uses_destination);
  /// Result of the helper. `stop`: the condition of REPE or REPNE has ended it.
  std::uint64_t finish(bool stop = false);

 private:
  [[nodiscard]] std::uint64_t address_mask() const {
    return ~std::uint64_t{0} >> (64 - 8 * form.address_bytes);
  }
  [[nodiscard]] std::uint64_t read_register(unsigned index) const {
    return state.gpr[index] & address_mask();
  }
  void write_register(unsigned index, std::uint64_t value);
  /// The segment of this operand has neither base nor limit to look at, or only a base.
  [[nodiscard]] bool is_flat(Side side) const {
    return (form.mode & mode::kCode64) != 0 || (side.segment < kFs && (form.mode & mode::kSegmented) == 0);
  }
  [[nodiscard]] std::uint64_t flat_address(Side side, std::uint64_t offset) const {
    return side.segment < kFs ? offset : state.segment[side.segment].base + offset;
  }
  [[nodiscard]] std::optional<std::uint64_t> linear(Side side, std::uint64_t offset,
                                                    std::uint64_t bytes) const;
  std::uint64_t this_pc_, next_pc_;
  std::uint64_t done_ = 0;
};

}  // namespace hindsight::engine::guest::x86
