// Kallsyms tables as the kernel's build writes them, in each order and encoding, for tests. One test thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::tests::support {

struct KallsymsImage {
  struct Symbol {
    std::string name;
    char type;
    std::uint64_t address;  ///< a small number is an offset into a CPU's area
  };
  enum class Layout {
    absolute_per_cpu,  ///< up to 6.3: offsets, base, count, names, markers, tokens
    base_relative,     ///< the same without SMP
    with_sequences,    ///< 6.2 and 6.3, and later 6.1: sequence numbers between markers and tokens
    offsets_last,      ///< from 6.4: count, names, markers, tokens, offsets, base
    place_relative,    ///< later: no base, each offset counts from its own place
  };

  /// The tables, to be placed at `at`, a multiple of 8. `symbols` are in the order of addresses.
  static std::vector<std::byte> build(const std::vector<Symbol>& symbols, Layout layout, GuestVirt at);
  /// _text, _etext, _end, a few functions with known names, and `more` others, in order; `base` is _text.
  static std::vector<Symbol> sample(std::uint64_t base, std::size_t more);
};

}  // namespace hindsight::tests::support
