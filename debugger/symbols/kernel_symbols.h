// The symbols of the running Linux kernel, from the kallsyms tables that it carries in its own image, and
// from them the slide that KASLR chose. No file, no debug package. x86-64, Linux 5.10 and later; the tables'
// order and encodings changed in 6.4 and again later, and are told apart by what fits. Owned by the debugger;
// found once per boot (they do not change), then immutable, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/symbol_table.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

class KernelSymbols final {
 public:
  /// Where x86-64 kernels are linked to start: CONFIG_PHYSICAL_START's default of 16 MiB, which
  /// distributions keep.
  static constexpr GuestVirt kLinkedText{0xffff'ffff'8100'0000};

  /// Searches what `memory` maps of the kernel's region. Fails with one line before the kernel has mapped
  /// itself, where the address space is not Linux's, or while user space runs under page-table isolation.
  static Result<KernelSymbols> find(const MemoryView& memory);

  [[nodiscard]] const SymbolTable& table() const { return table_; }
  /// Every symbol of that name.
  [[nodiscard]] std::vector<Symbol> find(std::string_view name) const { return table_.find(name); }
  /// The symbol that covers `address`.
  [[nodiscard]] std::optional<Location> at(GuestVirt address) const {
    return image_.contains(address) ? table_.at(address) : std::nullopt;
  }
  /// The address of the first symbol of that name, if it is one in the image.
  [[nodiscard]] std::optional<GuestVirt> address_of(std::string_view name) const;

  /// Where _text is minus where it was linked to be; add it to link addresses.
  [[nodiscard]] std::uint64_t slide() const { return text_.begin - kLinkedText; }
  /// _text to _etext.
  [[nodiscard]] const Range& text() const { return text_; }
  /// _text to _end.
  [[nodiscard]] const Range& image() const { return image_; }

 private:
  SymbolTable table_;
  Range text_, image_;
};

}  // namespace hindsight::debugger::symbols
