// Reads a trace. What the file says is checked before it is believed; damage is an Error that names the file,
// the table, the key and what was expected. Nothing here crashes on any file. Owned by whoever replays or
// lists the trace. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/lmdb_file.h"
#include "traces/store/records.h"
#include "traces/store/snapshot_records.h"
#include "traces/store/value.h"

namespace hindsight::traces::store {

struct TableSize {
  std::string name;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< of values as they are stored
};

class TraceReader final {
 public:
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return file_->path(); }
  [[nodiscard]] const MachineConfig& config() const { return config_; }
  /// Where it begins: power-on, or where a branch left its parent; there is a snapshot there then.
  [[nodiscard]] Place first() const;
  /// Names this trace in its branches; see schema Parent. Stays the same while more is recorded, once there
  /// is an event.
  Result<Hash128> identity();
  /// How far the trace is complete.
  [[nodiscard]] const Progress& progress() const { return progress_; }
  /// None: the recorder was interrupted.
  [[nodiscard]] const std::optional<End>& end() const { return end_; }

  [[nodiscard]] std::uint64_t chunk_count() const { return chunks_.size(); }
  Result<Chunk> chunk(std::uint64_t number);
  [[nodiscard]] std::uint64_t digest_count() const { return digests_.size(); }
  /// Several digests may stand at one icount: time goes on while the machine is halted.
  [[nodiscard]] Icount digest_icount(std::uint64_t index) const;
  Result<Digest> digest(std::uint64_t index);
  /// Fills all of `out`, which is as large as the piece.
  Status piece(const Piece& piece, std::span<std::byte> out);
  Result<Bytes> blob(const BlobRef& blob);
  /// An event's payload, wherever it lies.
  Result<Bytes> payload(const Event& event);

  [[nodiscard]] std::uint64_t snapshot_count() const { return snapshots_.size(); }
  /// In order.
  [[nodiscard]] Place snapshot_place(std::uint64_t index) const;
  Result<SnapshotRecord> snapshot(std::uint64_t index);
  /// Which of a snapshot's pages are not as at power-on, and where they are, in order. All stored pages that
  /// it names are there.
  Result<std::vector<PageRun>> page_runs(const SnapshotRecord& snapshot);
  Result<Bytes> part_state(const PartState& part);
  /// Stored pages are numbered from kFirstPage up to here.
  Result<std::uint64_t> page_end();
  /// Copies a stored page to `out`. Neighbours come at little cost.
  Status page(std::uint64_t number, std::span<std::byte, kPageSize> out);
  /// Of every stored page, from kFirstPage on.
  Result<std::vector<Hash128>> page_hashes();
  /// What is known of which pages were touched when, in order. What damaged snapshots say is left out.
  std::vector<Footprint> footprints();
  /// In the order in which they were made.
  Result<std::vector<Mark>> marks();
  /// Changes when something was added to the file; what was opened keeps showing what it was.
  [[nodiscard]] std::uint64_t transaction() const { return file_->transaction(); }

  /// Reads every value of every table and checks what they say of each other.
  Status check_all();
  Result<std::vector<TableSize>> sizes();

 private:
  explicit TraceReader(std::unique_ptr<LmdbFile> file) : file_(std::move(file)) {}
  Status load();
  Result<std::optional<Bytes>> meta(std::uint64_t key, ValueKind kind);
  Result<Bytes> read(std::string_view table, const LmdbFile::Record& record, ValueKind kind);
  Status check_table(std::string_view table, ValueKind kind);
  /// Lists the page bundles; the first time only.
  Status load_bundles();
  Result<std::vector<Hash128>> bundle_hashes(std::size_t index);
  Status load_bundle(std::size_t index);
  Status check_parent() const;
  Status check_bundles();
  Status check_snapshots();
  [[nodiscard]] Error in_file(std::string_view table, std::span<const std::byte> key,
                              const Error& cause) const;

  std::unique_ptr<LmdbFile> file_;
  std::map<std::string, LmdbFile::Tree, std::less<>> tables_;
  MachineConfig config_;
  Progress progress_;
  std::optional<End> end_;
  std::vector<LmdbFile::Record> chunks_, digests_, snapshots_;

  /// Pages that lie together.
  struct Bundle {
    std::uint64_t first = 0, count = 0;
    LmdbFile::Record hashes, data;
  };
  std::vector<Bundle> bundles_;
  bool bundles_listed_ = false;
  std::optional<std::size_t> open_bundle_;  ///< the one that open_pages_ holds
  Bytes open_pages_;
};

}  // namespace hindsight::traces::store
