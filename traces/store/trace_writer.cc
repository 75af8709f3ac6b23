#include "traces/store/trace_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "traces/store/lmdb_error.h"

namespace hindsight::traces::store {
namespace {

constexpr std::size_t kBlobPiece = std::size_t{1} << 20;
constexpr std::size_t kChunkBytes = std::size_t{4} << 20;  // far below Cap'n Proto's limit even as structs
constexpr std::size_t kMaxMap = std::size_t{1} << 44;

template <class Write>
void add_write(std::vector<Write>& writes, std::size_t table, Bytes key, ValueKind kind,
               std::span<const std::byte> raw) {
  Bytes value = seal(kTables[table], key, kind, raw);
  writes.push_back({table, std::move(key), std::move(value)});
}

std::size_t weight(const Event& event) { return 64 + event.payload.size() + 24 * event.pieces.size(); }

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::create(const std::string& path, WriterOptions options) {
  // LMDB would open an existing file and go on in it.
  const int descriptor = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor < 0) return error("{}: cannot create: {}", path, std::strerror(errno));
  // Tells a TraceEditor that this file is not finished. Nobody else can have it yet.
  (void)::flock(descriptor, LOCK_EX | LOCK_NB);
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code == 0) code = mdb_env_set_maxdbs(env, kTables.size());
  if (code == 0) code = mdb_env_set_mapsize(env, options.initial_map);
  // No lock file: this process is the only writer of a file it made, and readers go without LMDB.
  const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | (options.sync ? 0u : unsigned{MDB_NOSYNC});
  if (code == 0) code = mdb_env_open(env, path.c_str(), flags, 0644);
  if (code != 0) {
    mdb_env_close(env);
    ::close(descriptor);
    return error("{}: cannot create: {}", path, lmdb_message(code, path));
  }
  std::unique_ptr<TraceWriter> writer(new TraceWriter(path, descriptor, env, options));
  if (const Status created = writer->create_tables(); !created) return created.failure();
  writer->thread_ = std::thread([raw = writer.get()] { raw->run(); });
  return writer;
}

TraceWriter::TraceWriter(std::string path, int descriptor, MDB_env* env, WriterOptions options)
    : path_(std::move(path)),
      descriptor_(descriptor),
      env_(env),
      options_(options),
      map_size_(options.initial_map) {}

TraceWriter::~TraceWriter() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_writer_.notify_one();
    thread_.join();
  }
  if (env_ != nullptr) mdb_env_close(env_);
  ::close(descriptor_);
}

Status TraceWriter::create_tables() {
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(env_, nullptr, 0, &transaction);
  if (code == 0) {
    for (std::size_t i = 0; i < kTables.size() && code == 0; ++i) {
      code = mdb_dbi_open(transaction, kTables[i].data(), MDB_CREATE, &tables_[i]);
    }
    if (code == 0) {
      code = mdb_txn_commit(transaction);
    } else {
      mdb_txn_abort(transaction);
    }
  }
  if (code != 0) return error("{}: cannot create the tables: {}", path_, lmdb_message(code, path_));
  return Done{};
}

void TraceWriter::add_bytes(std::size_t bytes, std::unique_lock<std::mutex>& lock) {
  open_.bytes += bytes;
  if (open_.bytes < options_.commit_bytes) return;
  wake_writer_.notify_one();
  wake_caller_.wait(lock, [&] { return open_.bytes < options_.queue_bytes || failure_; });
}

Piece TraceWriter::add_piece(std::span<const std::byte> data, bool lent) {
  CHECK(data.size() <= kMaxValue, "a piece of {} bytes", data.size());
  const Piece piece{hash_of(data), static_cast<std::uint32_t>(data.size())};
  if (failed()) return piece;
  std::unique_lock lock(mutex_);
  if (!seen_.insert(piece.hash).second) return piece;
  NewPiece added{piece.hash, data, {}};
  if (!lent) {
    added.own.assign(data.begin(), data.end());
    added.data = added.own;  // moving a vector moves no bytes
  }
  open_.pieces.push_back(std::move(added));
  add_bytes(data.size() + 64, lock);
  return piece;
}

