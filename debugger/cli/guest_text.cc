#include "debugger/cli/guest_text.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

namespace hindsight::debugger::cli {

GuestText disassemble_guest(std::span<const std::uint8_t> bytes, unsigned mode, std::uint64_t pc) {
  const cs_mode modes = mode == 64 ? CS_MODE_64 : mode == 32 ? CS_MODE_32 : CS_MODE_16;
  csh handle{};
  if (cs_open(CS_ARCH_X86, modes, &handle) != CS_ERR_OK) return {"(Capstone does not start)", 0};
  GuestText result{"(Capstone knows no such instruction)", 0};
  cs_insn* insn = nullptr;
  if (cs_disasm(handle, bytes.data(), bytes.size(), pc, 1, &insn) == 1) {
    result = {insn->op_str[0] == '\0' ? insn->mnemonic : fmt::format("{} {}", insn->mnemonic, insn->op_str),
              insn->size};
    cs_free(insn, 1);
  }
  cs_close(&handle);
  return result;
}

}  // namespace hindsight::debugger::cli
