// Memory that holds generated code: one memfd mapped twice, once to be written and once to be executed, so
// that no page is ever both. Halved into a hot and a cold region, so that rarely run paths do not dilute the
// instruction cache. Owned by the code generator; its thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hindsight::engine::host::x64 {

class CodeCache {
 public:
  /// Aborts with a clear message if the host refuses executable memory.
  explicit CodeCache(std::size_t bytes);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  /// Addresses for writing. Displacements within the cache are the same in both mappings.
  [[nodiscard]] std::uint8_t* begin() const { return write_; }
  [[nodiscard]] std::uint8_t* cold_begin() const { return write_ + hot_bytes_; }
  [[nodiscard]] std::uint8_t* end() const { return write_ + bytes_; }

  [[nodiscard]] std::uint32_t offset(const std::uint8_t* p) const {
    return static_cast<std::uint32_t>(p - write_);
  }
  [[nodiscard]] std::uint8_t* writable(std::uint32_t offset) const { return write_ + offset; }
  [[nodiscard]] const std::uint8_t* executable(const std::uint8_t* written) const {
    return execute_ + (written - write_);
  }
  [[nodiscard]] const std::uint8_t* executable(std::uint32_t offset) const { return execute_ + offset; }
  /// The writable twin of an executable address.
  [[nodiscard]] std::uint8_t* writable_twin(const void* executable) const {
    return write_ + (static_cast<const std::uint8_t*>(executable) - execute_);
  }

 private:
  std::size_t bytes_, hot_bytes_;
  std::uint8_t* write_;
  std::uint8_t* execute_;
};

}  // namespace hindsight::engine::host::x64
