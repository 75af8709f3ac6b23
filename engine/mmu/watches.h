// The ranges of memory that a debugger watches. Owned by the Mmu; the run loop's thread. A page with a
// watched byte never gets a fast TLB entry for that kind of access, so that what is not watched costs
// nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/port/debug.h"

namespace hindsight::engine::mmu {

class Watches final {
 public:
  void set(const std::vector<port::WatchRange>& ranges) { ranges_ = ranges; }
  [[nodiscard]] bool any() const { return !ranges_.empty(); }
  [[nodiscard]] const std::vector<port::WatchRange>& ranges() const { return ranges_; }

  /// Some byte of the linear page at `page` is watched for this kind of access.
  [[nodiscard]] bool linear_page(std::uint64_t page, bool write) const {
    return overlaps(false, page, kPageSize, write);
  }
  /// Some byte of [address, address + size), linear or physical, is watched for this kind of access.
  [[nodiscard]] bool overlaps(bool physical, std::uint64_t address, std::uint64_t size, bool write) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const port::WatchRange& r) {
      return r.physical == physical && (write ? r.write : r.read) &&
             (address - r.first < r.size || r.first - address < size);
    });
  }

 private:
  std::vector<port::WatchRange> ranges_;
};

}  // namespace hindsight::engine::mmu
