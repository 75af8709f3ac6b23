// Memory for the pages of snapshots. A search that goes where nobody was before fills a hundred megabytes
// with them; from the host they come in huge pages, for a fault at each small one takes longer than the copy.
// Shared by the pages themselves, which may outlive whoever asked for them. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "replay/snapshot/page_map.h"

namespace hindsight::replay::snapshot {

class PagePool final : public std::enable_shared_from_this<PagePool> {
 public:
  PagePool() = default;
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// Of undefined contents. The pool is held by a shared_ptr.
  [[nodiscard]] std::shared_ptr<Page> page();
  /// A copy of a page's contents; nullptr for zeros.
  [[nodiscard]] PageRef copy(const std::byte* contents);
  /// Taken from the host now; what holds no page any more is given back, but for one chunk.
  [[nodiscard]] std::uint64_t bytes();

 private:
  struct Chunk;
  template <class T>
  class Allocator;

  void* take();
  void give(void* slot);

  std::mutex mutex_;
  std::vector<Chunk*> open_;  ///< those with room; guarded, as is all below
  std::uint64_t chunk_count_ = 0;
};

}  // namespace hindsight::replay::snapshot
