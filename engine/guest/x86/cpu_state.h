// The architectural state of one x86 CPU. Owned by the run loop; its thread only. Everything here is saved
// (traces/schema/cpu_x86.capnp) except what CoreState calls a cache or a host matter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/ir/core_state.h"
#include "engine/port/interrupt.h"

namespace hindsight::engine::guest::x86 {

/// A segment register with its hidden part (SDM vol. 3, 3.4.3).
struct Segment {
  std::uint64_t base;
  std::uint32_t limit;  ///< in bytes, granularity applied
  std::uint16_t selector;
  /// Descriptor bits 40..55: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15.
  std::uint16_t attributes;
};
enum SegmentIndex : unsigned { kEs, kCs, kSs, kDs, kFs, kGs, kSegmentCount };

struct DescriptorTable {
  std::uint64_t base;
  std::uint32_t limit;
};

enum Gpr : unsigned {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15
};

/// A 16-byte register: XMM, or an x87 register in its first 10 bytes.
struct alignas(16) Vector {
  std::uint8_t bytes[16];
};

struct CpuState : ir::CoreState {
  std::uint64_t gpr[16];
  Vector xmm[16];
  /// EFLAGS but for the six condition flags, which live in CoreState::flags.
  std::uint64_t rflags_system;
  std::uint8_t cpl;
  std::uint8_t nmi_blocked;
  /// Debug conditions of the instruction being executed alone (system_exceptions.h); not state.
  std::uint8_t stepping;
  Segment segment[kSegmentCount];
  Segment ldtr, tr;
  DescriptorTable gdtr, idtr;
  std::uint64_t cr0, cr2, cr3, cr4;
  std::uint64_t dr[8];
  std::uint64_t xcr0;
  // x87: st[] is by physical register R0..R7; top is apart from the status word
  Vector st[8];
  std::uint16_t fcw, fsw;  ///< fsw without TOP (bits 11..13 zero)
  std::uint8_t ftop;       ///< 0..7
  std::uint8_t ftw;        ///< abridged tag word: bit i set = register i not empty (SDM vol. 1, 10.5.1.1)
  std::uint16_t fop;
  std::uint64_t fip, fdp;
  // model-specific registers (SDM vol. 4)
  std::uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
  std::uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
  std::uint64_t pat, misc_enable, tsc_offset, mtrr_def_type, spec_ctrl;
  std::uint64_t mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
  // wires; not state
  port::LocalApicPort* apic;
};

constexpr std::uint32_t gpr_offset(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(CpuState, gpr) + index * 8);
}

/// Bits 0.. of the mode tag above bit 48 (CoreState::mode = bits << 48): everything that changes how the same
/// bytes translate.
namespace mode {
constexpr unsigned kShift = 48;
constexpr std::uint64_t kCode64 = 1, kCode32 = 2;  ///< neither: 16-bit code
constexpr std::uint64_t kUser = 4;                 ///< CPL 3
/// Outside long mode: DS, ES or SS is not flat (base 0, 4 GiB).
constexpr std::uint64_t kSegmented = 8;
constexpr std::uint64_t kStack32 = 16;  ///< SS.B outside 64-bit mode
/// CR0.EM or CR0.TS: x87, MMX and SSE raise #NM or #UD as CR0 and CR4 say.
constexpr std::uint64_t kFpuTrap = 32;
constexpr std::uint64_t kSseOff = 64;      ///< CR4.OSFXSR clear: SSE raises #UD
constexpr std::uint64_t kProtected = 128;  ///< CR0.PE
constexpr unsigned kTopShift = 8;          ///< x87 TOP, 3 bits
/// An unmasked SIMD or x87 exception: floating point goes by checked helpers.
constexpr std::uint64_t kFpExact = 1u << 11;
constexpr std::uint64_t kIoPrivileged = 1u << 12;  ///< CPL <= IOPL
constexpr std::uint64_t kLong = 1u << 13;          ///< EFER.LMA
}  // namespace mode

}  // namespace hindsight::engine::guest::x86
