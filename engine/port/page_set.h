// Which pages were touched, as a set that may hold pages that were not put in, but never lacks one that was:
// whoever asks may only conclude that a page was not touched. Of fixed size, whatever is put in. A value.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/types.h"

namespace hindsight::engine::port {

class PageSet {
 public:
  /// Puts in the page of this address.
  void add(std::uint64_t address) {
    const std::uint64_t bit = bit_of(address);
    words_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  [[nodiscard]] bool may_hold(std::uint64_t address) const {
    const std::uint64_t bit = bit_of(address);
    return (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  void clear() { words_.fill(0); }

 private:
  static constexpr unsigned kBits = 15;
  static std::uint64_t bit_of(std::uint64_t address) {
    return ((address >> kPageBits) * 0x9E37'79B9'7F4A'7C15) >> (64 - kBits);
  }

  std::array<std::uint64_t, (1u << kBits) / 64> words_{};
};

}  // namespace hindsight::engine::port
