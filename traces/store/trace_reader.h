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

  /// Reads every value of every table and checks what they say of each other.
  Status check_all();
  Result<std::vector<TableSize>> sizes();

 private:
  explicit TraceReader(std::unique_ptr<LmdbFile> file) : file_(std::move(file)) {}
  Status load();
  Result<std::optional<Bytes>> meta(std::uint64_t key, ValueKind kind);
  Result<Bytes> read(std::string_view table, const LmdbFile::Record& record, ValueKind kind);
  Status check_table(std::string_view table, ValueKind kind);
  [[nodiscard]] Error in_file(std::string_view table, std::span<const std::byte> key,
                              const Error& cause) const;

  std::unique_ptr<LmdbFile> file_;
  std::map<std::string, LmdbFile::Tree, std::less<>> tables_;
  MachineConfig config_;
  Progress progress_;
  std::optional<End> end_;
  std::vector<LmdbFile::Record> chunks_, digests_;
};

}  // namespace hindsight::traces::store
