#include "traces/store/trace_reader.h"

#include <algorithm>

namespace hindsight::traces::store {

Error TraceReader::in_file(std::string_view table, std::span<const std::byte> key, const Error& cause) const {
  return error("{}: table {}, key {}: {}", path(), table, describe_key(key), cause.message);
}

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path) {
  Result<std::unique_ptr<LmdbFile>> file = LmdbFile::open(path);
  if (!file) return file.failure();
  std::unique_ptr<TraceReader> reader(new TraceReader(std::move(*file)));
  if (const Status loaded = reader->load(); !loaded) return loaded.failure();
  return reader;
}

Result<Bytes> TraceReader::read(std::string_view table, const LmdbFile::Record& record, ValueKind kind) {
  const Result<Bytes> stored = file_->value(record);
  if (!stored) return stored.failure();
  Result<Bytes> raw = store::open(table, record.key, kind, *stored);
  if (!raw) return error("{}: {}", path(), raw.failure().message);
  return raw;
}

Result<std::optional<Bytes>> TraceReader::meta(std::uint64_t key, ValueKind kind) {
  const auto record = file_->find(tables_["meta"], key_of(key));
  if (!record) return record.failure();
  if (!*record) return std::optional<Bytes>{};
  Result<Bytes> raw = read("meta", **record, kind);
  if (!raw) return raw.failure();
  return std::optional<Bytes>(std::move(*raw));
}

Status TraceReader::load() {
  Result<std::vector<LmdbFile::Table>> tables = file_->tables();
  if (!tables) return tables.failure();
  for (const LmdbFile::Table& table : *tables) tables_.emplace(table.name, table.tree);
  if (!tables_.contains("meta")) return error("{}: not a trace: a table 'meta' expected", path());

  // The header first: a newer version may have tables and kinds that this one does not know.
  const auto header = meta(1, ValueKind::header);
  if (!header) return header.failure();
  if (!*header) {
    return error(
        "{}: a header expected in table meta: the recorder was interrupted before the machine started",
        path());
  }
  Result<MachineConfig> config = decode_config(**header);
  if (!config) return in_file("meta", key_of(1), config.failure());
  config_ = std::move(*config);
  for (const auto& [name, tree] : tables_) {
    if (std::find(kTables.begin(), kTables.end(), name) == kTables.end()) {
      return error("{}: table '{}' is unknown to format version {}", path(), name, config_.format_version());
    }
  }
  for (const std::string_view name : kTables) {
    if (!tables_.contains(name)) return error("{}: a table '{}' expected", path(), name);
  }
  const auto list = [&](std::string_view name, std::vector<LmdbFile::Record>& into) -> Status {
    bool sound = true;
    const Status walked = file_->for_each(tables_.find(name)->second, [&](const LmdbFile::Record& record) {
      into.push_back(record);
      return sound = record.key.size() == 16;
    });
    if (!walked) return walked.failure();
    if (!sound)
      return error("{}: table {}, key {}: 16 bytes expected", path(), name, describe_key(into.back().key));
    return Done{};
  };
  if (const Status listed = list("events", chunks_); !listed) return listed.failure();
  if (const Status listed = list("digests", digests_); !listed) return listed.failure();
  if (const Status listed = list("snapshots", snapshots_); !listed) return listed.failure();

  const auto progress = meta(2, ValueKind::progress);
  if (!progress) return progress.failure();
  if (*progress) {
    const Result<Progress> decoded = decode_progress(**progress);
    if (!decoded) return in_file("meta", key_of(2), decoded.failure());
    progress_ = *decoded;
  }
  if (progress_.chunks != chunks_.size() || progress_.digests != digests_.size()) {
    return error("{}: {} event chunks and {} digests expected, found {} and {}", path(), progress_.chunks,
                 progress_.digests, chunks_.size(), digests_.size());
  }
  for (const auto& [name, records] : {std::pair{"events", &chunks_}, {"digests", &digests_}}) {
    for (std::uint64_t i = 0; i < records->size(); ++i) {
      if (number_in((*records)[i].key, 8) != i)
        return error("{}: table {}: number {} is missing", path(), name, i);
    }
  }
  const auto end = meta(3, ValueKind::end);
  if (!end) return end.failure();
  if (*end) {
    const Result<End> decoded = decode_end(**end);
    if (!decoded) return in_file("meta", key_of(3), decoded.failure());
    end_ = *decoded;
  }
  return check_parent();
}

Place TraceReader::first() const {
  if (!config_.parent) return {};
  return {config_.parent->at.icount, config_.parent->delivery};
}

Status TraceReader::check_parent() const {
  if (!config_.parent) return Done{};
  const Place begin = first();
  const bool found = std::any_of(snapshots_.begin(), snapshots_.end(), [&](const LmdbFile::Record& record) {
    return record.key == key_of(begin.icount.value, begin.delivery);
  });
  if (!found || progress_.at.icount < begin.icount) {
    return error("{}: a branch with a snapshot of its beginning, icount {}, expected", path(),
                 begin.icount.value);
  }
  return Done{};
}

Result<Hash128> TraceReader::identity() {
  const auto header = meta(1, ValueKind::header);
  if (!header) return header.failure();
  CHECK(header->has_value(), "no header in an open trace");
  Bytes all = **header;
  if (!chunks_.empty()) {
    const Result<Bytes> chunk = read("events", chunks_.front(), ValueKind::chunk);
    if (!chunk) return chunk.failure();
    all.insert(all.end(), chunk->begin(), chunk->end());
  }
  return hash_of(all);
}

