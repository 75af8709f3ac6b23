#include "engine/host/x64/code_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::engine::host::x64 {

CodeCache::CodeCache(std::size_t bytes) : bytes_((bytes + 4095) & ~std::size_t{4095}) {
  CHECK(bytes_ <= std::size_t{1} << 30, "code cache of {} bytes: at most 1 GiB", bytes);
  hot_bytes_ = (bytes_ / 8 * 5) & ~std::size_t{4095};
  const int fd = memfd_create("translated-code", MFD_CLOEXEC);
  CHECK(fd >= 0, "cannot create memory for translated code: {}", std::strerror(errno));
  CHECK(ftruncate(fd, static_cast<off_t>(bytes_)) == 0, "cannot size the code cache: {}",
        std::strerror(errno));
  void* write = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(write != MAP_FAILED, "cannot map the code cache: {}", std::strerror(errno));
  void* execute = mmap(nullptr, bytes_, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  CHECK(execute != MAP_FAILED, "the host refuses executable memory (noexec memfd?): {}",
        std::strerror(errno));
  close(fd);
  write_ = static_cast<std::uint8_t*>(write);
  execute_ = static_cast<std::uint8_t*>(execute);
}

CodeCache::~CodeCache() {
  munmap(write_, bytes_);
  munmap(execute_, bytes_);
}

}  // namespace hindsight::engine::host::x64
