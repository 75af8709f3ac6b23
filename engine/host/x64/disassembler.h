// Host code as text, for people. Never used while running. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace hindsight::engine::host::x64 {

/// A line an instruction: offset, mnemonic, operands. Bytes that are no instruction are shown as such.
std::string disassemble_code(std::span<const std::uint8_t> code);

}  // namespace hindsight::engine::host::x64
