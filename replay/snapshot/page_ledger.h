// What each page of RAM holds, in the words of a trace: as at power-on, zeros, or a page that the trace
// stores, found by its hash so that none is stored twice. Owned by whoever writes snapshots into a trace. One
// thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/base/types.h"
#include "traces/store/snapshot_records.h"

namespace hindsight::replay::snapshot {

class PageLedger final {
 public:
  /// New pages are numbered from `next_page` on.
  PageLedger(std::uint64_t page_count, traces::store::SnapshotSink& sink,
             std::uint64_t next_page = traces::store::kFirstPage);

  /// RAM page `index` at power-on; those that are not zeros, in ascending order (CHECK), before all else.
  void add_base(std::uint64_t index, std::span<const std::byte, kPageSize> contents);
  /// See schema Snapshot.base.
  [[nodiscard]] traces::store::Hash128 base_hash() const;
  /// The trace stores a page of this hash already.
  void add_stored(std::uint64_t number, const traces::store::Hash128& hash);

  /// RAM page `index` holds `contents` now.
  void set(std::uint64_t index, std::span<const std::byte, kPageSize> contents);
  /// Hands all pages and regions that are new to the sink, and names the regions of RAM as it is now.
  std::vector<traces::store::Piece> put_regions();
  [[nodiscard]] std::uint64_t page_count() const { return where_.size(); }

 private:
  struct Where {
    traces::store::PageKind kind;
    std::uint64_t from;
    friend bool operator==(const Where&, const Where&) = default;
  };
  struct HashOfHash {
    std::size_t operator()(const traces::store::Hash128& hash) const { return hash.low; }
  };

  void put_bundle();
  [[nodiscard]] traces::store::Piece put_region(std::uint64_t region);

  traces::store::SnapshotSink& sink_;
  std::vector<Where> where_;
  std::vector<bool> base_is_zero_;
  std::vector<std::uint64_t> base_;  ///< index, hash high, hash low of each page in turn
  std::unordered_map<traces::store::Hash128, Where, HashOfHash> known_;
  std::vector<traces::store::Piece> regions_;
  std::vector<bool> region_changed_;
  std::uint64_t next_page_;
  std::vector<traces::store::Hash128> new_hashes_;  ///< of the pages below
  traces::store::Bytes new_pages_;                  ///< the last pages before next_page_, not yet put
};

}  // namespace hindsight::replay::snapshot
