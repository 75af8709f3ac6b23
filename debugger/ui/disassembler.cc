#include "debugger/ui/disassembler.h"

#include <capstone/capstone.h>

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::debugger::ui {
namespace {

csh open_capstone(cs_mode mode) {
  csh handle = 0;
  CHECK(cs_open(CS_ARCH_X86, mode, &handle) == CS_ERR_OK, "Capstone");
  cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  return handle;
}

CodeLine::Flow flow_of(csh handle, const cs_insn* insn) {
  if (cs_insn_group(handle, insn, CS_GRP_CALL)) return CodeLine::Flow::call;
  if (cs_insn_group(handle, insn, CS_GRP_RET) || cs_insn_group(handle, insn, CS_GRP_IRET))
    return CodeLine::Flow::ret;
  if (insn->id == X86_INS_JMP) return CodeLine::Flow::jump;
  if (cs_insn_group(handle, insn, CS_GRP_JUMP)) return CodeLine::Flow::branch;
  return CodeLine::Flow::none;
}

}  // namespace

struct Disassembler::Handles {
  csh code16 = open_capstone(CS_MODE_16), code32 = open_capstone(CS_MODE_32),
      code64 = open_capstone(CS_MODE_64);
  ~Handles() {
    for (csh* handle : {&code16, &code32, &code64}) cs_close(handle);
  }
};

Disassembler::Disassembler() : handles_(std::make_unique<Handles>()) {}
Disassembler::~Disassembler() = default;

std::optional<Disassembler::Decoded> Disassembler::decode(std::span<const std::uint8_t> bytes,
                                                          GuestVirt address, unsigned bits) {
  const csh handle = bits == 64 ? handles_->code64 : bits == 32 ? handles_->code32 : handles_->code16;
  cs_insn* insn = nullptr;
  if (cs_disasm(handle, bytes.data(), bytes.size(), address.value, 1, &insn) != 1) return std::nullopt;
  Decoded decoded;
  CodeLine& line = decoded.line;
  line.address = address;
  line.size = static_cast<std::uint8_t>(insn->size);
  std::memcpy(line.bytes.data(), insn->bytes, std::min<std::size_t>(insn->size, line.bytes.size()));
  line.mnemonic = insn->mnemonic;
  line.operands = insn->op_str;
  line.flow = flow_of(handle, insn);
  const cs_x86& x86 = insn->detail->x86;
  for (unsigned i = 0; i < x86.op_count; ++i) {
    const cs_x86_op& operand = x86.operands[i];
    if (operand.type == X86_OP_IMM && line.flow != CodeLine::Flow::none && line.flow != CodeLine::Flow::ret)
      line.target = GuestVirt{static_cast<std::uint64_t>(operand.imm)};
    if (operand.type == X86_OP_MEM && operand.mem.base == X86_REG_RIP)
      decoded.data = GuestVirt{address.value + insn->size + static_cast<std::uint64_t>(operand.mem.disp)};
    // Kernel addresses come as sign-extended displacements and immediates.
    if (operand.type == X86_OP_IMM && operand.imm < -0x1000'0000 && !line.target)
      decoded.data = GuestVirt{static_cast<std::uint64_t>(operand.imm)};
    if (operand.type == X86_OP_MEM && operand.mem.base != X86_REG_RIP && operand.mem.disp < -0x1000'0000)
      decoded.data = GuestVirt{static_cast<std::uint64_t>(operand.mem.disp)};
  }
  if (line.target) decoded.data = line.target;
  cs_free(insn, 1);
  return decoded;
}

}  // namespace hindsight::debugger::ui
