// Guest instructions as text for people, by Capstone: a second opinion beside our own decoder. Pure
// functions; any thread. Never used while a guest runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace hindsight::debugger::cli {

/// The first instruction of `bytes`.
struct GuestText {
  std::string text;        ///< "add rax, rbx", or that Capstone knows none
  std::size_t length = 0;  ///< bytes; 0: no instruction
};

/// `mode`: 64-, 32- or 16-bit x86 code.
[[nodiscard]] GuestText disassemble_guest(std::span<const std::uint8_t> bytes, unsigned mode,
                                          std::uint64_t pc);

}  // namespace hindsight::debugger::cli
