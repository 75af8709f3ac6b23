#include "traces/store/trace_editor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "traces/store/lmdb_error.h"
#include "traces/store/trace_reader.h"

namespace hindsight::traces::store {
namespace {

/// Address space beyond the file's size; the map cannot grow while the pin is held.
constexpr std::size_t kRoomToGrow = std::size_t{1} << 38;

MDB_val value_of(const Bytes& bytes) { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }

}  // namespace

Result<std::unique_ptr<TraceEditor>> TraceEditor::open(const std::string& path, std::uint64_t transaction) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return error("{}: cannot add to it: {}", path, std::strerror(errno));
  std::unique_ptr<TraceEditor> editor(new TraceEditor(path, descriptor));
  if (const Status started = editor->start(transaction); !started) return started.failure();
  return editor;
}

Status TraceEditor::start(std::uint64_t transaction) {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0)
    return error("{}: cannot add to it: another program is writing it", path_);
  // LMDB trusts the pages of a file, so whether they make sound trees is found out without it.
  const auto reader = TraceReader::open(path_);
  if (!reader) return reader.failure();
  if ((*reader)->transaction() != transaction)
    return error("{}: another program has added to it since it was opened; open it again", path_);
  if (const auto sizes = (*reader)->sizes(); !sizes) return sizes.failure();
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return error("{}: {}", path_, std::strerror(errno));
  int code = mdb_env_create(&env_);
  if (code == 0) code = mdb_env_set_maxdbs(env_, kTables.size());
  if (code == 0) code = mdb_env_set_mapsize(env_, static_cast<std::size_t>(status.st_size) + kRoomToGrow);
  if (code == 0) code = mdb_env_open(env_, path_.c_str(), MDB_NOSUBDIR | MDB_NOTLS, 0644);
  // LMDB writes changed pages to free places only, but what one commit freed the next but one reuses, unless
  // an older transaction is open that may still read it. This one is never used to read; it stands for the
  // TraceReaders of this process, of which LMDB knows nothing: it is as old as they are, so nothing that they
  // saw is overwritten while the editor lives. It needs LMDB's table of readers, and so its lock file.
  if (code == 0) code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &pin_);
  if (code != 0) return error("{}: cannot add to it: {}", path_, lmdb_message(code, path_));
  MDB_txn* opening = nullptr;
  code = mdb_txn_begin(env_, nullptr, 0, &opening);
  if (code != 0) return error("{}: cannot add to it: {}", path_, lmdb_message(code, path_));
  for (std::size_t i = 0; i < kTables.size() && code == 0; ++i)
    code = mdb_dbi_open(opening, kTables[i].data(), 0, &tables_[i]);
  if (code == 0) {
    code = mdb_txn_commit(opening);  // nothing was written, so this changes nothing in the file
  } else {
    mdb_txn_abort(opening);
  }
  if (code != 0) return error("{}: cannot open its tables: {}", path_, lmdb_message(code, path_));
  return Done{};
}

TraceEditor::~TraceEditor() {
  if (pin_ != nullptr) mdb_txn_abort(pin_);
  if (env_ != nullptr) {
    mdb_env_close(env_);
    ::unlink((path_ + "-lock").c_str());  // nobody else has it open: the lock below is still held
  }
  ::close(descriptor_);
}

void TraceEditor::add(std::size_t table, Bytes key, ValueKind kind, std::span<const std::byte> raw,
                      bool once) {
  const int compression = kind == ValueKind::page_bundle ? kPageCompression : kUsualCompression;
  Bytes value = seal(kTables[table], key, kind, raw, compression);
  writes_.push_back({table, std::move(key), std::move(value), once});
}

void TraceEditor::put_pages(std::uint64_t first, std::span<const Hash128> hashes,
                            std::span<const std::byte> data) {
  CHECK(!hashes.empty() && hashes.size() <= kBundlePages && data.size() == hashes.size() * kPageSize,
        "{} hashes for {} bytes", hashes.size(), data.size());
  add(table_index("pages"), key_of(first, 0), ValueKind::page_hashes,
      encode(std::vector<Hash128>(hashes.begin(), hashes.end())));
  add(table_index("pages"), key_of(first, 1), ValueKind::page_bundle, data);
}

Piece TraceEditor::put_piece(std::span<const std::byte> data) {
  const Piece piece{hash_of(data), static_cast<std::uint32_t>(data.size())};
  add(table_index("blobs"), key_of(piece.hash), ValueKind::blob, data, true);
  return piece;
}

void TraceEditor::put_snapshot(const SnapshotRecord& snapshot) {
  add(table_index("snapshots"), key_of(snapshot.at.icount.value, snapshot.at.delivery), ValueKind::snapshot,
      encode(snapshot));
}

void TraceEditor::set_mark(const Mark& mark) { marks_.emplace_back(mark.name, mark); }

void TraceEditor::remove_mark(const std::string& name) { marks_.emplace_back(name, std::nullopt); }

/// Marks are few: each change looks at all of them.
int TraceEditor::write_marks(MDB_txn* transaction) {
  const MDB_dbi table = tables_[table_index("marks")];
  for (const auto& [name, wanted] : marks_) {
    MDB_cursor* cursor = nullptr;
    if (const int code = mdb_cursor_open(transaction, table, &cursor); code != 0) return code;
    std::uint64_t next = 0;
    std::optional<Bytes> taken;
    MDB_val key, value;
    for (int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == 0;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
      const auto* begin = static_cast<const std::byte*>(key.mv_data);
      const Bytes number(begin, begin + key.mv_size);
      if (number.size() == 8) next = number_in(number, 0) + 1;
      const auto raw = store::open("marks", number, ValueKind::mark,
                                   {static_cast<const std::byte*>(value.mv_data), value.mv_size});
      const auto mark = raw ? decode_mark(*raw) : Result<Mark>(raw.failure());
      if (mark && mark->name == name) taken = number;
    }
    mdb_cursor_close(cursor);
    const Bytes number = taken ? *taken : key_of(next);
    MDB_val at = value_of(number);
    if (wanted) {
      const Bytes sealed = seal("marks", number, ValueKind::mark, encode(*wanted));
      MDB_val contents = value_of(sealed);
      if (const int code = mdb_put(transaction, table, &at, &contents, 0); code != 0) return code;
    } else if (taken) {
      if (const int code = mdb_del(transaction, table, &at, nullptr); code != 0) return code;
    }
  }
  return 0;
}

int TraceEditor::try_commit() {
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(env_, nullptr, 0, &transaction);
  if (code != 0) return code;
  for (const Write& write : writes_) {
    MDB_val key = value_of(write.key), value = value_of(write.value);
    code = mdb_put(transaction, tables_[write.table], &key, &value, write.once ? MDB_NOOVERWRITE : 0);
    if (code == MDB_KEYEXIST && write.once) code = 0;
    if (code != 0) break;
  }
  if (code == 0) code = write_marks(transaction);
  if (code == 0) return mdb_txn_commit(transaction);
  mdb_txn_abort(transaction);
  return code;
}

Status TraceEditor::commit() {
  const int code = try_commit();
  writes_.clear();
  marks_.clear();
  if (code != 0) return error("{}: cannot add to it: {}", path_, lmdb_message(code, path_));
  return Done{};
}

}  // namespace hindsight::traces::store
