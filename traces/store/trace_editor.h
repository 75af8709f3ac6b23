// Adds snapshots, pages and marks to a trace that nobody records any more, while this process has it open for
// reading. Owned by the debugging session; one thread at a time. Nothing here flows back into a replay:
// events, digests and progress are not touched.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/snapshot_records.h"
#include "traces/store/value.h"

namespace hindsight::traces::store {

class TraceEditor final : public SnapshotSink {
 public:
  /// `transaction` is that of the TraceReader of this process (TraceReader::transaction). Fails while another
  /// program writes the trace, or when one has changed it since it was opened.
  static Result<std::unique_ptr<TraceEditor>> open(const std::string& path, std::uint64_t transaction);
  ~TraceEditor() override;
  TraceEditor(const TraceEditor&) = delete;
  TraceEditor& operator=(const TraceEditor&) = delete;

  void put_pages(std::uint64_t first, std::span<const Hash128> hashes,
                 std::span<const std::byte> data) override;
  Piece put_piece(std::span<const std::byte> data) override;
  void put_snapshot(const SnapshotRecord& snapshot);
  /// Replaces a mark of that name.
  void set_mark(const Mark& mark);
  void remove_mark(const std::string& name);
  /// Writes all that was put since the last commit, or nothing of it. Readers opened before keep showing what
  /// they did; one opened after shows it all.
  Status commit();

 private:
  struct Write {
    std::size_t table;
    Bytes key, value;
    bool once = false;  ///< keep what is there already
  };

  TraceEditor(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Status start(std::uint64_t transaction);
  int try_commit();
  int write_marks(MDB_txn* transaction);
  void add(std::size_t table, Bytes key, ValueKind kind, std::span<const std::byte> raw, bool once = false);

  const std::string path_;
  int descriptor_;  ///< holds the lock that says who writes
  MDB_env* env_ = nullptr;
  MDB_txn* pin_ = nullptr;
  MDB_dbi tables_[kTables.size()] = {};
  std::vector<Write> writes_;
  std::vector<std::pair<std::string, std::optional<Mark>>> marks_;  ///< to set, or to remove
};

}  // namespace hindsight::traces::store
