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
    {"fsin", "x87 transcendentals are implementation-specific"},
    {"fcos", "x87 transcendentals are implementation-specific"},
    {"fsincos", "x87 transcendentals are implementation-specific"},
    {"fptan", "x87 transcendentals are implementation-specific"},
    {"fpatan", "x87 transcendentals are implementation-specific"},
    {"f2xm1", "x87 transcendentals are implementation-specific"},
    {"fyl2x", "x87 transcendentals are implementation-specific"},
    {"fyl2xp1", "x87 transcendentals are implementation-specific"},
    {"fnstenv", "stores instruction and operand pointers, which hosts keep differently"},
    {"fnsave", "stores instruction and operand pointers, which hosts keep differently"},
    {"fldenv", "loads instruction and operand pointers, which hosts keep differently"},
    {"frstor", "loads instruction and operand pointers, which hosts keep differently"},
    {"fxsave", "stores instruction and operand pointers, which hosts keep differently"},
    {"fxsave64", "stores instruction and operand pointers, which hosts keep differently"},
};
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

Freedom freedom(const Instruction& instruction, const CpuState& before) {
  const Decoded& d = instruction.decoded;
  const std::string_view name = d.row->mnemonic;
  Freedom out;
  for (const auto& [mnemonic, flags] : kUndefinedFlags)
    if (mnemonic == name) out.eflags |= flags;
  for (const auto& [mnemonic, reason] : kSkips)
    if (mnemonic == name) out.skip = reason;
  add_shift(d, before, out);
  out.approximate =
      std::find(std::begin(kApproximate), std::end(kApproximate), name) != std::end(kApproximate);
  // A source of zero: of a 32-bit destination that is "not modified", hosts may clear the upper half.
  if (name == "bsf" || name == "bsr") out.upper_half = d.operand_bytes == 4 ? static_cast<int>(d.reg) : -1;
  if (from(system_rows(), d.row) && (d.row->flags & kPrivileged) == 0 && !is_system_register_move(*d.row))
    out.skip = "depends on system state that the emulator and the host do not share";
  if (d.lock && is_system_register_move(*d.row)) out.skip = "AMD reads LOCK MOV CR0 as MOV CR8";
  if (is_prefetch_of_register(d)) out.skip = "a prefetch of a register is undefined on some hosts";
  if (is_indirect_branch(d)) out.skip = "the target is data: it would leave the code page";
  return out;
}

}  // namespace hindsight::tests
