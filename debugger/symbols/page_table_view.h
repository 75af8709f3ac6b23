// Linear addresses through x86-64 page tables, as they are in guest RAM: a walk for people, which sets no
// accessed bit and looks at no permission (SDM vol. 3, 4.5). Borrows the RAM; reads it anew on each call, so
// it stays valid while the machine does; the run loop's thread, between instructions.
#pragma once

#include <optional>

#include "debugger/symbols/memory_view.h"
#include "engine/port/machine.h"

namespace hindsight::debugger::symbols {

class PageTableView final : public MemoryView {
 public:
  /// `root` is CR3; `levels` 4, 5 with CR4.LA57, or 0 when the CPU is not in long mode: nothing is mapped.
  PageTableView(const engine::port::RamPages& ram, GuestPhys root, unsigned levels)
      : ram_(&ram), root_(root.value & kAddressBits), levels_(levels) {}

  [[nodiscard]] bool read(GuestVirt address, std::span<std::byte> out) const override;
  [[nodiscard]] std::vector<Range> mapped(GuestVirt from, GuestVirt to) const override;
  /// The physical address that `address` is mapped to, RAM or not.
  [[nodiscard]] std::optional<GuestPhys> translate(GuestVirt address) const;

  /// With page-table isolation user space runs on tables that lack the kernel, one page behind the full ones
  /// (Documentation/x86/pti.rst of the kernel). The view of the full ones; this one if it is no such pair.
  [[nodiscard]] PageTableView kernel_side() const;

 private:
  static constexpr std::uint64_t kAddressBits = 0x000f'ffff'ffff'f000;
  struct Collector;

  [[nodiscard]] const std::byte* page(std::uint64_t physical) const;
  [[nodiscard]] std::optional<std::uint64_t> entry(std::uint64_t table, std::uint64_t index) const;
  void collect(Collector& collector, std::uint64_t table, unsigned level, std::uint64_t base) const;

  const engine::port::RamPages* ram_;
  std::uint64_t root_;
  unsigned levels_;
};

}  // namespace hindsight::debugger::symbols
