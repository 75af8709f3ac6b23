#include "replay/snapshot/page_ledger.h"

#include <algorithm>

#include "engine/base/check.h"
#include "replay/snapshot/page_map.h"

namespace hindsight::replay::snapshot {

namespace store = traces::store;
using store::Hash128;
using store::kBundlePages;
using store::kRegionPages;
using store::PageKind;

PageLedger::PageLedger(std::uint64_t page_count, store::SnapshotSink& sink, std::uint64_t next_page)
    : sink_(sink),
      base_is_zero_(page_count, true),
      regions_((page_count + kRegionPages - 1) / kRegionPages),
      region_changed_(regions_.size()),
      next_page_(next_page) {
  where_.reserve(page_count);
  for (std::uint64_t index = 0; index < page_count; ++index) where_.push_back({PageKind::base, index});
}

void PageLedger::add_base(std::uint64_t index, std::span<const std::byte, kPageSize> contents) {
  if (is_zero_page(contents.data())) return;
  CHECK(base_.empty() || index > base_[base_.size() - 3], "page {} after {}", index, base_[base_.size() - 3]);
  const Hash128 hash = store::hash_of(contents);
  base_is_zero_[index] = false;
  base_.insert(base_.end(), {index, hash.high, hash.low});
  known_.try_emplace(hash, Where{PageKind::base, index});
}

Hash128 PageLedger::base_hash() const { return store::hash_of(std::as_bytes(std::span(base_))); }

void PageLedger::add_stored(std::uint64_t number, const Hash128& hash) {
  known_.try_emplace(hash, Where{PageKind::stored, number});
}

void PageLedger::set(std::uint64_t index, std::span<const std::byte, kPageSize> contents) {
  Where now{PageKind::base, index};
  if (is_zero_page(contents.data())) {
    if (!base_is_zero_[index]) now = {PageKind::zero, 0};
  } else {
    const Hash128 hash = store::hash_of(contents);
    const auto [known, added] = known_.try_emplace(hash, Where{PageKind::stored, next_page_});
    now = known->second;
    if (added) {
      next_page_++;
      new_hashes_.push_back(hash);
      new_pages_.insert(new_pages_.end(), contents.begin(), contents.end());
      if (new_hashes_.size() == kBundlePages) put_bundle();
    }
  }
  if (now == where_[index]) return;
  where_[index] = now;
  region_changed_[index / kRegionPages] = true;
}

void PageLedger::put_bundle() {
  if (new_hashes_.empty()) return;
  sink_.put_pages(next_page_ - new_hashes_.size(), new_hashes_, new_pages_);
  new_hashes_.clear();
  new_pages_.clear();
}

store::Piece PageLedger::put_region(std::uint64_t region) {
  std::vector<store::PageRun> runs;
  const std::uint64_t end = std::min<std::uint64_t>((region + 1) * kRegionPages, where_.size());
  for (std::uint64_t index = region * kRegionPages; index < end; ++index) {
    const Where& where = where_[index];
    if (where == Where{PageKind::base, index}) continue;
    const bool follows = !runs.empty() && runs.back().first + runs.back().count == index &&
                         runs.back().kind == where.kind &&
                         (where.kind == PageKind::zero || runs.back().from + runs.back().count == where.from);
    if (follows) {
      runs.back().count++;
    } else {
      runs.push_back({index, 1, where.kind, where.from});
    }
  }
  return runs.empty() ? store::Piece{} : sink_.put_piece(store::encode(runs));
}

std::vector<store::Piece> PageLedger::put_regions() {
  put_bundle();
  for (std::uint64_t region = 0; region < regions_.size(); ++region) {
    if (!region_changed_[region]) continue;
    regions_[region] = put_region(region);
    region_changed_[region] = false;
  }
  return regions_;
}

}  // namespace hindsight::replay::snapshot
