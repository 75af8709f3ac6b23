// The CPU state as a whole: power-on values, what a boot loader hands to a kernel, and saving and loading
// through the schema. The run loop's thread only, between instructions.
#pragma once

#include <array>
#include <string>

#include "engine/guest/x86/cpu_state.h"
#include "engine/port/stateful.h"
#include "traces/schema/cpu_x86.capnp.h"

namespace hindsight::engine::guest::x86 {

/// Power-on state (SDM vol. 3, table 9-1). Keeps what belongs to the run loop: memory, environment, apic,
/// budget and time.
void reset(CpuState& state);

/// What a boot loader leaves in the CPU. Segments are flat; CS gets code_selector, DS, ES, SS, FS and GS get
/// data_selector. MTRRs are set as firmware does: everything write-back but the adapter area and the hole.
struct BootRegisters {
  enum class Mode : std::uint8_t {
    protected32,  ///< 32-bit protected mode, paging off (Linux 32-bit boot protocol, PVH)
    long64,       ///< 64-bit mode, paging on with `cr3` (Linux 64-bit boot protocol)
  };
  Mode mode = Mode::protected32;
  std::uint64_t rip = 0, rsp = 0, rbx = 0, rsi = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t gdt_base = 0;
  std::uint32_t gdt_limit = 0;
  std::uint16_t code_selector = 0x10, data_selector = 0x18;
  /// Start of the uncached hole below 4 GiB; 4 GiB minus it is a power of two.
  std::uint64_t hole_base = 0xC0000000;
};
/// From reset state. Calls MemoryOps::context_changed if there is a memory.
void apply_boot(CpuState& state, const BootRegisters& boot);

/// The CPU as a part of the machine.
class CpuStateful final : public port::StatefulAs<traces::schema::CpuX86State> {
 public:
  CpuStateful(CpuState& state, std::string name) : state_(state), name_(std::move(name)) {}
  [[nodiscard]] std::string_view state_name() const override { return name_; }
  void save(traces::schema::CpuX86State::Builder out) const override;
  void load(traces::schema::CpuX86State::Reader in) override;

 private:
  CpuState& state_;
  std::string name_;
};

}  // namespace hindsight::engine::guest::x86
