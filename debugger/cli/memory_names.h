// Names for places in guest RAM: the symbol of the kernel or a module that lies at a physical address, the
// linear address at which the kernel sees it, and for code the symbol and the instruction. Read out of one
// machine as it stands; what was given out stays true for as long as its page tables and modules do. Owned by
// a command; one thread. A guest without a Linux kernel that can be read has physical addresses alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "debugger/symbols/guest_kernel.h"
#include "engine/port/machine.h"

namespace hindsight::debugger::cli {

/// The physical address of a byte of RAM, by its place in RAM without the hole below 4 GiB.
[[nodiscard]] GuestPhys physical_of(std::uint64_t ram_offset);

/// The instruction at the pc: what it is, and its bytes.
struct InstructionText {
  std::string text;
  std::vector<std::uint8_t> bytes;
};
[[nodiscard]] InstructionText instruction_at_pc(engine::port::Machine& machine);

class MemoryNames final {
 public:
  explicit MemoryNames(engine::port::Machine& machine);

  /// "vmlinux_symbol+0x12 [module]"; empty where none is known.
  [[nodiscard]] std::string code(GuestVirt pc) const;
  /// Of the variable that lies there, one of a CPU's own area included; empty where none is known.
  [[nodiscard]] std::string data(GuestPhys address) const;
  /// Where the kernel sees it: in its image, in a module, or in its map of all memory.
  [[nodiscard]] std::optional<GuestVirt> linear(GuestPhys address) const;
  /// Why there are no symbols; empty if there are.
  [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
  void add_pages(const symbols::PageTableView& memory, symbols::Range range);
  void read_freed(const symbols::MemoryView& memory);
  void read_per_cpu(const symbols::MemoryView& memory);

  std::optional<symbols::GuestKernel> kernel_;
  std::string missing_;
  std::unordered_map<std::uint64_t, GuestVirt>
      pages_;                            ///< by physical page: image and modules; only looked up
  std::vector<symbols::Range> freed_;    ///< of the image: given away after the boot
  std::optional<GuestVirt> direct_map_;  ///< where physical address 0 is
  struct PerCpu {
    std::uint64_t offset;
    std::string name;
  };
  std::vector<PerCpu> per_cpu_;  ///< by offset; the last one ends the area
  GuestVirt per_cpu_base_;       ///< of CPU 0
};

}  // namespace hindsight::debugger::cli
