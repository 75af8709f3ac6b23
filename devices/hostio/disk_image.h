// A raw disk image, opened read-only: the base of an OverlayDisk. The run loop's thread only. Must not change
// while the machine runs; what it returned is in the trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/base/result.h"

namespace hindsight::devices::hostio {

class DiskImage final {
 public:
  static constexpr std::uint64_t kSectorSize = 512;

  /// A regular file or block device of a whole, nonzero number of sectors.
  static Result<std::unique_ptr<DiskImage>> open(const std::string& path);
  ~DiskImage();
  DiskImage(const DiskImage&) = delete;
  DiskImage& operator=(const DiskImage&) = delete;

  [[nodiscard]] std::uint64_t sectors() const { return size_ / kSectorSize; }
  /// Fills `out` from `sector` on.
  Status read(std::uint64_t sector, std::span<std::byte> out) const;

 private:
  DiskImage(std::string path, int fd, std::uint64_t size);

  std::string path_;
  int fd_;
  std::uint64_t size_;
};

}  // namespace hindsight::devices::hostio
