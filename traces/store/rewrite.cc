#include "traces/store/rewrite.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "traces/store/lmdb_error.h"
#include "traces/store/trace_reader.h"

namespace hindsight::traces::store {
namespace {

/// What a commit takes at most, so that memory does not grow with the trace.
constexpr std::size_t kCommitBytes = std::size_t{64} << 20;
/// More would make a record larger than a value may be.

MDB_val value_of(const Bytes& bytes) { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }

/// A new file that takes the values of one table after the other, each in the order of keys.
class NewFile final {
 public:
  NewFile(std::string path, int compression) : path_(std::move(path)), compression_(compression) {}
  ~NewFile() {
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
    if (env_ != nullptr) mdb_env_close(env_);
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!kept_) ::unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  /// `size` is that of the source: the new file is hardly larger.
  Status create(std::size_t size) {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    if (descriptor_ < 0) return error("{}: cannot create: {}", path_, std::strerror(errno));
    int code = mdb_env_create(&env_);
    if (code == 0) code = mdb_env_set_maxdbs(env_, kTables.size());
    if (code == 0) code = mdb_env_set_mapsize(env_, 2 * size + (std::size_t{1} << 28));
    // Nobody else has the file yet, and it counts only once finish() has brought it to the disk.
    if (code == 0) code = mdb_env_open(env_, path_.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0644);
    if (code == 0) code = mdb_txn_begin(env_, nullptr, 0, &transaction_);
    for (std::size_t i = 0; i < kTables.size() && code == 0; ++i)
      code = mdb_dbi_open(transaction_, kTables[i].data(), MDB_CREATE, &tables_[i]);
    return status(code);
  }

  Status put(std::string_view table, const Bytes& key, ValueKind kind, std::span<const std::byte> raw) {
    Bytes sealed = seal(table, key, kind, raw, compression_);
    MDB_val at = value_of(key), value = value_of(sealed);
    int code = mdb_put(transaction_, tables_[table_index(table)], &at, &value, MDB_APPEND);
    gathered_ += sealed.size();
    if (code == 0 && gathered_ >= kCommitBytes) code = commit();
    return status(code);
  }

  /// Who has the source open tells by the number of the last commit that this is another file.
  Status finish(std::uint64_t after) {
    int code = commit();
    for (MDB_envinfo info; code == 0;) {
      code = mdb_env_info(env_, &info);
      if (code != 0 || info.me_last_txnid > after) break;
      // Only a commit that changes something counts.
      const Bytes progress = key_of(2);
      MDB_val key = value_of(progress), value;
      code = mdb_get(transaction_, tables_[table_index("meta")], &key, &value);
      if (code != 0) break;
      const auto* begin = static_cast<const std::byte*>(value.mv_data);
      const Bytes same(begin, begin + value.mv_size);
      MDB_val again = value_of(same);
      code = mdb_put(transaction_, tables_[table_index("meta")], &key, &again, 0);
      if (code == 0) code = commit();
    }
    if (code == 0) code = mdb_env_sync(env_, 1);
    kept_ = code == 0;
    return status(code);
  }

 private:
  int commit() {
    gathered_ = 0;
    const int code = mdb_txn_commit(std::exchange(transaction_, nullptr));
    return code == 0 ? mdb_txn_begin(env_, nullptr, 0, &transaction_) : code;
  }
  [[nodiscard]] Status status(int code) const {
    if (code != 0) return error("{}: cannot write: {}", path_, lmdb_message(code, path_));
    return Done{};
  }

  const std::string path_;
  const int compression_;
  int descriptor_ = -1;
  bool kept_ = false;
  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi tables_[kTables.size()] = {};
  std::size_t gathered_ = 0;
};

class Rewriter final {
 public:
  Rewriter(TraceReader& trace, LmdbFile& file, NewFile& out, const RewriteOptions& options)
      : trace_(trace), file_(file), out_(out), options_(options) {}

