// A reader for LMDB's file format (data version 1, 64-bit little-endian) that trusts nothing in the file:
// every page number, offset and size is checked, nothing is mapped, no lock file is made. Traces come from
// other machines; LMDB itself reads outside its map when a page is damaged. Owned by TraceReader. One thread
// at a time. Reads only; no effect on the guest.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/records.h"

namespace hindsight::traces::store {

class LmdbFile final {
 public:
  struct Tree {
    std::uint64_t root = ~std::uint64_t{0};  ///< page number; all ones: empty
    std::uint16_t depth = 0;
    std::uint64_t entries = 0;
  };
  struct Table {
    std::string name;
    Tree tree;
  };
  /// One record where it lies: a key, and the value's bytes on demand.
  struct Record {
    Bytes key;
    std::uint64_t offset = 0;  ///< of the value in the file
    std::uint64_t size = 0;
  };

  /// Opens the newer of the file's two states. Errors name the file and what was expected.
  static Result<std::unique_ptr<LmdbFile>> open(const std::string& path);
  ~LmdbFile();
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The number of the commit that is being read.
  [[nodiscard]] std::uint64_t transaction() const { return transaction_; }
  /// The named databases, in name order.
  Result<std::vector<Table>> tables();
  /// The record under `key`, if there is one.
  Result<std::optional<Record>> find(const Tree& tree, std::span<const std::byte> key);
  /// Calls `visit` for every record in key order, until it returns false. Checks the whole tree on the way:
  /// page kinds, order of keys, number of entries.
  Status for_each(const Tree& tree, const std::function<bool(const Record&)>& visit);
  Result<Bytes> value(const Record& record);

 private:
  struct Node;
  struct Page {
    std::uint64_t number = ~std::uint64_t{0};
    Bytes data;
  };

  LmdbFile(std::string path, int descriptor, std::uint64_t size);
  Status load_meta();
  [[nodiscard]] Status read_at(std::uint64_t offset, void* out, std::size_t size) const;
  /// The page, read and checked: number, kind, node offsets in order within bounds.
  Result<const Bytes*> page(std::uint64_t number, bool leaf);
  Result<Node> node(const Bytes& page, std::size_t index, bool leaf) const;
  Result<Record> record_of(const Node& node, std::uint64_t page_number) const;
  struct Walk;
  Status walk(Walk& state, std::uint64_t number, unsigned level);

  std::string path_;
  int descriptor_;
  std::uint64_t size_;
  std::uint32_t page_size_ = 0;
  std::uint64_t transaction_ = 0;
  Tree main_;
  std::array<Page, 64> cache_;
};

}  // namespace hindsight::traces::store
