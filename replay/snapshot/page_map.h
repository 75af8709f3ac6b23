// RAM of one instant as a tree that instants share: pages in groups, both immutable. A new map copies only
// the groups in which a page changed. Values; reading from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::replay::snapshot {

struct Page {
  std::array<std::byte, kPageSize> bytes;
};
/// nullptr: a page of zeros, which costs nothing.
using PageRef = std::shared_ptr<const Page>;

/// True where all `kPageSize` bytes are zero.
[[nodiscard]] bool is_zero_page(const std::byte* contents);
/// A copy of a page's contents; nullptr for zeros.
[[nodiscard]] PageRef copy_page(const std::byte* contents);

class PageMap final {
 public:
  /// Small, so that a page written here and there copies little.
  static constexpr std::uint64_t kGroupPages = 64;

  PageMap() = default;
  /// All zeros.
  explicit PageMap(std::uint64_t page_count);

  [[nodiscard]] std::uint64_t page_count() const { return page_count_; }
  [[nodiscard]] const PageRef& page(std::uint64_t index) const;
  /// The page's bytes, whether or not it is zero.
  [[nodiscard]] const std::byte* bytes(std::uint64_t index) const;
  /// A group that this map shares is copied first; the map it was copied from must still be there.
  void set(std::uint64_t index, PageRef page);

  /// Calls `visit` with every index at which the two hold different pages (by identity: their bytes may be
  /// equal all the same), in ascending order. Both have as many pages.
  static void for_each_difference(const PageMap& a, const PageMap& b,
                                  const std::function<void(std::uint64_t index)>& visit);
  /// Bytes of memory that this map takes and `base` does not.
  [[nodiscard]] std::uint64_t bytes_beyond(const PageMap& base) const;

 private:
  using Group = std::array<PageRef, kGroupPages>;

  std::uint64_t page_count_ = 0;
  std::vector<std::shared_ptr<Group>>
      groups_;  ///< nullptr: all zeros; written to only while nobody shares it
};

}  // namespace hindsight::replay::snapshot