  /// The tables in turn, the smaller part of the work first: what they refer to comes last.
  Status all() {
    for (const auto step : {&Rewriter::choose_snapshots, &Rewriter::number_pages, &Rewriter::write_events,
                            &Rewriter::write_digests, &Rewriter::write_marks, &Rewriter::write_snapshots,
                            &Rewriter::write_meta, &Rewriter::write_pages, &Rewriter::write_blobs}) {
      if (const Status done = (this->*step)(); !done) return done;
    }
    return Done{};
  }

 private:
  using Visit = std::function<Status(const Bytes& key, const Bytes& raw)>;

  Status for_each(std::string_view name, ValueKind kind, const Visit& visit) {
    const auto tables = file_.tables();
    if (!tables) return tables.failure();
    const auto table = std::ranges::find(*tables, name, &LmdbFile::Table::name);
    CHECK(table != tables->end(), "no table {} in an open trace", name);
    Status result = Done{};
    const Status walked = file_.for_each(table->tree, [&](const LmdbFile::Record& record) {
      const Result<Bytes> stored = file_.value(record);
      const Result<Bytes> raw = stored ? open(name, record.key, kind, *stored) : stored;
      if (!stored) {
        result = stored.failure();
      } else if (!raw) {
        result = error("{}: {}", trace_.path(), raw.failure().message);
      } else {
        result = visit(record.key, *raw);
      }
      return static_cast<bool>(result);
    });
    return result ? walked : result;
  }

  Status copy(std::string_view name, ValueKind kind) {
    return for_each(name, kind,
                    [&](const Bytes& key, const Bytes& raw) { return out_.put(name, key, kind, raw); });
  }

  void need(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces)
      if (piece.size != 0) blobs_.insert({piece.hash, piece.size});
  }

  Status choose_snapshots() {
    const bool branch = trace_.config().parent.has_value();
    std::vector<Footprint> waiting;
    for (std::uint64_t i = 0; i < trace_.snapshot_count(); ++i) {
      Result<SnapshotRecord> snapshot = trace_.snapshot(i);
      if (!snapshot) return snapshot.failure();
      // They cover the way from the snapshot before, wherever that went.
      std::ranges::move(snapshot->footprints, std::back_inserter(waiting));
      const bool needed = branch && snapshot->at == trace_.first();
      if (!needed && options_.keep_snapshot && !options_.keep_snapshot(snapshot->at)) continue;
      snapshot->footprints = take(waiting);
      need_all_of(*snapshot);
      snapshots_.push_back(std::move(*snapshot));
    }
    end_ = trace_.end();
    if (end_) {
      std::ranges::move(end_->footprints, std::back_inserter(waiting));
      end_->footprints = take(waiting);
    }
    return Done{};
  }

  std::vector<Footprint> take(std::vector<Footprint>& waiting) const {
    std::vector<Footprint> taken = std::exchange(waiting, {});
    if (!options_.footprints) taken.clear();
    taken.resize(std::min(taken.size(), kMostFootprints));
    return taken;
  }

  void need_all_of(const SnapshotRecord& snapshot) {
    for (const PartState& part : snapshot.parts) need(part.pieces);
  }

  /// Pages are numbered without a gap, so those that stay move up.
  Status number_pages() {
    const Result<std::uint64_t> end = trace_.page_end();
    if (!end) return end.failure();
    numbers_.assign(*end, 0);
    for (const SnapshotRecord& snapshot : snapshots_) {
      const Result<std::vector<PageRun>> runs = trace_.page_runs(snapshot);
      if (!runs) return runs.failure();
      for (const PageRun& run : *runs)
        if (run.kind == PageKind::stored) std::fill_n(numbers_.begin() + run.from, run.count, 1);
    }
    std::uint64_t next = kFirstPage;
    for (std::uint64_t& number : numbers_)
      if (number != 0) number = next++;
    return Done{};
  }

