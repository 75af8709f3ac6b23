// IN, OUT, INS and OUTS: the permission check by IOPL and the TSS bitmap (SDM vol. 1, 19.5), and the string
// forms, one iteration an instruction. Helpers of translated code; the accesses themselves are
// MemoryOps::port_in and port_out, which ask to be run alone. The run loop's thread only.
#pragma once

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

/// (port, size): the value, zero-extended.
extern const ir::HelperInfo kPortIn;
/// (port, size, value)
extern const ir::HelperInfo kPortOut;
/// (StringIo, address of this instruction, address of the next): the linear address to go on at.
extern const ir::HelperInfo kIns, kOuts;

/// The fixed part of a string I/O instruction, packed into one argument.
struct StringIo {
  unsigned size;           ///< 1, 2 or 4
  unsigned address_bytes;  ///< 2, 4 or 8
  bool rep;
  unsigned segment;  ///< of the OUTS source
  [[nodiscard]] std::uint64_t pack() const {
    return size | address_bytes << 4 | unsigned{rep} << 8 | segment << 12;
  }
  static StringIo unpack(std::uint64_t v) {
    return {static_cast<unsigned>(v & 15), static_cast<unsigned>(v >> 4 & 15), (v >> 8 & 1) != 0,
            static_cast<unsigned>(v >> 12 & 7)};
  }
};

}  // namespace hindsight::engine::guest::x86