Result<Chunk> TraceReader::chunk(std::uint64_t number) {
  CHECK(number < chunks_.size(), "chunk {} of {}", number, chunks_.size());
  const LmdbFile::Record& record = chunks_[number];
  const Result<Bytes> raw = read("events", record, ValueKind::chunk);
  if (!raw) return raw.failure();
  Result<Chunk> chunk = decode_chunk(*raw);
  if (!chunk) return in_file("events", record.key, chunk.failure());
  if (chunk->number != number) {
    return in_file("events", record.key, error("chunk {} expected, found {}", number, chunk->number));
  }
  return chunk;
}

Icount TraceReader::digest_icount(std::uint64_t index) const {
  CHECK(index < digests_.size(), "digest {} of {}", index, digests_.size());
  return Icount(number_in(digests_[index].key, 0));
}

Result<Digest> TraceReader::digest(std::uint64_t index) {
  CHECK(index < digests_.size(), "digest {} of {}", index, digests_.size());
  const LmdbFile::Record& record = digests_[index];
  const Result<Bytes> raw = read("digests", record, ValueKind::digest);
  if (!raw) return raw.failure();
  Result<Digest> digest = decode_digest(*raw);
  if (!digest) return in_file("digests", record.key, digest.failure());
  if (digest->at.icount != digest_icount(index)) {
    return in_file("digests", record.key,
                   error("the icount of its key expected, found {}", digest->at.icount.value));
  }
  return digest;
}

Status TraceReader::piece(const Piece& piece, std::span<std::byte> out) {
  const Bytes key = key_of(piece.hash);
  CHECK(out.size() == piece.size, "{} bytes for a piece of {}", out.size(), piece.size);
  const auto record = file_->find(tables_.find("blobs")->second, key);
  if (!record) return record.failure();
  if (!*record) return in_file("blobs", key, error("{} bytes expected, nothing there", piece.size));
  const Result<Bytes> raw = read("blobs", **record, ValueKind::blob);
  if (!raw) return raw.failure();
  if (raw->size() != piece.size) {
    return in_file("blobs", key, error("{} bytes expected, found {}", piece.size, raw->size()));
  }
  std::copy(raw->begin(), raw->end(), out.begin());
  return Done{};
}

Result<Bytes> TraceReader::blob(const BlobRef& blob) {
  Bytes data;
  for (const Piece& part : blob.pieces) {
    if (part.size > kMaxValue) return error("{}: a piece of at most {} bytes expected", path(), kMaxValue);
    const std::size_t at = data.size();
    data.resize(at + part.size);
    if (const Status read = piece(part, std::span(data).subspan(at)); !read) return read.failure();
  }
  return data;
}

Result<Bytes> TraceReader::payload(const Event& event) {
  if (event.pieces.empty()) return event.payload;
  return blob(BlobRef{{}, event.size, event.pieces});
}

Status TraceReader::check_table(std::string_view table, ValueKind kind) {
  std::optional<Error> failure;
  const Status walked = file_->for_each(tables_.find(table)->second, [&](const LmdbFile::Record& record) {
    const Result<Bytes> raw = read(table, record, kind);
    if (!raw) {
      failure = raw.failure();
    } else if (record.key != key_of(hash_of(*raw))) {
      failure = in_file(table, record.key, error("contents of that hash expected"));
    }
    return !failure;
  });
  if (failure) return *failure;
  return walked;
}

Status TraceReader::check_all() {
  if (const Status checked = check_table("blobs", ValueKind::blob); !checked) return checked.failure();
  std::uint64_t events = 0;
  for (std::uint64_t i = 0; i < chunk_count(); ++i) {
    const Result<Chunk> part = chunk(i);
    if (!part) return part.failure();
    if (part->first_event != events) {
      return in_file("events", chunks_[i].key,
                     error("event {} first expected, found {}", events, part->first_event));
    }
    events += part->events.size();
    for (const Event& event : part->events) {
      const Result<Bytes> data = payload(event);
      if (!data) return data.failure();
    }
  }
  if (events != progress_.events)
    return error("{}: {} events expected, found {}", path(), progress_.events, events);
  for (std::uint64_t i = 0; i < digest_count(); ++i) {
    const Result<Digest> part = digest(i);
    if (!part) return part.failure();
  }
  for (const BlobRef* part : {&config_.kernel, &config_.initrd}) {
    const Result<Bytes> data = blob(*part);
    if (!data) return data.failure();
  }
  if (const Status checked = check_bundles(); !checked) return checked.failure();
  if (const Status checked = check_snapshots(); !checked) return checked.failure();
  if (const Result<std::vector<Mark>> all = marks(); !all) return all.failure();
  return Done{};
}

Result<std::vector<TableSize>> TraceReader::sizes() {
  std::vector<TableSize> all;
  for (const auto& [name, tree] : tables_) {
    TableSize size{name, 0, 0};
    const Status walked = file_->for_each(tree, [&](const LmdbFile::Record& record) {
      size.records++;
      size.bytes += record.size;
      return true;
    });
    if (!walked) return walked.failure();
    all.push_back(size);
  }
  return all;
}

}  // namespace hindsight::traces::store