  Status write_events() {
    return for_each("events", ValueKind::chunk, [&](const Bytes& key, const Bytes& raw) -> Status {
      const Result<Chunk> chunk = decode_chunk(raw);
      if (!chunk) return error("{}: table events: {}", trace_.path(), chunk.failure().message);
      for (const Event& event : chunk->events) need(event.pieces);
      return out_.put("events", key, ValueKind::chunk, raw);
    });
  }
  Status write_digests() { return copy("digests", ValueKind::digest); }
  Status write_marks() { return copy("marks", ValueKind::mark); }

  Result<Piece> renumbered(const Piece& region, std::uint64_t first) {
    if (const auto known = regions_.find(region.hash); known != regions_.end()) return known->second;
    const Result<Bytes> raw = trace_.blob(BlobRef{{}, region.size, {region}});
    if (!raw) return raw.failure();
    Result<std::vector<PageRun>> runs = decode_region(*raw, first);
    if (!runs) return error("{}: table blobs: {}", trace_.path(), runs.failure().message);
    for (PageRun& run : *runs)
      if (run.kind == PageKind::stored) run.from = numbers_[run.from];
    Bytes encoded = encode(*runs);
    const Piece piece{hash_of(encoded), static_cast<std::uint32_t>(encoded.size())};
    new_blobs_.insert_or_assign(piece.hash, std::move(encoded));
    return regions_[region.hash] = piece;
  }

  /// Encoded, without the footprints where they no longer fit into a value: they only shorten searches.
  template <class Record>
  static Bytes fitting(Record& record) {
    Bytes encoded = encode(record);
    if (encoded.size() <= kMaxValue) return encoded;
    record.footprints.clear();
    return encode(record);
  }

  Status write_snapshots() {
    for (SnapshotRecord& snapshot : snapshots_) {
      for (std::size_t i = 0; i < snapshot.regions.size(); ++i) {
        if (snapshot.regions[i].size == 0) continue;
        const Result<Piece> piece = renumbered(snapshot.regions[i], i * kRegionPages);
        if (!piece) return piece.failure();
        snapshot.regions[i] = *piece;
      }
      const Bytes key = key_of(snapshot.at.icount.value, snapshot.at.delivery);
      if (const Status put = out_.put("snapshots", key, ValueKind::snapshot, fitting(snapshot)); !put)
        return put;
    }
    return Done{};
  }

  Status write_meta() {
    need(trace_.config().kernel.pieces);
    need(trace_.config().initrd.pieces);
    for (const auto& [key, kind] :
         {std::pair{key_of(1), ValueKind::header}, {key_of(2), ValueKind::progress}}) {
      const Result<Bytes> raw = meta(key, kind);
      if (!raw) return raw.failure();
      if (const Status put = out_.put("meta", key, kind, *raw); !put) return put;
    }
    if (!end_) return Done{};
    return out_.put("meta", key_of(3), ValueKind::end, fitting(*end_));
  }

  Result<Bytes> meta(const Bytes& key, ValueKind kind) {
    const auto tables = file_.tables();
    if (!tables) return tables.failure();
    const auto table = std::ranges::find(*tables, "meta", &LmdbFile::Table::name);
    const auto record = file_.find(table->tree, key);
    if (!record) return record.failure();
    if (!*record) return error("{}: table meta, key {}: nothing there", trace_.path(), describe_key(key));
    const Result<Bytes> stored = file_.value(**record);
    if (!stored) return stored.failure();
    return open("meta", key, kind, *stored);
  }

