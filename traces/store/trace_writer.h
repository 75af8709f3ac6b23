// Writes a trace. The run loop hands over records; a thread of the writer's own encodes, compresses and
// commits what has gathered, so that the machine waits for the disk only when the queue is full. Whatever
// happens to the process, the file is usable up to its last commit. Owned by the recording session; one
// thread calls it, but a second one may put snapshots. Nothing here flows back into the guest.
#pragma once

#include <lmdb.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/records.h"
#include "traces/store/snapshot_records.h"
#include "traces/store/value.h"

namespace hindsight::traces::store {

struct WriterOptions {
  std::chrono::milliseconds commit_interval{200};
  std::size_t commit_bytes = std::size_t{8} << 20;           ///< gathered payload that is committed at once
  std::size_t queue_bytes = std::size_t{64} << 20;           ///< gathered payload at which the caller waits
  std::size_t snapshot_queue_bytes = std::size_t{16} << 20;  ///< the same of put_pages, which waits alone
  std::size_t initial_map = std::size_t{256} << 20;          ///< address space; doubled when it is full
  bool sync = true;  ///< wait for the disk at each commit: survives power loss, not only kill -9
};

class TraceWriter final : public SnapshotSink {
 public:
  /// Makes a new file at `path`; refuses one that exists.
  static Result<std::unique_ptr<TraceWriter>> create(const std::string& path, WriterOptions options = {});
  /// Without finish() the trace ends as if the recorder had been killed.
  ~TraceWriter() override;
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  /// Any thread.
  Piece put_piece(std::span<const std::byte> data) override;
  BlobRef put_blob(std::string name, std::span<const std::byte> data);
  /// The same without a copy: `data` is read by the writer's thread until finish() or the end of the writer.
  BlobRef lend_blob(std::string name, std::span<const std::byte> data);
  /// Writes the header and returns when it is committed. Once, after the blobs it names.
  Status begin(const MachineConfig& config);
  /// begin() without waiting: the machine may start meanwhile. All it does is committed after the header.
  void begin_soon(const MachineConfig& config);
  /// The header is committed: there is a trace.
  [[nodiscard]] bool begun() const { return begun_.load(std::memory_order_relaxed); }

  /// In order of `event.at` (CHECK). A payload too large to stand in the event is moved into pieces.
  void append(Event event);
  /// Adds to what `channel` has sent. `bytes` for byte channels, `units` for the others; see OutputRun.
  void output(std::uint16_t channel, std::uint64_t first_byte, std::uint64_t first_unit,
              std::span<const std::byte> bytes, std::span<const std::uint32_t> units);
  void digest(Digest digest);
  /// All that happened before `at` has been handed over.
  void progress(Instant at);
  /// Notes that a snapshot is taken here, after all that was handed over so far; it follows by put_snapshot.
  std::uint64_t begin_snapshot();
  /// Compresses on the calling thread. Any thread, one at a time; waits for the disk without making the other
  /// callers wait.
  void put_pages(std::uint64_t first, std::span<const Hash128> hashes,
                 std::span<const std::byte> data) override;
  /// After the pages and pieces it names. Sets its `chunk`. Any thread.
  void put_snapshot(SnapshotRecord snapshot, std::uint64_t begun);
  /// Keeps a mark, in place of one of that name.
  void set_mark(const Mark& mark);
  void remove_mark(const std::string& name);
  /// Returns when all that was handed over so far is committed: a reader opened now sees it, and the file
  /// stays as it is until more is handed over.
  Status flush();
  /// Writes all that is left and `end`, and closes the file.
  Status finish(const End& end);

  /// True once writing has failed; what is committed stays. finish() says why.
  [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  struct Write {
    std::size_t table;
    Bytes key, value;  ///< no value: the record is removed
  };
  struct NewPiece {
    Hash128 hash;
    std::span<const std::byte> data;  ///< `own`, or lent
    Bytes own;
  };
  struct Batch {
    std::vector<NewPiece> pieces;
    std::vector<Event> events;
    std::vector<OutputRun> outputs;
    std::vector<Digest> digests;
    std::optional<MachineConfig> config;
    std::optional<End> end;
    std::vector<std::uint64_t> snapshots_begun;
    std::vector<Write> pages;  ///< sealed
    std::vector<std::pair<SnapshotRecord, std::uint64_t>> snapshots;
    std::vector<Write> marks;
    Instant from, until;
    std::size_t bytes = 0, page_bytes = 0;
  };

  TraceWriter(std::string path, int descriptor, MDB_env* env, WriterOptions options);
  Status create_tables();
  void run();
  Piece add_piece(std::span<const std::byte> data, bool lent);
  BlobRef add_blob(std::string name, std::span<const std::byte> data, bool lent);
  void add_bytes(std::size_t bytes, std::unique_lock<std::mutex>& lock);
  std::vector<Write> encode_batch(Batch& batch);
  void encode_chunks(const Batch& batch, std::vector<Write>& writes);
  void encode_snapshots(Batch& batch, std::vector<Write>& writes);
  Status commit(const std::vector<Write>& writes);
  int try_commit(const std::vector<Write>& writes);

  const std::string path_;
  const int descriptor_;  ///< holds the lock that says who writes
  MDB_env* env_;
  const WriterOptions options_;
  MDB_dbi tables_[kTables.size()] = {};

  std::mutex mutex_;
  std::condition_variable wake_writer_, wake_caller_, wake_snapshots_;
  Batch open_;                                          // guarded by mutex_
  bool busy_ = false;                                   // guarded by mutex_: a batch is being written
  bool closing_ = false, urgent_ = false;               // guarded by mutex_
  std::uint64_t flushes_asked_ = 0, flushes_done_ = 0;  // guarded by mutex_
  std::optional<Error> failure_;                        // guarded by mutex_
  std::set<Hash128> seen_;                              // guarded by mutex_
  std::uint64_t snapshots_begun_ = 0;                   // guarded by mutex_
  std::map<std::string, std::uint64_t> marks_;          // guarded by mutex_: numbers of all names so far
  std::atomic<bool> failed_{false};
  std::atomic<bool> begun_{false};

  Instant last_event_;    // the caller's
  std::size_t map_size_;  // the writer thread's, as is all below
  Progress progress_;
  Icount last_chunk_;                                       // the icount in the newest chunk's key
  std::map<std::uint64_t, std::uint64_t> snapshot_chunks_;  // of those begun: the first chunk not before it
  std::thread thread_;
};

/// Another program records into this file, or adds to it.
[[nodiscard]] bool is_being_written(const std::string& path);

}  // namespace hindsight::traces::store
