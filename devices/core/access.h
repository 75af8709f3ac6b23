// How accesses wider or narrower than a device's registers reach them. Pure templates over the device's own
// register functions; they keep no state, and their thread is the device's.
#pragma once

#include <cstdint>

namespace hindsight::devices::core {

/// A device of byte-wide registers: a wide access is one byte access per lane, lowest first, as on the ISA
/// bus. `read_byte(offset)` is asked only for offsets below `count`; other lanes read as all ones.
template <class ReadByte>
[[nodiscard]] std::uint64_t read_lanes(std::uint64_t offset, unsigned size, std::uint64_t count,
                                       ReadByte&& read_byte) {
  std::uint64_t value = 0;
  for (unsigned lane = 0; lane < size; ++lane) {
    const std::uint64_t at = offset + lane;
    const std::uint8_t byte = at < count ? static_cast<std::uint8_t>(read_byte(at)) : std::uint8_t{0xFF};
    value |= std::uint64_t{byte} << (8 * lane);
  }
  return value;
}

template <class WriteByte>
void write_lanes(std::uint64_t offset, unsigned size, std::uint64_t count, std::uint64_t value,
                 WriteByte&& write_byte) {
  for (unsigned lane = 0; lane < size; ++lane) {
    if (offset + lane < count) write_byte(offset + lane, static_cast<std::uint8_t>(value >> (8 * lane)));
  }
}

/// A device of naturally aligned 32-bit registers without side effects of reading: any access is cut out of
/// the registers it covers. `read_register(aligned_offset)`.
template <class ReadRegister>
[[nodiscard]] std::uint64_t read_dwords(std::uint64_t offset, unsigned size, ReadRegister&& read_register) {
  std::uint64_t value = 0;
  for (unsigned lane = 0; lane < size;) {
    const std::uint64_t at = offset + lane;
    const unsigned shift = static_cast<unsigned>(at & 3);
    const std::uint64_t word = static_cast<std::uint32_t>(read_register(at - shift)) >> (8 * shift);
    value |= word << (8 * lane);
    lane += 4 - shift;
  }
  return size == 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

/// Calls `write_register(offset, word)` for each whole, aligned 32-bit register that the access covers;
/// partial writes are dropped.
template <class WriteRegister>
void write_dwords(std::uint64_t offset, unsigned size, std::uint64_t value, WriteRegister&& write_register) {
  if ((offset & 3) != 0 || size < 4) return;
  write_register(offset, static_cast<std::uint32_t>(value));
  if (size == 8) write_register(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

}  // namespace hindsight::devices::core