BlobRef TraceWriter::add_blob(std::string name, std::span<const std::byte> data, bool lent) {
  BlobRef blob{std::move(name), data.size(), {}};
  for (std::size_t at = 0; at < data.size(); at += kBlobPiece) {
    blob.pieces.push_back(add_piece(data.subspan(at, std::min(kBlobPiece, data.size() - at)), lent));
  }
  return blob;
}

Piece TraceWriter::put_piece(std::span<const std::byte> data) { return add_piece(data, false); }

BlobRef TraceWriter::put_blob(std::string name, std::span<const std::byte> data) {
  return add_blob(std::move(name), data, false);
}

BlobRef TraceWriter::lend_blob(std::string name, std::span<const std::byte> data) {
  return add_blob(std::move(name), data, true);
}

void TraceWriter::begin_soon(const MachineConfig& config) {
  const std::lock_guard lock(mutex_);
  open_.config = config;
  urgent_ = true;
  wake_writer_.notify_one();
}

Status TraceWriter::begin(const MachineConfig& config) {
  begin_soon(config);
  std::unique_lock lock(mutex_);
  wake_caller_.wait(lock, [&] { return (!open_.config && !busy_) || failure_; });
  if (failure_) return *failure_;
  return Done{};
}

void TraceWriter::append(Event event) {
  if (failed()) return;
  CHECK(event.at >= last_event_, "event at {} after {}", event.at.icount.value, last_event_.icount.value);
  last_event_ = event.at;
  if (event.payload.size() > kInlinePayload) {
    event.pieces = put_blob({}, event.payload).pieces;
    event.payload.clear();
  }
  std::unique_lock lock(mutex_);
  const std::size_t bytes = weight(event);
  open_.events.push_back(std::move(event));
  add_bytes(bytes, lock);
}

void TraceWriter::output(std::uint16_t channel, std::uint64_t first_byte, std::uint64_t first_unit,
                         std::span<const std::byte> bytes, std::span<const std::uint32_t> units) {
  if (failed()) return;
  std::unique_lock lock(mutex_);
  auto run = std::find_if(open_.outputs.rbegin(), open_.outputs.rend(),
                          [&](const OutputRun& candidate) { return candidate.channel == channel; });
  const bool fits = run != open_.outputs.rend() && run->bytes.size() + bytes.size() <= kChunkBytes &&
                    4 * (run->units.size() + units.size()) <= kChunkBytes;
  if (!fits) {
    open_.outputs.push_back({channel, first_byte, first_unit, {}, {}});
    run = open_.outputs.rbegin();
  }
  run->bytes.insert(run->bytes.end(), bytes.begin(), bytes.end());
  run->units.insert(run->units.end(), units.begin(), units.end());
  add_bytes(bytes.size() + 4 * units.size(), lock);
}

void TraceWriter::digest(Digest digest) {
  if (failed()) return;
  std::unique_lock lock(mutex_);
  std::size_t bytes = 64 + 6 * digest.page_groups.size();
  for (const PartDigest& part : digest.parts) bytes += 32 + part.state.size();
  open_.digests.push_back(std::move(digest));
  add_bytes(bytes, lock);
}

void TraceWriter::progress(Instant at) {
  const std::lock_guard lock(mutex_);
  open_.until = at;
}

std::uint64_t TraceWriter::begin_snapshot() {
  const std::lock_guard lock(mutex_);
  open_.snapshots_begun.push_back(snapshots_begun_);
  return snapshots_begun_++;
}

