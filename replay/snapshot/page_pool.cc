#include "replay/snapshot/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/base/check.h"

namespace hindsight::replay::snapshot {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 21;  // a huge page
/// A page and what a shared_ptr keeps beside it.
constexpr std::size_t kSlot = sizeof(Page) + 64;
constexpr std::size_t kHeader = 64;
constexpr std::uint32_t kSlots = (kChunk - kHeader) / kSlot;

/// kChunk bytes at a multiple of kChunk.
void* map_chunk() {
  void* const mapped = mmap(nullptr, 2 * kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(mapped);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(begin) % kChunk;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + kChunk, kChunk - before);
  madvise(begin + before, kChunk, MADV_HUGEPAGE);
  return begin + before;
}

}  // namespace

/// Lies at the beginning of its memory; the slots follow.
struct PagePool::Chunk {
  void* free = nullptr;     ///< slots given back, each of which names the next
  std::uint32_t fresh = 0;  ///< slots from here on were never given out
  std::uint32_t used = 0;
};

/// Holds the pool for as long as what was allocated lives.
template <class T>
class PagePool::Allocator {
 public:
  using value_type = T;
  explicit Allocator(std::shared_ptr<PagePool> pool) : pool_(std::move(pool)) {}
  template <class U>
  Allocator(const Allocator<U>& other) : pool_(other.pool_) {}
  T* allocate(std::size_t count) {
    static_assert(sizeof(T) <= kSlot && alignof(T) <= 16);
    CHECK(count == 1, "{} pages at once", count);
    return static_cast<T*>(pool_->take());
  }
  void deallocate(T* slot, std::size_t) { pool_->give(slot); }
  template <class U>
  bool operator==(const Allocator<U>& other) const {
    return pool_ == other.pool_;
  }

 private:
  template <class U>
  friend class Allocator;
  std::shared_ptr<PagePool> pool_;
};

PagePool::~PagePool() {
  for (Chunk* chunk : open_) munmap(chunk, kChunk);
}

std::shared_ptr<Page> PagePool::page() {
  return std::allocate_shared_for_overwrite<Page>(Allocator<Page>(shared_from_this()));
}

PageRef PagePool::copy(const std::byte* contents) {
  if (is_zero_page(contents)) return nullptr;
  std::shared_ptr<Page> copy = page();
  std::memcpy(copy->bytes.data(), contents, kPageSize);
  return copy;
}

std::uint64_t PagePool::bytes() {
  const std::lock_guard lock(mutex_);
  return chunk_count_ * kChunk;
}

void* PagePool::take() {
  const std::lock_guard lock(mutex_);
  if (open_.empty()) {
    open_.push_back(new (map_chunk()) Chunk);
    ++chunk_count_;
  }
  Chunk& chunk = *open_.back();
  if (++chunk.used == kSlots) open_.pop_back();
  if (chunk.free == nullptr) return reinterpret_cast<std::byte*>(&chunk) + kHeader + kSlot * chunk.fresh++;
  void* const slot = chunk.free;
  std::memcpy(&chunk.free, slot, sizeof chunk.free);
  return slot;
}

void PagePool::give(void* slot) {
  const std::lock_guard lock(mutex_);
  const std::uintptr_t inside = reinterpret_cast<std::uintptr_t>(slot) % kChunk;
  Chunk& chunk = *reinterpret_cast<Chunk*>(static_cast<std::byte*>(slot) - inside);
  if (chunk.used == kSlots) open_.push_back(&chunk);
  std::memcpy(slot, &chunk.free, sizeof chunk.free);
  chunk.free = slot;
  if (--chunk.used > 0 || open_.size() == 1) return;
  std::erase(open_, &chunk);
  munmap(&chunk, kChunk);
  --chunk_count_;
}

}  // namespace hindsight::replay::snapshot
