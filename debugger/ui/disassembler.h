// Guest code as text, by Capstone. Owned by the engine's thread, which alone uses it.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

class Disassembler final {
 public:
  Disassembler();
  ~Disassembler();
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;

  /// The instruction that `bytes` begins with, in 16-, 32- or 64-bit code; none: no instruction. Its label
  /// and note are empty; `data`: an address that it names, of code or of data.
  struct Decoded {
    CodeLine line;
    std::optional<GuestVirt> data;
  };
  [[nodiscard]] std::optional<Decoded> decode(std::span<const std::uint8_t> bytes, GuestVirt address,
                                              unsigned bits);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace hindsight::debugger::ui
