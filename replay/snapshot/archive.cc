#include "replay/snapshot/archive.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hindsight::replay::snapshot {
namespace {

namespace store = traces::store;

std::span<const std::byte, kPageSize> page_of(const PageMap& ram, std::uint64_t index) {
  return std::span<const std::byte, kPageSize>(ram.bytes(index), kPageSize);
}

/// Tells `ledger` of every page that a map of zeros and `ram` do not share.
void add_base(PageLedger& ledger, const PageMap& ram) {
  PageMap::for_each_difference(PageMap(ram.page_count()), ram,
                               [&](std::uint64_t index) { ledger.add_base(index, page_of(ram, index)); });
}

/// For a ledger that only hashes.
class NoSink final : public store::SnapshotSink {
 public:
  void put_pages(std::uint64_t, std::span<const store::Hash128>, std::span<const std::byte>) override {}
  store::Piece put_piece(std::span<const std::byte>) override { return {}; }
};

}  // namespace

Archive::Archive(std::unique_ptr<store::TraceReader> reader, std::shared_ptr<const Snapshot> power_on)
    : power_on_(std::move(power_on)), reader_(std::move(reader)) {}

Result<std::unique_ptr<Archive>> Archive::open(const std::string& path,
                                               std::shared_ptr<const Snapshot> power_on) {
  auto reader = store::TraceReader::open(path);
  if (!reader) return reader.failure();
  return std::unique_ptr<Archive>(new Archive(std::move(*reader), std::move(power_on)));
}

std::vector<Position> Archive::positions() {
  const std::lock_guard lock(mutex_);
  std::vector<Position> all;
  for (std::uint64_t i = 0; i < reader_->snapshot_count(); ++i) {
    const store::Place place = reader_->snapshot_place(i);
    all.push_back({place.icount, place.delivery});
  }
  return all;
}

Result<std::shared_ptr<const Snapshot>> Archive::load(Position at) {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t i = 0; i < reader_->snapshot_count(); ++i) {
    if (reader_->snapshot_place(i) == store::Place{at.icount, at.delivery}) return load_index(i);
  }
  return error("{}: no snapshot at icount {}", reader_->path(), at.icount.value);
}

void Archive::announce(Ladder& ladder) {
  for (const Position at : positions()) ladder.insert_stored(at, [this, at] { return load(at); });
  const std::lock_guard lock(mutex_);
  for (const store::Footprint& record : reader_->footprints())
    ladder.insert(std::make_shared<const Footprint>(footprint_of(record)));
}

store::Hash128 Archive::base_hash() {
  if (!base_hash_) {
    NoSink sink;
    PageLedger ledger(power_on_->ram.page_count(), sink);
    add_base(ledger, power_on_->ram);
    base_hash_ = ledger.base_hash();
  }
  return *base_hash_;
}

Result<PageRef> Archive::stored_page(std::uint64_t number) {
  if (stored_.size() <= number) stored_.resize(number + 1);
  if (PageRef known = stored_[number].lock()) return known;
  auto page = std::make_shared_for_overwrite<Page>();
  if (const Status read = reader_->page(number, page->bytes); !read) return read.failure();
  stored_[number] = page;
  return PageRef(std::move(page));
}

Status Archive::load_pages(const store::SnapshotRecord& record, PageMap& ram) {
  const Result<std::vector<store::PageRun>> runs = reader_->page_runs(record);
  if (!runs) return runs.failure();
  ram = power_on_->ram;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> stored;  // number, RAM page
  for (const store::PageRun& run : *runs) {
    for (std::uint64_t i = 0; i < run.count; ++i) {
      if (run.kind == store::PageKind::stored)
        stored.emplace_back(run.from + i, run.first + i);
      else
        ram.set(run.first + i,
                run.kind == store::PageKind::base ? power_on_->ram.page(run.from + i) : PageRef{});
    }
  }
  // In the order in which they lie in the trace, each bundle is opened once.
  std::sort(stored.begin(), stored.end());
  for (const auto& [number, index] : stored) {
    Result<PageRef> page = stored_page(number);
    if (!page) return page.failure();
    ram.set(index, std::move(*page));
  }
  return Done{};
}

