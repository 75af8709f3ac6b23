// Guest programs of a few instructions, assembled where they will run. One test thread.
#pragma once

#include <asmjit/x86.h>

#include <cstdint>
#include <span>

#include "engine/base/check.h"
#include "tests/support/bare_machine.h"

namespace hindsight::tests::support {

class GuestProgram {
 public:
  explicit GuestProgram(std::uint64_t base = BareMachine::kCode) : base_(base) {
    CHECK(code_.init(asmjit::Environment(asmjit::Arch::kX64), base) == asmjit::kErrorOk &&
              code_.attach(&a) == asmjit::kErrorOk,
          "AsmJit does not start");
  }

  /// A place to speak of later: the address of what is assembled next.
  [[nodiscard]] std::uint64_t here() const { return base_ + a.offset(); }
  void load_into(BareMachine& machine) const { machine.write(base_, {a.bufferData(), a.offset()}); }

  asmjit::x86::Assembler a;

 private:
  asmjit::CodeHolder code_;
  std::uint64_t base_;
};

}  // namespace hindsight::tests::support
