// Memory that holds generated code: the same pages mapped twice, once to be written and once to be executed,
// so that no page is ever both. No file stands behind them, so a limit on file sizes does not concern them.
// Halved into a hot and a cold region, so that rarely run paths do not dilute the instruction cache. Owned by
// the code generator; its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/base/result.h"

namespace hindsight::engine::host::x64 {

class CodeCache {
 public:
  /// Of at least 256 KiB, at most 1 GiB. Fails when the host has no memory for it or refuses executable
  /// memory.
  static Result<CodeCache> create(std::size_t bytes);
  ~CodeCache();
  CodeCache(CodeCache&& other) noexcept
      : bytes_(std::exchange(other.bytes_, 0)),
        hot_bytes_(other.hot_bytes_),
        write_(other.write_),
        execute_(other.execute_) {}
  CodeCache& operator=(CodeCache&&) = delete;

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
  CodeCache(std::size_t bytes, void* write, void* execute);

  std::size_t bytes_, hot_bytes_;  ///< moved from: no bytes
  std::uint8_t* write_;
  std::uint8_t* execute_;
};

}  // namespace hindsight::engine::host::x64