void TraceWriter::put_pages(std::uint64_t first, std::span<const Hash128> hashes,
                            std::span<const std::byte> data) {
  CHECK(!hashes.empty() && hashes.size() <= kBundlePages && data.size() == hashes.size() * kPageSize,
        "{} hashes for {} bytes", hashes.size(), data.size());
  if (failed()) return;
  const Bytes list = encode(std::vector<Hash128>(hashes.begin(), hashes.end()));
  const Bytes list_key = key_of(first, 0), data_key = key_of(first, 1);
  const std::size_t table = table_index("pages");
  Write sealed_list{table, list_key, seal("pages", list_key, ValueKind::page_hashes, list)};
  Write sealed_data{table, data_key, seal("pages", data_key, ValueKind::page_bundle, data, kPageCompression)};
  std::unique_lock lock(mutex_);
  wake_snapshots_.wait(lock, [&] { return open_.page_bytes < options_.snapshot_queue_bytes || failure_; });
  open_.page_bytes += sealed_list.value.size() + sealed_data.value.size();
  open_.pages.push_back(std::move(sealed_list));
  open_.pages.push_back(std::move(sealed_data));
  if (open_.page_bytes >= options_.commit_bytes) wake_writer_.notify_one();
}

void TraceWriter::put_snapshot(SnapshotRecord snapshot, std::uint64_t begun) {
  if (failed()) return;
  const std::lock_guard lock(mutex_);
  open_.snapshots.emplace_back(std::move(snapshot), begun);
}

void TraceWriter::set_mark(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = marks_.try_emplace(mark.name, marks_.size()).first->second;
  add_write(open_.marks, table_index("marks"), key_of(number), ValueKind::mark, encode(mark));
}

void TraceWriter::remove_mark(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto known = marks_.find(name);
  if (known != marks_.end()) open_.marks.push_back({table_index("marks"), key_of(known->second), {}});
}

Status TraceWriter::flush() {
  std::unique_lock lock(mutex_);
  const std::uint64_t asked = ++flushes_asked_;
  urgent_ = true;
  wake_writer_.notify_one();
  wake_caller_.wait(lock, [&] { return flushes_done_ >= asked || failure_; });
  if (failure_) return *failure_;
  return Done{};
}

Status TraceWriter::finish(const End& end) {
  {
    const std::lock_guard lock(mutex_);
    open_.end = end;
    open_.until = end.at;
    closing_ = true;
  }
  wake_writer_.notify_one();
  thread_.join();
  if (failure_) return *failure_;
  mdb_env_close(env_);
  env_ = nullptr;
  ::flock(descriptor_, LOCK_UN);
  return Done{};
}

void TraceWriter::run() {
  // Signals belong to the run loop's thread. A blocked SIGXFSZ makes a write beyond the file size limit fail
  // with EFBIG instead of ending the process.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    wake_writer_.wait_for(lock, options_.commit_interval, [&] {
      return closing_ || urgent_ || open_.bytes >= options_.commit_bytes ||
             open_.page_bytes >= options_.commit_bytes;
    });
    last = closing_;
    urgent_ = false;
    const std::uint64_t flushes = flushes_asked_;
    Batch batch = std::exchange(open_, Batch{});
    open_.from = open_.until = batch.until;
    const bool idle = batch.bytes == 0 && batch.page_bytes == 0 && batch.snapshots.empty() &&
                      batch.snapshots_begun.empty() && batch.marks.empty() && batch.until == batch.from &&
                      !batch.config && !batch.end;
    wake_snapshots_.notify_all();
    if (idle || failure_) {
      flushes_done_ = flushes;
      wake_caller_.notify_all();
      continue;
    }
    busy_ = true;
    lock.unlock();
    const std::vector<Write> writes = encode_batch(batch);
    const Status committed = commit(writes);
    lock.lock();
    busy_ = false;
    flushes_done_ = flushes;
    if (committed && batch.config) begun_.store(true, std::memory_order_relaxed);
    if (!committed) {
      failure_ = committed.failure();
      failed_.store(true, std::memory_order_relaxed);
    }
    wake_caller_.notify_all();
    wake_snapshots_.notify_all();
  }
}

