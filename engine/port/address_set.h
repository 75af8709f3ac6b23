// Which addresses were touched, as a set that may hold some that were not put in, but never lacks one that
// was: whoever asks may only conclude that an address was not touched. Of fixed size, whatever is put in. A
// value.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "engine/base/types.h"

namespace hindsight::engine::port {

/// Tells addresses apart down to 2^kUnitBits bytes. kWordCount: a power of two, at most 2^26.
template <unsigned kUnitBits, std::size_t kWordCount>
class AddressSet {
 public:
  static constexpr std::size_t kWords = kWordCount;

  /// Puts in the unit of this address.
  void add(std::uint64_t address) {
    const std::uint64_t hash = hash_of(address);
    words_[first(hash) / 64] |= bit(first(hash));
    words_[second(hash) / 64] |= bit(second(hash));
  }
  /// Puts in every address.
  void add_all() { words_.fill(~std::uint64_t{0}); }
  [[nodiscard]] bool may_hold(std::uint64_t address) const {
    const std::uint64_t hash = hash_of(address);
    return (words_[first(hash) / 64] & bit(first(hash))) != 0 &&
           (words_[second(hash) / 64] & bit(second(hash))) != 0;
  }

  /// What it is stored as, see traces/schema/FORMAT.md.
  [[nodiscard]] std::span<const std::uint64_t, kWords> words() const { return words_; }
  [[nodiscard]] std::span<std::uint64_t, kWords> words() { return words_; }

 private:
  // Two bits stand for a unit; their numbers are the highest bits of the hash, and those below.
  static constexpr unsigned kNumberBits = static_cast<unsigned>(std::countr_zero(kWords)) + 6;
  static std::uint64_t hash_of(std::uint64_t address) {
    return (address >> kUnitBits) * 0x9E37'79B9'7F4A'7C15;
  }
  static std::uint64_t first(std::uint64_t hash) { return hash >> (64 - kNumberBits); }
  static std::uint64_t second(std::uint64_t hash) {
    return hash >> (64 - 2 * kNumberBits) & (kWords * 64 - 1);
  }
  static std::uint64_t bit(std::uint64_t number) { return std::uint64_t{1} << (number % 64); }

  std::array<std::uint64_t, kWords> words_{};
};

using PageSet = AddressSet<kPageBits, 1024>;
/// 16 bytes of code, to which compilers align functions: what is called is told apart from the code before
/// it.
inline constexpr unsigned kLineBits = 4;
using LineSet = AddressSet<kLineBits, 4096>;

}  // namespace hindsight::engine::port
