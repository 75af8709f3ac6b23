#include "tests/unit/engine/x64_emitter_judge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/base/check.h"

namespace hindsight::tests {

namespace x64 = engine::host::x64;
namespace x86 = asmjit::x86;

EmitterJudge::EmitterJudge() {
  CHECK(code_.init(asmjit::Environment(asmjit::Arch::kX64)) == asmjit::kErrorOk, "AsmJit does not start");
  CHECK(code_.attach(&assembler_) == asmjit::kErrorOk, "AsmJit does not start");
  CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)),
        "Zydis does not start");
}

bool EmitterJudge::decode(Bytes bytes, Insn& out) const {
  return ZYAN_SUCCESS(
             ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &out.head, out.operands)) &&
         out.head.length == bytes.size();
}

bool EmitterJudge::same_operand(const ZydisDecodedOperand& a, const ZydisDecodedOperand& b,
                                std::uint16_t width) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return a.reg.value == b.reg.value;
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return a.size == b.size && a.mem.base == b.mem.base && a.mem.index == b.mem.index &&
             (a.mem.index == ZYDIS_REGISTER_NONE || a.mem.scale == b.mem.scale) &&
             a.mem.disp.value == b.mem.disp.value;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: {
      const std::uint64_t mask = width >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
      return a.imm.is_relative == b.imm.is_relative && (a.imm.value.u & mask) == (b.imm.value.u & mask);
    }
    default:
      return false;
  }
}

bool EmitterJudge::same_meaning(const Insn& a, const Insn& b) {
  if (a.head.mnemonic != b.head.mnemonic || a.head.operand_count_visible != b.head.operand_count_visible ||
      (a.head.attributes & ZYDIS_ATTRIB_HAS_LOCK) != (b.head.attributes & ZYDIS_ATTRIB_HAS_LOCK))
    return false;
  // An immediate counts at the width of what it is combined with, however it was abbreviated.
  const std::uint16_t width = a.operands[0].size;
  for (unsigned i = 0; i < a.head.operand_count_visible; ++i)
    if (!same_operand(a.operands[i], b.operands[i], width)) return false;
  return true;
}

std::string EmitterJudge::text(Bytes bytes) const {
  ZydisDisassembledInstruction insn;
  const bool known =
      ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, 0, bytes.data(), bytes.size(), &insn));
  return fmt::format("{:02x} ({})", fmt::join(bytes, " "), known ? insn.text : "no instruction");
}

std::string EmitterJudge::verdict(Bytes ours, Bytes theirs) {
  if (std::ranges::equal(ours, theirs)) return "";
  ++encoded_otherwise_;
  Insn a, b;
  if (decode(ours, a) && decode(theirs, b) && same_meaning(a, b)) return "";
  return fmt::format("ours {}, AsmJit's {}\n", text(ours), text(theirs));
}

x86::Gp general(unsigned size, x64::Reg reg) {
  switch (size) {
    case 1:
      return x86::gpb(reg);
    case 2:
      return x86::gpw(reg);
    case 4:
      return x86::gpd(reg);
    default:
      return x86::gpq(reg);
  }
}

x86::Mem memory(unsigned size, const x64::Mem& m) {
  const bool indexed = m.index != x64::kNoReg;
  if (m.base == x64::kNoReg) {
    const auto address = static_cast<std::uint64_t>(std::int64_t{m.disp});
    return indexed ? x86::ptr_abs(address, x86::gpq(m.index), m.scale, size) : x86::ptr_abs(address, size);
  }
  return indexed ? x86::ptr(x86::gpq(m.base), x86::gpq(m.index), m.scale, m.disp, size)
                 : x86::ptr(x86::gpq(m.base), m.disp, size);
}

}  // namespace hindsight::tests
