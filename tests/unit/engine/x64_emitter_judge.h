// Says whether the bytes that our emitter wrote mean the instruction that AsmJit assembled: the same bytes,
// or, where both chose among equivalent encodings, the same operation on the same operands as Zydis decodes
// them. One test thread.
#pragma once

#include <Zydis/Zydis.h>
#include <asmjit/x86.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "engine/host/x64/emitter.h"

namespace hindsight::tests {

class EmitterJudge {
 public:
  EmitterJudge();

  /// `ours(emitter)` and `theirs(assembler)` each write one instruction. Empty if they agree, else both in
  /// hexadecimal and as text.
  template <typename Ours, typename Theirs>
  [[nodiscard]] std::string compare(Ours&& ours, Theirs&& theirs) {
    emitter_.set_cursor(ours_.data());
    ours(emitter_);
    if (assembler_.setOffset(0) != asmjit::kErrorOk) return "AsmJit does not start over";
    if (theirs(assembler_) != asmjit::kErrorOk) return "AsmJit refuses its side";
    ++compared_;
    return verdict({ours_.data(), static_cast<std::size_t>(emitter_.cursor() - ours_.data())},
                   {assembler_.bufferData(), assembler_.offset()});
  }

  [[nodiscard]] unsigned compared() const { return compared_; }
  /// How many of them took the second look.
  [[nodiscard]] unsigned encoded_otherwise() const { return encoded_otherwise_; }

 private:
  using Bytes = std::span<const std::uint8_t>;
  struct Insn {
    ZydisDecodedInstruction head;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  };
  std::string verdict(Bytes ours, Bytes theirs);
  /// False: not one whole instruction.
  bool decode(Bytes bytes, Insn& out) const;
  static bool same_operand(const ZydisDecodedOperand& a, const ZydisDecodedOperand& b, std::uint16_t width);
  static bool same_meaning(const Insn& a, const Insn& b);
  [[nodiscard]] std::string text(Bytes bytes) const;

  engine::host::x64::Emitter emitter_;
  std::array<std::uint8_t, 64> ours_{};
  asmjit::CodeHolder code_;
  asmjit::x86::Assembler assembler_;
  ZydisDecoder decoder_{};
  unsigned compared_ = 0, encoded_otherwise_ = 0;
};

/// Our registers and memory operands as AsmJit names them. `size` in bytes.
[[nodiscard]] asmjit::x86::Gp general(unsigned size, engine::host::x64::Reg reg);
[[nodiscard]] asmjit::x86::Mem memory(unsigned size, const engine::host::x64::Mem& mem);

}  // namespace hindsight::tests
