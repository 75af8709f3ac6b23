#include "devices/hostio/disk_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace hindsight::devices::hostio {

Result<std::unique_ptr<DiskImage>> DiskImage::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error("{}: cannot open the disk image: {}", path, std::strerror(errno));
  struct stat info {};
  const bool known = fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
  const off_t end = known ? lseek(fd, 0, SEEK_END) : -1;
  std::unique_ptr<DiskImage> image(new DiskImage(path, fd, end < 0 ? 0 : static_cast<std::uint64_t>(end)));
  if (!known) return error("{}: a disk image must be a regular file or a block device", path);
  if (end < 0) return error("{}: cannot find the disk image's size: {}", path, std::strerror(errno));
  if (end == 0) return error("{}: the disk image is empty", path);
  if (image->size_ % kSectorSize != 0)
    return error("{}: the disk image has {} bytes; expected a multiple of {}", path, image->size_,
                 kSectorSize);
  return image;
}

DiskImage::DiskImage(std::string path, int fd, std::uint64_t size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

DiskImage::~DiskImage() { ::close(fd_); }

Status DiskImage::read(std::uint64_t sector, std::span<std::byte> out) const {
  const std::uint64_t total = sectors();
  if (sector > total || out.size() > (total - sector) * kSectorSize)
    return error("{}: {} bytes at sector {} are beyond the end ({} sectors)", path_, out.size(), sector,
                 total);
  std::uint64_t offset = sector * kSectorSize;
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error("{}: cannot read sector {}: {}", path_, sector, std::strerror(errno));
    if (count == 0) return error("{}: the disk image became shorter while in use", path_);
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
  return Done{};
}

}  // namespace hindsight::devices::hostio