  Status write_pages() {
    const Result<std::vector<Hash128>> hashes = trace_.page_hashes();
    if (!hashes) return hashes.failure();
    std::vector<Hash128> bundle;
    Bytes data;
    std::uint64_t first = kFirstPage;
    const auto put = [&]() -> Status {
      if (bundle.empty()) return Done{};
      if (const Status done = out_.put("pages", key_of(first, 0), ValueKind::page_hashes, encode(bundle));
          !done)
        return done;
      if (const Status done = out_.put("pages", key_of(first, 1), ValueKind::page_bundle, data); !done)
        return done;
      first += bundle.size();
      bundle.clear();
      data.clear();
      return Done{};
    };
    for (std::uint64_t old = kFirstPage; old < numbers_.size(); ++old) {
      if (numbers_[old] == 0) continue;
      data.resize(data.size() + kPageSize);
      const std::span<std::byte, kPageSize> page(data.data() + data.size() - kPageSize, kPageSize);
      if (const Status read = trace_.page(old, page); !read) return read;
      bundle.push_back((*hashes)[old - kFirstPage]);
      if (bundle.size() < kBundlePages) continue;
      if (const Status done = put(); !done) return done;
    }
    return put();
  }

  Status write_blobs() {
    for (const auto& [hash, encoded] : new_blobs_) blobs_[hash] = static_cast<std::uint32_t>(encoded.size());
    for (const auto& [hash, size] : blobs_) {
      const auto made = new_blobs_.find(hash);
      if (made != new_blobs_.end()) {
        if (const Status put = out_.put("blobs", key_of(hash), ValueKind::blob, made->second); !put)
          return put;
        continue;
      }
      const Result<Bytes> raw = trace_.blob(BlobRef{{}, size, {Piece{hash, size}}});
      if (!raw) return raw.failure();
      if (const Status put = out_.put("blobs", key_of(hash), ValueKind::blob, *raw); !put) return put;
    }
    return Done{};
  }

  TraceReader& trace_;
  LmdbFile& file_;
  NewFile& out_;
  const RewriteOptions& options_;
  std::vector<SnapshotRecord> snapshots_;
  std::optional<End> end_;
  std::vector<std::uint64_t> numbers_;      ///< of each old page its new number; 0: it goes
  std::map<Hash128, Piece> regions_;        ///< by the old hash
  std::map<Hash128, std::uint32_t> blobs_;  ///< that are needed, with their sizes
  std::map<Hash128, Bytes> new_blobs_;      ///< those that the source does not have
};

}  // namespace

Status rewrite(const std::string& from, const std::string& to, const RewriteOptions& options) {
  const auto trace = TraceReader::open(from);
  if (!trace) return trace.failure();
  const auto file = LmdbFile::open(from);
  if (!file) return file.failure();
  if ((*file)->transaction() != (*trace)->transaction())
    return error("{}: another program is writing it", from);
  std::error_code failed;
  const auto size = std::filesystem::file_size(from, failed);
  if (failed) return error("{}: {}", from, failed.message());
  NewFile out(to, options.compression);
  if (const Status created = out.create(size); !created) return created;
  if (const Status written = Rewriter(**trace, **file, out, options).all(); !written) return written;
  return out.finish((*trace)->transaction());
}

Status rewrite_in_place(const std::string& path, const RewriteOptions& options) {
  std::error_code failed;
  const std::filesystem::path place = std::filesystem::canonical(path, failed);
  if (failed) return error("{}: cannot open: {}", path, failed.message());
  const int descriptor = ::open(place.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return error("{}: cannot write: {}", path, std::strerror(errno));
  const std::string scratch = place.string() + ".new";
  const Status done = [&]() -> Status {
    struct stat status {};
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) return error("{}: another program is writing it", path);
    if (::fstat(descriptor, &status) != 0) return error("{}: {}", path, std::strerror(errno));
    // Left behind by one that was killed; who holds the lock is alone here.
    ::unlink(scratch.c_str());
    if (const Status written = rewrite(place.string(), scratch, options); !written) return written;
    if (::chmod(scratch.c_str(), status.st_mode & 07777) == 0 &&
        ::rename(scratch.c_str(), place.c_str()) == 0)
      return Done{};
    const Error failure = error("{}: {}", path, std::strerror(errno));
    ::unlink(scratch.c_str());
    return failure;
  }();
  ::close(descriptor);
  return done;
}

}  // namespace hindsight::traces::store
