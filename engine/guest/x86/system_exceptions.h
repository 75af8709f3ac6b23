// Delivery of exceptions and interrupts through the IDT, in 64-bit and 32-bit protected mode, with double
// faults and shutdown (SDM vol. 3, chapter 6), and the debug conditions of vol. 3, 17.2 and 17.3. Works on
// one CpuState; the run loop's thread only; a function of the state and of memory alone. Not built: hardware
// task switches (task gates are refused with #GP and a warning), virtual-8086 mode and real-mode interrupt
// tables.
#pragma once

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

enum class EventKind : std::uint8_t {
  exception,  ///< raised by the processor, INT1 included: gate DPL not checked, EXT set in nested errors
  external,   ///< an interrupt from outside: likewise
  software,   ///< INT n, INT3, INTO: gate DPL checked, EXT clear
};

struct Event {
  std::uint32_t vector;
  std::uint32_t error_code;
  EventKind kind;
  bool resume_flag;         ///< push RFLAGS with RF set (fault-class exceptions: SDM vol. 3, 17.3.1.1)
  std::uint64_t return_pc;  ///< pushed
};

/// Delivers one event: on success pushes its frame, loads CS, SS, RSP, RFLAGS and CPL and gives the handler's
/// address. False: CpuState::trap says what went wrong and the state is as before.
bool deliver_event(CpuState& state, const Event& event, std::uint64_t& handler);

/// See ir::Guest. state.trap.address of a debug exception carries the DR6 bits to set.
bool deliver_trap(CpuState& state);
bool deliver_interrupt(CpuState& state, std::uint8_t vector);
bool accepts_interrupt(const CpuState& state);
void before_instruction(CpuState& state);
void after_instruction(CpuState& state);
bool must_run_alone(const CpuState& state);

/// To be told of every data access made while a data breakpoint is armed (must_run_alone holds then): notes
/// a hit, which after_instruction reports.
void note_data_access(CpuState& state, std::uint64_t address, std::uint32_t size, bool write);
/// Likewise of an access to ports, which a breakpoint covers where CR4.DE is set (SDM vol. 3, 17.2.4).
void note_port_access(CpuState& state, std::uint16_t port, std::uint32_t size);

/// CoreState::irq_shadow: which instruction cast the interrupt shadow.
constexpr std::uint8_t kShadowSti = 1, kShadowMovSs = 2;

/// DR6 and DR7 (SDM vol. 3, 17.2).
namespace debug {
constexpr std::uint64_t kBd = 1u << 13, kBs = 1u << 14;
constexpr std::uint64_t kDr6Fixed = 0xFFFF0FF0u, kDr6Writable = 0xE00Fu;
constexpr std::uint64_t kDr7Fixed = 0x400u, kDr7Writable = 0xFFFF23FFu;
constexpr std::uint64_t kGd = 1u << 13, kEnables = 0xFFu;
}  // namespace debug

/// What CpuState::stepping says while an instruction runs alone; zero between instructions.
namespace stepping {
constexpr std::uint8_t kTfWasClear = 1, kTfWasSet = 2;  ///< TF at the start of an instruction that changed it
constexpr std::uint8_t kRfLoaded = 4;                   ///< the instruction loaded RF
constexpr std::uint8_t kRepeating = 8;                  ///< a repeated string instruction is not at its end
constexpr unsigned kHitShift = 4;                       ///< 4 bits: data breakpoints hit
}  // namespace stepping

}  // namespace hindsight::engine::guest::x86
