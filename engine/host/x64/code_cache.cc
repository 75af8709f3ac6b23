#include "engine/host/x64/code_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hindsight::engine::host::x64 {
namespace {

constexpr std::size_t kLeast = std::size_t{256} << 10, kMost = std::size_t{1} << 30;
constexpr std::size_t kPage = 4096;

}  // namespace

Result<CodeCache> CodeCache::create(std::size_t bytes) {
  if (bytes > kMost) return error("a code cache of {} bytes: at most 1 GiB expected", bytes);
  const std::size_t size = (std::max(bytes, kLeast) + kPage - 1) & ~(kPage - 1);
  void* write = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (write == MAP_FAILED)
    return error("no memory for {} MiB of translated code: {}", size >> 20, std::strerror(errno));
  // An old size of zero maps shared pages a second time (mremap(2)).
  void* execute = mremap(write, 0, size, MREMAP_MAYMOVE);
  if (execute == MAP_FAILED) {
    const int reason = errno;
    munmap(write, size);
    return error("no room for {} MiB of translated code a second time: {}", size >> 20,
                 std::strerror(reason));
  }
  CodeCache cache(size, write, execute);
  if (mprotect(execute, size, PROT_READ | PROT_EXEC) != 0)
    return error("the host refuses executable memory: {}", std::strerror(errno));
  return cache;
}

CodeCache::CodeCache(std::size_t bytes, void* write, void* execute)
    : bytes_(bytes),
      hot_bytes_((bytes / 8 * 5) & ~(kPage - 1)),
      write_(static_cast<std::uint8_t*>(write)),
      execute_(static_cast<std::uint8_t*>(execute)) {}

CodeCache::~CodeCache() {
  if (bytes_ == 0) return;
  munmap(write_, bytes_);
  munmap(execute_, bytes_);
}

}  // namespace hindsight::engine::host::x64
