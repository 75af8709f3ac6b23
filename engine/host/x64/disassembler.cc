#include "engine/host/x64/disassembler.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

namespace hindsight::engine::host::x64 {

std::string disassemble_code(std::span<const std::uint8_t> code) {
  csh handle;
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return "disassembler not available\n";
  cs_option(handle, CS_OPT_SKIPDATA, CS_OPT_ON);
  cs_insn* insns = nullptr;
  const auto base = reinterpret_cast<std::uint64_t>(code.data());
  const std::size_t n = cs_disasm(handle, code.data(), code.size(), base, 0, &insns);
  std::string out;
  for (std::size_t i = 0; i < n; ++i)
    out += fmt::format("  {:4x}  {} {}\n", insns[i].address - base, insns[i].mnemonic, insns[i].op_str);
  if (n != 0) cs_free(insns, n);
  cs_close(&handle);
  return out;
}

}  // namespace hindsight::engine::host::x64