Result<std::shared_ptr<const Snapshot>> Archive::load_index(std::uint64_t index) {
  const Result<store::SnapshotRecord> record = reader_->snapshot(index);
  if (!record) return record.failure();
  const auto bad = [&](const std::string& what) {
    return error("{}: table snapshots, icount {}: {}", reader_->path(), record->at.icount.value, what);
  };
  if (record->ram_pages != power_on_->ram.page_count()) {
    return bad(
        fmt::format("{} RAM pages expected, found {}", power_on_->ram.page_count(), record->ram_pages));
  }
  if (record->base != base_hash())
    return bad("RAM at power-on is not what it was for the program that took the snapshot");
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->at = {record->at.icount, record->at.delivery};
  snapshot->instant = {record->at.icount, record->time};
  snapshot->border.event = record->event;
  snapshot->border.chunk = record->chunk;
  for (const store::ChannelPosition& channel : record->channels) {
    snapshot->border.outputs.resume(static_cast<engine::port::Channel>(channel.channel), channel.bytes,
                                    channel.units);
  }
  for (const store::PartState& part : record->parts) {
    const Result<store::Bytes> state = reader_->part_state(part);
    if (!state) return state.failure();
    auto words = kj::heapArray<capnp::word>(state->size() / sizeof(capnp::word));
    std::memcpy(words.asBytes().begin(), state->data(), state->size());
    snapshot->parts.push_back({part.name, std::make_shared<const kj::Array<capnp::word>>(std::move(words))});
  }
  if (const Status loaded = load_pages(*record, snapshot->ram); !loaded) return loaded.failure();
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Status Archive::start_editing() {
  if (editor_ != nullptr) return Done{};
  auto editor = store::TraceEditor::open(reader_->path(), reader_->transaction());
  if (!editor) return editor.failure();
  editor_ = std::move(*editor);
  return Done{};
}

/// Commits what the editor was given, and reads the trace anew.
Status Archive::commit() {
  if (const Status committed = editor_->commit(); !committed) return committed.failure();
  auto reader = store::TraceReader::open(reader_->path());
  if (!reader) return reader.failure();
  reader_ = std::move(*reader);
  return Done{};
}

Status Archive::prepare_ledger() {
  if (ledger_ != nullptr) return Done{};
  const Result<std::uint64_t> end = reader_->page_end();
  if (!end) return end.failure();
  const Result<std::vector<store::Hash128>> hashes = reader_->page_hashes();
  if (!hashes) return hashes.failure();
  ledger_ = std::make_unique<PageLedger>(power_on_->ram.page_count(), *editor_, *end);
  add_base(*ledger_, power_on_->ram);
  for (std::uint64_t i = 0; i < hashes->size(); ++i) ledger_->add_stored(store::kFirstPage + i, (*hashes)[i]);
  ledgered_ = power_on_->ram;
  return Done{};
}

Status Archive::save(const Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  const store::Place at{snapshot.at.icount, snapshot.at.delivery};
  for (std::uint64_t i = 0; i < reader_->snapshot_count(); ++i) {
    if (reader_->snapshot_place(i) == at) return Done{};
  }
  if (const Status started = start_editing(); !started) return started.failure();
  if (const Status prepared = prepare_ledger(); !prepared) return prepared.failure();
  PageMap::for_each_difference(ledgered_, snapshot.ram, [&](std::uint64_t index) {
    ledger_->set(index, page_of(snapshot.ram, index));
  });
  ledgered_ = snapshot.ram;
  store::SnapshotRecord record;
  record.at = at;
  record.time = snapshot.instant.time;
  record.event = snapshot.border.event;
  record.chunk = snapshot.border.chunk;
  record.channels = snapshot.border.outputs.positions();
  for (const PartState& part : snapshot.parts) {
    record.parts.push_back(store::put_part(*editor_, part.name, part.bytes()));
  }
  record.ram_pages = snapshot.ram.page_count();
  record.base = base_hash();
  record.regions = ledger_->put_regions();
  editor_->put_snapshot(record);
  const Status committed = commit();
  if (!committed) ledger_.reset();  // it counts on pages that are not in the trace
  return committed;
}

Result<std::vector<store::Mark>> Archive::marks() {
  const std::lock_guard lock(mutex_);
  return reader_->marks();
}

Status Archive::set_mark(const store::Mark& mark) {
  const std::lock_guard lock(mutex_);
  if (const Status started = start_editing(); !started) return started.failure();
  editor_->set_mark(mark);
  return commit();
}

Status Archive::remove_mark(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const Status started = start_editing(); !started) return started.failure();
  editor_->remove_mark(name);
  return commit();
}

}  // namespace hindsight::replay::snapshot
