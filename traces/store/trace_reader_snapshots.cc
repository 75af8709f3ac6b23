// What of TraceReader concerns snapshots, their pages, and marks.
#include <algorithm>
#include <cstring>

#include "traces/store/trace_reader.h"

namespace hindsight::traces::store {

Place TraceReader::snapshot_place(std::uint64_t index) const {
  CHECK(index < snapshots_.size(), "snapshot {} of {}", index, snapshots_.size());
  const Bytes& key = snapshots_[index].key;
  return {Icount(number_in(key, 0)), static_cast<std::uint32_t>(number_in(key, 8))};
}

Result<SnapshotRecord> TraceReader::snapshot(std::uint64_t index) {
  CHECK(index < snapshots_.size(), "snapshot {} of {}", index, snapshots_.size());
  const LmdbFile::Record& record = snapshots_[index];
  const Result<Bytes> raw = read("snapshots", record, ValueKind::snapshot);
  if (!raw) return raw.failure();
  Result<SnapshotRecord> snapshot = decode_snapshot(*raw);
  if (!snapshot) return in_file("snapshots", record.key, snapshot.failure());
  if (record.key != key_of(snapshot->at.icount.value, snapshot->at.delivery)) {
    return in_file("snapshots", record.key,
                   error("the position of its key expected, found icount {} delivery {}",
                         snapshot->at.icount.value, snapshot->at.delivery));
  }
  if (snapshot->chunk > chunks_.size() || snapshot->event > progress_.events) {
    return in_file("snapshots", record.key,
                   error("at most chunk {} and event {} expected, found {} and {}", chunks_.size(),
                         progress_.events, snapshot->chunk, snapshot->event));
  }
  return snapshot;
}

Result<std::vector<PageRun>> TraceReader::page_runs(const SnapshotRecord& snapshot) {
  const Result<std::uint64_t> end = page_end();
  if (!end) return end.failure();
  std::vector<PageRun> all;
  for (std::size_t i = 0; i < snapshot.regions.size(); ++i) {
    const Piece& region = snapshot.regions[i];
    if (region.size == 0) continue;
    const Result<Bytes> raw = blob(BlobRef{{}, region.size, {region}});
    if (!raw) return raw.failure();
    const Bytes key = key_of(region.hash);
    Result<std::vector<PageRun>> runs = decode_region(*raw, i * kRegionPages);
    if (!runs) return in_file("blobs", key, runs.failure());
    for (const PageRun& run : *runs) {
      const std::uint64_t limit = run.kind == PageKind::stored ? *end : snapshot.ram_pages;
      const std::uint64_t least = run.kind == PageKind::stored ? kFirstPage : 0;
      const bool named = run.kind == PageKind::zero ||
                         (run.from >= least && run.from < limit && run.count <= limit - run.from);
      if (!named || run.first + run.count > snapshot.ram_pages) {
        return in_file("blobs", key,
                       error("pages that there are expected, found {} from {} on for the page {}", run.count,
                             run.from, run.first));
      }
    }
    all.insert(all.end(), runs->begin(), runs->end());
  }
  return all;
}

Result<Bytes> TraceReader::part_state(const PartState& part) {
  if (part.pieces.empty()) return part.state;
  return blob(BlobRef{{}, part.size, part.pieces});
}

Result<std::vector<Hash128>> TraceReader::bundle_hashes(std::size_t index) {
  const LmdbFile::Record& record = bundles_[index].hashes;
  const Result<Bytes> raw = read("pages", record, ValueKind::page_hashes);
  if (!raw) return raw.failure();
  Result<std::vector<Hash128>> hashes = decode_page_hashes(*raw);
  if (!hashes) return in_file("pages", record.key, hashes.failure());
  return hashes;
}

Status TraceReader::load_bundles() {
  if (bundles_listed_) return Done{};
  bundles_.clear();
  std::optional<Error> failure;
  bool expect_data = false;
  std::uint64_t next = kFirstPage;
  const Status walked = file_->for_each(tables_.find("pages")->second, [&](const LmdbFile::Record& record) {
    const bool sized = record.key.size() == 16;
    const std::uint64_t first = sized ? number_in(record.key, 0) : 0;
    const bool in_order = sized && number_in(record.key, 8) == (expect_data ? 1u : 0u) &&
                          (expect_data        ? first == bundles_.back().first
                           : bundles_.empty() ? first == next
                                              : first > next);
    if (!in_order) {
      failure = in_file("pages", record.key, error("a bundle of pages in order expected, hashes and data"));
      return false;
    }
    if (expect_data) {
      bundles_.back().data = record;
    } else {
      if (!bundles_.empty()) bundles_.back().count = first - next;
      bundles_.push_back({first, 0, record, {}});
      next = first;
    }
    expect_data = !expect_data;
    return true;
  });
  if (failure) return *failure;
  if (!walked) return walked.failure();
  if (expect_data)
    return in_file("pages", bundles_.back().hashes.key, error("pages expected beside their hashes"));
  if (!bundles_.empty()) {
    const Result<std::vector<Hash128>> hashes = bundle_hashes(bundles_.size() - 1);
    if (!hashes) return hashes.failure();
    bundles_.back().count = hashes->size();
  }
  bundles_listed_ = true;
  return Done{};
}

Result<std::uint64_t> TraceReader::page_end() {
  if (const Status listed = load_bundles(); !listed) return listed.failure();
  return bundles_.empty() ? kFirstPage : bundles_.back().first + bundles_.back().count;
}

Status TraceReader::load_bundle(std::size_t index) {
  if (open_bundle_ == index) return Done{};
  open_bundle_.reset();
  const Bundle& bundle = bundles_[index];
  Result<Bytes> raw = read("pages", bundle.data, ValueKind::page_bundle);
  if (!raw) return raw.failure();
  if (bundle.count > kBundlePages || raw->size() != bundle.count * kPageSize) {
    return in_file(
        "pages", bundle.data.key,
        error("{} pages, at most {}, expected, found {} bytes", bundle.count, kBundlePages, raw->size()));
  }
  open_pages_ = std::move(*raw);
  open_bundle_ = index;
  return Done{};
}

Status TraceReader::page(std::uint64_t number, std::span<std::byte, kPageSize> out) {
  const Result<std::uint64_t> end = page_end();
  if (!end) return end.failure();
  if (number < kFirstPage || number >= *end)
    return error("{}: table pages: page {} expected, the last is {}", path(), number, *end - 1);
  const auto after =
      std::upper_bound(bundles_.begin(), bundles_.end(), number,
                       [](std::uint64_t wanted, const Bundle& bundle) { return wanted < bundle.first; });
  const auto index = static_cast<std::size_t>(after - bundles_.begin()) - 1;
  if (const Status loaded = load_bundle(index); !loaded) return loaded.failure();
  std::memcpy(out.data(), open_pages_.data() + (number - bundles_[index].first) * kPageSize, kPageSize);
  return Done{};
}

Result<std::vector<Hash128>> TraceReader::page_hashes() {
  if (const Status listed = load_bundles(); !listed) return listed.failure();
  std::vector<Hash128> all;
  for (std::size_t i = 0; i < bundles_.size(); ++i) {
    const Result<std::vector<Hash128>> hashes = bundle_hashes(i);
    if (!hashes) return hashes.failure();
    if (hashes->size() != bundles_[i].count) {
      return in_file("pages", bundles_[i].hashes.key,
                     error("{} hashes expected, found {}", bundles_[i].count, hashes->size()));
    }
    all.insert(all.end(), hashes->begin(), hashes->end());
  }
  return all;
}

std::vector<Footprint> TraceReader::footprints() {
  std::vector<Footprint> all;
  for (std::uint64_t i = 0; i < snapshot_count(); ++i) {
    Result<SnapshotRecord> record = snapshot(i);
    if (!record) continue;
    std::move(record->footprints.begin(), record->footprints.end(), std::back_inserter(all));
  }
  if (end_) all.insert(all.end(), end_->footprints.begin(), end_->footprints.end());
  return all;
}

Result<std::vector<Mark>> TraceReader::marks() {
  std::vector<Mark> all;
  std::optional<Error> failure;
  const Status walked = file_->for_each(tables_.find("marks")->second, [&](const LmdbFile::Record& record) {
    const Result<Bytes> raw = read("marks", record, ValueKind::mark);
    Result<Mark> mark = raw ? decode_mark(*raw) : Result<Mark>(raw.failure());
    if (!mark) {
      failure = raw ? in_file("marks", record.key, mark.failure()) : raw.failure();
    } else {
      all.push_back(std::move(*mark));
    }
    return !failure;
  });
  if (failure) return *failure;
  if (!walked) return walked.failure();
  return all;
}

Status TraceReader::check_bundles() {
  const Result<std::vector<Hash128>> hashes = page_hashes();
  if (!hashes) return hashes.failure();
  for (std::size_t i = 0; i < bundles_.size(); ++i) {
    if (const Status loaded = load_bundle(i); !loaded) return loaded.failure();
    for (std::uint64_t page = 0; page < bundles_[i].count; ++page) {
      const auto contents = std::span(open_pages_).subspan(page * kPageSize, kPageSize);
      if (hash_of(contents) != (*hashes)[bundles_[i].first - kFirstPage + page]) {
        return in_file("pages", bundles_[i].data.key,
                       error("page {} of its hash expected", bundles_[i].first + page));
      }
    }
  }
  return Done{};
}

Status TraceReader::check_snapshots() {
  for (std::uint64_t i = 0; i < snapshot_count(); ++i) {
    const Result<SnapshotRecord> record = snapshot(i);
    if (!record) return record.failure();
    if (const auto runs = page_runs(*record); !runs) return runs.failure();
    for (const PartState& part : record->parts) {
      if (const Result<Bytes> state = part_state(part); !state) return state.failure();
    }
    if (record->chunk == chunks_.size()) continue;
    const Result<Chunk> from = chunk(record->chunk);
    if (!from) return from.failure();
    if (from->first_event > record->event) {
      return in_file("snapshots", snapshots_[i].key,
                     error("a chunk that begins at event {} or earlier expected, chunk {} begins at {}",
                           record->event, record->chunk, from->first_event));
    }
  }
  return Done{};
}

}  // namespace hindsight::traces::store
