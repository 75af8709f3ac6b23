#include "tests/isa/ladder_undefined.h"

#include <algorithm>
#include <string_view>

namespace hindsight::tests {

using namespace engine::guest::x86;
namespace eflags = engine::ir::eflags;

namespace {

/// SDM vol. 2, "Flags Affected" of each instruction.
struct UndefinedFlags {
  std::string_view mnemonic;
  std::uint32_t flags;
};
constexpr UndefinedFlags kUndefinedFlags[] = {
    {"and", eflags::kA},
    {"or", eflags::kA},
    {"xor", eflags::kA},
    {"test", eflags::kA},
    {"mul", eflags::kS | eflags::kZ | eflags::kA | eflags::kP},
    {"imul", eflags::kS | eflags::kZ | eflags::kA | eflags::kP},
    {"div", eflags::kAll},
    {"idiv", eflags::kAll},
    {"bt", eflags::kV | eflags::kS | eflags::kA | eflags::kP},
    {"bts", eflags::kV | eflags::kS | eflags::kA | eflags::kP},
    {"btr", eflags::kV | eflags::kS | eflags::kA | eflags::kP},
    {"btc", eflags::kV | eflags::kS | eflags::kA | eflags::kP},
    {"bsf", eflags::kC | eflags::kV | eflags::kS | eflags::kA | eflags::kP},
    {"bsr", eflags::kC | eflags::kV | eflags::kS | eflags::kA | eflags::kP},
};

struct Skip {
  std::string_view mnemonic;
  const char* reason;
};
constexpr Skip kSkips[] = {
    {"ret", "the target is data: it would leave the code page"},
    {"popf", "could set TF or AC in the test process"},
    {"fxsave", "stores instruction and operand pointers, which hosts keep differently"},
    {"fxsave64", "stores instruction and operand pointers, which hosts keep differently"},
    {"xsave", "the host's XSAVE state has other components"},
    {"xsave64", "the host's XSAVE state has other components"},
    {"xrstor", "the host's XSAVE state has other components"},
    {"xrstor64", "the host's XSAVE state has other components"},
    {"xsaveopt", "the host's XSAVE state has other components"},
    {"xsaveopt64", "the host's XSAVE state has other components"},
};
/// x87 instructions by x87_selector.
struct X87Skip {
  unsigned selector;
  const char* reason;
};
constexpr const char* kTranscendental = "x87 transcendentals are implementation-specific";
constexpr const char* kPointers = "hosts keep the x87 instruction and operand pointers differently";
constexpr X87Skip kX87Skips[] = {
    {0xD9F0, kTranscendental},  // F2XM1
    {0xD9F1, kTranscendental},  // FYL2X
    {0xD9F2, kTranscendental},  // FPTAN
    {0xD9F3, kTranscendental},  // FPATAN
    {0xD9F9, kTranscendental},  // FYL2XP1
    {0xD9FB, kTranscendental},  // FSINCOS
    {0xD9FE, kTranscendental},  // FSIN
    {0xD9FF, kTranscendental},  // FCOS
    {0xD920, kPointers},        // FLDENV
    {0xD930, kPointers},        // FNSTENV
    {0xDD20, kPointers},        // FRSTOR
    {0xDD30, kPointers},        // FNSAVE
};
constexpr std::uint16_t kDenormalMask = 2;  // of the control word
constexpr const char* kUndocumented = "an undocumented alias";
constexpr std::uint16_t kC0 = 1u << 8, kC1 = 1u << 9, kC2 = 1u << 10, kC3 = 1u << 14;
constexpr std::string_view kApproximate[] = {"rcpps", "rcpss", "rsqrtps", "rsqrtss"};

bool from(std::span<const Row> table, const Row* row) {
  return row >= table.data() && row < table.data() + table.size();
}

/// AMD makes the register form of the prefetches undefined, Intel a no-operation.
bool is_prefetch_of_register(const Decoded& d) {
  return d.map == Map::x0f && d.opcode == 0x0D && !d.is_memory();
}

/// MOV to and from control and debug registers: above CPL 0 nothing but which exception comes first.
bool is_system_register_move(const Row& row) {
  return std::any_of(std::begin(row.operands), std::end(row.operands),
                     [](Operand o) { return o == Operand::Cd || o == Operand::Dd; });
}

bool is_indirect_branch(const Decoded& d) {
  const std::string_view name = d.row->mnemonic;
  return (name == "call" || name == "jmp") && d.row->has_modrm();
}

std::uint8_t shift_count(const Decoded& d, const CpuState& before) {
  std::uint64_t count = 1;
  for (const Operand o : d.row->operands) {
    if (o == Operand::Ib) count = static_cast<std::uint64_t>(d.immediate);
    if (o == Operand::CL) count = before.gpr[kRcx];
  }
  const bool byte = d.row->operands[0] == Operand::Eb;
  return static_cast<std::uint8_t>(count & (!byte && d.operand_bytes == 8 ? 63 : 31));
}

/// Shifts and rotates: what is undefined depends on the count.
void add_shift(const Decoded& d, const CpuState& before, Freedom& out) {
  const std::string_view name = d.row->mnemonic;
  const bool rotate = name == "rol" || name == "ror" || name == "rcl" || name == "rcr";
  const bool shift = name == "shl" || name == "shr" || name == "sar", two = name == "shld" || name == "shrd";
  if (!rotate && !shift && !two) return;
  const unsigned count = shift_count(d, before);
  const unsigned width = d.row->operands[0] == Operand::Eb ? 8 : 8u * d.operand_bytes;
  if (count == 0) return;
  if (count != 1) out.eflags |= eflags::kV;
  if (rotate) return;
  out.eflags |= eflags::kA;
  if (name != "sar" && count >= width) out.eflags |= eflags::kC;
  if (two && count > width) out.skip = "the result of a double shift by more than the width is undefined";
}

}  // namespace

unsigned x87_selector(const Decoded& d) {
  if (d.map != Map::one || d.opcode < 0xD8 || d.opcode > 0xDF) return 0;
  return d.opcode << 8 | (d.is_memory() ? d.modrm & 0x38u : d.modrm);
}

namespace {

/// ST(i) holds a finite number in a supported format, not zero (SDM vol. 1, table 8-3).
bool is_finite(const CpuState& s, unsigned i) {
  const unsigned physical = (s.ftop + i) & 7;
  const std::uint8_t* const bytes = s.st[physical].bytes;
  const unsigned exponent = (bytes[8] | bytes[9] << 8) & 0x7FFF;
  const bool integer_bit = (bytes[7] & 0x80) != 0;
  const bool supported = exponent == 0 || integer_bit;
  const bool zero = std::all_of(bytes, bytes + 8, [](std::uint8_t b) { return b == 0; });
  return (s.ftw >> physical & 1) != 0 && exponent != 0x7FFF && supported && !zero;
}

/// SDM vol. 2, "FPU Flags Affected" of each instruction, and where AMD's hosts differ from it.
void add_x87(const Decoded& d, const CpuState& before, Freedom& out) {
  const unsigned selector = x87_selector(d);
  if (selector == 0) return;
  for (const auto& skip : kX87Skips)
    if (skip.selector == selector) out.skip = skip.reason;
  const unsigned opcode = selector >> 8, group = selector & 0xF8, digit = d.modrm >> 3 & 7u;
  if (d.is_memory()) {
    const bool comparison =
        (opcode == 0xD8 || opcode == 0xDA || opcode == 0xDC || opcode == 0xDE) && (digit == 2 || digit == 3);
    if (comparison) out.fsw_unmasked = kC0 | kC2 | kC3;
    // Whether a load of a denormal that traps has pushed: SDM vol. 1, 8.5.2 says no, AMD's hosts do.
    if ((opcode == 0xD9 || opcode == 0xDD) && digit == 0 && (before.fcw & kDenormalMask) == 0)
      out.skip = "vendors differ in what a load leaves whose denormal operand traps";
    return;
  }
  const bool conditional_move = (opcode == 0xDA || opcode == 0xDB) && group < 0xE0 && selector != 0xDAE9;
  const bool to_eflags = (opcode == 0xDB || opcode == 0xDF) && (group == 0xE8 || group == 0xF0);
  if (conditional_move || to_eflags) out.fsw |= kC1;  // cleared, or kept where nothing overflows
  if (to_eflags) out.eflags_unmasked = eflags::kAll;
  constexpr unsigned kFxtract = 0xD9F4, kFprem1 = 0xD9F5, kFprem = 0xD9F8;
  if (selector == kFxtract) out.fsw |= kC0 | kC2 | kC3;
  const bool remainder = selector == kFprem || selector == kFprem1;
  if (remainder && (before.fcw & kDenormalMask) == 0) out.fsw |= kC0 | kC1 | kC2 | kC3;
  if (remainder && (!is_finite(before, 0) || !is_finite(before, 1))) out.fsw |= kC0 | kC1 | kC2 | kC3;
  if (opcode == 0xDD && group == 0xC0) out.fsw |= kC0 | kC1 | kC2 | kC3;
  if (opcode == 0xDF && group == 0xC0) out.fsw |= kC0 | kC1 | kC2 | kC3;
  if (opcode == 0xD9 && group == 0xD8) out.skip = kUndocumented;
  out.fsw_unmasked = kC0 | kC1 | kC2 | kC3;
}

}  // namespace

Freedom freedom(const Instruction& instruction, const CpuState& before) {
  const Decoded& d = instruction.decoded;
  const std::string_view name = d.row->mnemonic;
  Freedom out;
  for (const auto& [mnemonic, flags] : kUndefinedFlags)
    if (mnemonic == name) out.eflags |= flags;
  for (const auto& [mnemonic, reason] : kSkips)
    if (mnemonic == name) out.skip = reason;
  add_x87(d, before, out);
  add_shift(d, before, out);
  constexpr std::uint32_t kOverflowMask = 1u << 10, kUnderflowMask = 1u << 11;
  out.precision = (~before.guest_mxcsr & (kOverflowMask | kUnderflowMask)) != 0;
  out.approximate =
      std::find(std::begin(kApproximate), std::end(kApproximate), name) != std::end(kApproximate);
  out.all_simd_flags = name == "dpps" || name == "dppd";
  if (name == "movsxd" && d.operand_bytes == 2) out.skip = "vendors differ in the size of the source";
  // A source of zero: of a 32-bit destination that is "not modified", hosts may clear the upper half.
  if (name == "bsf" || name == "bsr") out.upper_half = d.operand_bytes == 4 ? static_cast<int>(d.reg) : -1;
  if (from(system_rows(), d.row) && (d.row->flags & kPrivileged) == 0 && !is_system_register_move(*d.row))
    out.skip = "depends on system state that the emulator and the host do not share";
  // SDM vol. 2, MASKMOVQ and MASKMOVDQU: fault behaviour is implementation-specific.
  constexpr std::uint64_t kWritable = native_layout::kWritablePages * native_layout::kPage;
  if (name.starts_with("maskmov") && before.gpr[kRdi] - native_layout::kWindow > kWritable - 16)
    out.skip = "faults of masked stores are implementation-specific";
  out.fault_kind = name.starts_with("fxrstor");
  for (const Operand o : d.row->operands)
    out.mmx_on_fault |= o == Operand::P || o == Operand::Q || o == Operand::N;
  if (name == "cvtpi2ps" && d.is_memory()) out.skip = "vendors differ in whether this enters MMX mode";
  if (d.lock && is_system_register_move(*d.row)) out.skip = "AMD reads LOCK MOV CR0 as MOV CR8";
  if (is_prefetch_of_register(d)) out.skip = "a prefetch of a register is undefined on some hosts";
  if (is_indirect_branch(d)) out.skip = "the target is data: it would leave the code page";
  return out;
}

}  // namespace hindsight::tests