void TraceWriter::encode_chunks(const Batch& batch, std::vector<Write>& writes) {
  std::size_t event = 0, output = 0;
  while (event < batch.events.size() || output < batch.outputs.size()) {
    Chunk chunk{progress_.chunks, progress_.events, {}, {}};
    std::size_t bytes = 0;
    for (; event < batch.events.size() && bytes < kChunkBytes; ++event) {
      chunk.events.push_back(batch.events[event]);
      bytes += weight(batch.events[event]);
    }
    for (; output < batch.outputs.size() && bytes < kChunkBytes; ++output) {
      chunk.outputs.push_back(batch.outputs[output]);
      bytes += batch.outputs[output].bytes.size() + 4 * batch.outputs[output].units.size();
    }
    // Keys must ascend with the chunk numbers, and outputs have no instant of their own.
    const Icount first = chunk.events.empty() ? batch.from.icount : chunk.events.front().at.icount;
    last_chunk_ = std::max(first, last_chunk_);
    add_write(writes, table_index("events"), key_of(last_chunk_.value, chunk.number), ValueKind::chunk,
              encode(chunk));
    progress_.chunks++;
    progress_.events += chunk.events.size();
  }
}

void TraceWriter::encode_snapshots(Batch& batch, std::vector<Write>& writes) {
  for (auto& [snapshot, begun] : batch.snapshots) {
    const auto chunk = snapshot_chunks_.find(begun);
    CHECK(chunk != snapshot_chunks_.end(), "snapshot {} was not begun", begun);
    snapshot.chunk = chunk->second;
    snapshot_chunks_.erase(chunk);
    add_write(writes, table_index("snapshots"), key_of(snapshot.at.icount.value, snapshot.at.delivery),
              ValueKind::snapshot, encode(snapshot));
  }
}

std::vector<TraceWriter::Write> TraceWriter::encode_batch(Batch& batch) {
  std::vector<Write> writes = std::move(batch.pages);
  // What a snapshot of this batch may still need is in this batch's chunks or in later ones.
  for (const std::uint64_t begun : batch.snapshots_begun) snapshot_chunks_[begun] = progress_.chunks;
  for (const NewPiece& piece : batch.pieces) {
    add_write(writes, table_index("blobs"), key_of(piece.hash), ValueKind::blob, piece.data);
  }
  if (batch.config)
    add_write(writes, table_index("meta"), key_of(1), ValueKind::header, encode(*batch.config));
  encode_chunks(batch, writes);
  for (const Digest& digest : batch.digests) {
    add_write(writes, table_index("digests"), key_of(digest.at.icount.value, progress_.digests),
              ValueKind::digest, encode(digest));
    progress_.digests++;
  }
  encode_snapshots(batch, writes);
  std::ranges::move(batch.marks, std::back_inserter(writes));
  progress_.at = batch.until;
  add_write(writes, table_index("meta"), key_of(2), ValueKind::progress, encode(progress_));
  if (batch.end) add_write(writes, table_index("meta"), key_of(3), ValueKind::end, encode(*batch.end));
  return writes;
}

int TraceWriter::try_commit(const std::vector<Write>& writes) {
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(env_, nullptr, 0, &transaction);
  if (code != 0) return code;
  for (const Write& write : writes) {
    MDB_val key{write.key.size(), const_cast<std::byte*>(write.key.data())};
    MDB_val value{write.value.size(), const_cast<std::byte*>(write.value.data())};
    if (write.value.empty()) {
      code = mdb_del(transaction, tables_[write.table], &key, nullptr);
      if (code == MDB_NOTFOUND) code = 0;
    } else {
      code = mdb_put(transaction, tables_[write.table], &key, &value, 0);
    }
    if (code != 0) {
      mdb_txn_abort(transaction);
      return code;
    }
  }
  return mdb_txn_commit(transaction);
}

Status TraceWriter::commit(const std::vector<Write>& writes) {
  int code = try_commit(writes);
  while (code == MDB_MAP_FULL && map_size_ < kMaxMap) {
    map_size_ *= 2;
    code = mdb_env_set_mapsize(env_, map_size_);
    if (code == 0) code = try_commit(writes);
  }
  if (code == 0) return Done{};
  return error("{}: cannot write: {}", path_, lmdb_message(code, path_));
}

bool is_being_written(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  const bool written = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return written;
}

}  // namespace hindsight::traces::store
