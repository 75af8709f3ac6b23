// Bytes of a file format put together in memory: little-endian numbers and DWARF's variable-length ones
// (DWARF 4, 7.6). A value; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace hindsight::debugger::symbols {

class ByteWriter final {
 public:
  template <class T>
  void put(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_bytes(std::span(&value, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_u8(unsigned value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void put_u32(std::uint64_t value) { put(static_cast<std::uint32_t>(value)); }
  void put_u64(std::uint64_t value) { put(value); }
  void put_unsigned(std::uint64_t value) {
    do {
      put_u8((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
      value >>= 7;
    } while (value != 0);
  }
  void put_signed(std::int64_t value) {
    for (bool more = true; more;) {
      const unsigned low = value & 0x7F;
      value >>= 7;
      more = !((value == 0 && (low & 0x40) == 0) || (value == -1 && (low & 0x40) != 0));
      put_u8(low | (more ? 0x80 : 0));
    }
  }
  void put_text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    put_u8(0);
  }
  void append(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void pad_to(std::size_t alignment, unsigned with = 0) {
    while (bytes_.size() % alignment != 0) put_u8(with);
  }
  /// Overwrites what was put at `offset`.
  template <class T>
  void patch(std::size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace hindsight::debugger::symbols
