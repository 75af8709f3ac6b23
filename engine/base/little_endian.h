// Numbers as bytes, the least significant first, wherever a format or a register file lays them out so. Pure
// functions; any thread; the same on every host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hindsight {

/// The number that `bytes` hold; at most eight of them.
template <class Byte, std::size_t N>
[[nodiscard]] constexpr std::uint64_t load_little_endian(std::span<Byte, N> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

/// Fills `bytes`, at most eight of them, with the low part of `value`.
template <class Byte, std::size_t N>
constexpr void store_little_endian(std::span<Byte, N> bytes, std::uint64_t value) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<Byte>(value >> (8 * i) & 0xFF);
}

}  // namespace hindsight
