// A kernel of a few functions with everything the debugger looks for: kallsyms, ORC, one module, a log,
// BTF, two tasks, a stack. Made by hand, for tests. One test thread.
#pragma once

#include "debugger/symbols/orc.h"
#include "tests/support/sparse_memory.h"

namespace hindsight::tests::support {

struct TinyKernel {
  using Format = debugger::symbols::OrcFormat;

  static constexpr GuestVirt kText{0xffffffff85000000};
  static constexpr GuestVirt kOuter{kText.value + 0x100};  ///< calls inner with a frame of 32 bytes
  static constexpr GuestVirt kInner{kText.value + 0x200};  ///< keeps the frame pointer
  static constexpr GuestVirt kEntry{kText.value + 0x300};  ///< has saved all registers of what it interrupted
  static constexpr GuestVirt kBottom{kText.value + 0x400};  ///< nothing called it
  static constexpr GuestVirt kThunk{kText.value + 0x500};   ///< a retpoline
  static constexpr GuestVirt kTables{kText.value + 0x100000};
  static constexpr GuestVirt kOrc{kText.value + 0x200000};
  static constexpr GuestVirt kData{kText.value + 0x300000};
  static constexpr GuestVirt kBtf{kText.value + 0x380000};
  static constexpr GuestVirt kInitTask{kData.value + 0x3800};  ///< pid 0, on the CPU
  static constexpr GuestVirt kTask{kData.value + 0x3900};      ///< pid 7, "sleeper", sleeps in outer
  static constexpr GuestVirt kEnd{kText.value + 0x400000};
  static constexpr GuestVirt kModule{0xffffffffc0200000};  ///< its code; one function, probe, at +0x10
  static constexpr GuestVirt kModuleStruct{kModule.value + 0x3000};
  static constexpr GuestVirt kStack{0xffffc90000010000};
  static constexpr std::uint64_t kStackSize = 0x4000;

  explicit TinyKernel(Format format = Format::type_end);

  SparseMemory memory;

 private:
  void put_symbols();
  void put_orc(Format format);
  void put_module(Format format);
  void put_log();
  void put_btf();
  void put_tasks();
  void put_record(unsigned index, std::uint64_t nanoseconds, std::string_view text);
  std::uint64_t log_position_ = 0;
};

}  // namespace hindsight::tests::support
