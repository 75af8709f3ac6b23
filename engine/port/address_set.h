// Which pages were touched, as a set that may hold pages that were not put in, but never lacks one that was:
// whoever asks may only conclude that a page was not touched. Of fixed size, whatever is put in. A value.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/base/types.h"

namespace hindsight::engine::port {

class PageSet {
 public:
  static constexpr std::size_t kWords = 1024;

  /// Puts in the page of this address.
  void add(std::uint64_t address) {
    const std::uint64_t hash = hash_of(address);
    words_[first_word(hash)] |= first_bit(hash);
    words_[second_word(hash)] |= second_bit(hash);
  }
  [[nodiscard]] bool may_hold(std::uint64_t address) const {
    const std::uint64_t hash = hash_of(address);
    return (words_[first_word(hash)] & first_bit(hash)) != 0 &&
           (words_[second_word(hash)] & second_bit(hash)) != 0;
  }

  /// What it is stored as, see traces/schema/FORMAT.md.
  [[nodiscard]] std::span<const std::uint64_t, kWords> words() const { return words_; }
  [[nodiscard]] std::span<std::uint64_t, kWords> words() { return words_; }

 private:
  // Two bits stand for a page; their numbers are the 16 highest bits of the hash, and the 16 below.
  static std::uint64_t hash_of(std::uint64_t address) {
    return (address >> kPageBits) * 0x9E37'79B9'7F4A'7C15;
  }
  static std::uint64_t first_word(std::uint64_t hash) { return hash >> 54; }
  static std::uint64_t first_bit(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 48 & 63); }
  static std::uint64_t second_word(std::uint64_t hash) { return hash >> 38 & (kWords - 1); }
  static std::uint64_t second_bit(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 32 & 63); }

  std::array<std::uint64_t, kWords> words_{};
};

}  // namespace hindsight::engine::port
