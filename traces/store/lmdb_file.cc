#include "traces/store/lmdb_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "traces/store/value.h"

namespace hindsight::traces::store {
namespace {

// The layout of LMDB's pages, from its own description of the format in mdb.c (structs MDB_page, MDB_meta,
// MDB_db, MDB_node), data version 1.
constexpr std::uint32_t kMetaMagic = 0xBEEFC0DE;
constexpr std::uint32_t kDataVersion = 1;
constexpr std::size_t kPageHeader = 16;
constexpr std::size_t kNodeHeader = 8;
constexpr std::size_t kDbSize = 48;
constexpr std::size_t kMetaSize = 24 + 2 * kDbSize + 16;
constexpr std::uint16_t kBranchPage = 0x01, kLeafPage = 0x02, kOverflowPage = 0x04, kMetaPage = 0x08;
constexpr std::uint16_t kPageKinds = 0x6f;  // all that says what a page is; 0x10 (dirty) may linger
constexpr std::uint16_t kBigData = 0x01;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr unsigned kMaxDepth = 32;  // LMDB's CURSOR_STACK

template <class T>
T load(std::span<const std::byte> data, std::size_t offset) {
  T value;
  CHECK(offset + sizeof value <= data.size(), "offset {} of {}", offset, data.size());
  std::memcpy(&value, data.data() + offset, sizeof value);
  return value;
}

LmdbFile::Tree tree_at(std::span<const std::byte> data, std::size_t offset) {
  return {load<std::uint64_t>(data, offset + 40), load<std::uint16_t>(data, offset + 6),
          load<std::uint64_t>(data, offset + 32)};
}

bool less(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

struct LmdbFile::Node {
  std::span<const std::byte> key;
  std::size_t value_offset = 0;  ///< within the page
  std::uint16_t flags = 0;
  std::uint64_t child = 0;  ///< branch pages: a page number; leaf pages: the value's size
};

struct LmdbFile::Walk {
  const Tree& tree;
  const std::function<bool(const Record&)>& visit;
  std::uint64_t entries = 0;
  std::uint64_t pages = 0;
  Bytes last_key;
  bool stopped = false;
};

LmdbFile::LmdbFile(std::string path, int descriptor, std::uint64_t size)
    : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

LmdbFile::~LmdbFile() { ::close(descriptor_); }

Result<std::unique_ptr<LmdbFile>> LmdbFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return error("{}: cannot open: {}", path, std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  std::unique_ptr<LmdbFile> file(
      new LmdbFile(path, descriptor, regular ? static_cast<std::uint64_t>(status.st_size) : 0));
  if (!regular) return error("{}: a regular file expected", path);
  if (const Status loaded = file->load_meta(); !loaded) return loaded.failure();
  return file;
}

Status LmdbFile::read_at(std::uint64_t offset, void* out, std::size_t size) const {
  if (offset > size_ || size > size_ - offset) {
    return error("{}: truncated: bytes {} to {} expected, the file has {}", path_, offset, offset + size,
                 size_);
  }
  auto* to = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error("{}: cannot read at {}: {}", path_, offset, std::strerror(errno));
    if (got == 0) return error("{}: truncated while it was read, at {}", path_, offset);
    to += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return Done{};
}

Status LmdbFile::load_meta() {
  const auto parse = [&](std::uint64_t offset) -> Result<Bytes> {
    Bytes meta(kPageHeader + kMetaSize);
    if (size_ < meta.size()) return error("{}: not a trace: a file of {} bytes is too small", path_, size_);
    if (const Status read = read_at(offset, meta.data(), meta.size()); !read) return read.failure();
    if ((load<std::uint16_t>(meta, 10) & kMetaPage) == 0 || load<std::uint32_t>(meta, 16) != kMetaMagic) {
      return error("{}: not a trace: an LMDB meta page expected at byte {}", path_, offset);
    }
    if (load<std::uint32_t>(meta, 20) != kDataVersion) {
      return error("{}: LMDB data version {} expected, found {}", path_, kDataVersion,
                   load<std::uint32_t>(meta, 20));
    }
    return meta;
  };
  const auto page_size_in = [](const Bytes& meta) { return load<std::uint32_t>(meta, kPageHeader + 24); };
  const auto transaction_in = [](const Bytes& meta) {
    return load<std::uint64_t>(meta, kPageHeader + kMetaSize - 8);
  };
  const Result<Bytes> first = parse(0);
  if (!first) return first.failure();
  page_size_ = page_size_in(*first);
  if (!std::has_single_bit(page_size_) || page_size_ < 512 || page_size_ > 65536) {
    return error("{}: a page size from 512 to 65536 expected, found {}", path_, page_size_);
  }
  const Result<Bytes> second = parse(page_size_);
  if (!second) return second.failure();
  if (page_size_in(*second) != page_size_) {
    return error("{}: two meta pages of one page size expected, found {} and {}", path_, page_size_,
                 page_size_in(*second));
  }
  const Bytes& newest = transaction_in(*first) < transaction_in(*second) ? *second : *first;
  transaction_ = transaction_in(newest);
  main_ = tree_at(newest, kPageHeader + 24 + kDbSize);
  return Done{};
}

Result<const Bytes*> LmdbFile::page(std::uint64_t number, bool leaf) {
  Page& slot = cache_[number % cache_.size()];
  const std::uint16_t kind = leaf ? kLeafPage : kBranchPage;
  if (slot.number != number) {
    slot.number = kNoPage;
    slot.data.resize(page_size_);
    if (number > size_ / page_size_) return error("{}: truncated: page {} expected", path_, number);
    if (const Status read = read_at(number * page_size_, slot.data.data(), page_size_); !read) {
      return read.failure();
    }
    slot.number = number;
  }
  const Bytes& data = slot.data;
  const auto flags = static_cast<std::uint16_t>(load<std::uint16_t>(data, 10) & kPageKinds);
  const std::uint16_t lower = load<std::uint16_t>(data, 12);
  const std::uint16_t upper = load<std::uint16_t>(data, 14);
  if (load<std::uint64_t>(data, 0) != number || flags != kind) {
    return error("{}: damaged: page {} expected to be a {} page of that number, found number {}, flags {:#x}",
                 path_, number, leaf ? "leaf" : "branch", load<std::uint64_t>(data, 0), flags);
  }
  if (lower < kPageHeader || lower > upper || upper > page_size_ || lower % 2 != 0) {
    return error("{}: damaged: page {} has its free space from {} to {}", path_, number, lower, upper);
  }
  return &data;
}

Result<LmdbFile::Node> LmdbFile::node(const Bytes& page, std::size_t index, bool leaf) const {
  const std::size_t at = load<std::uint16_t>(page, kPageHeader + 2 * index);
  const std::size_t lower = load<std::uint16_t>(page, 12);
  if (at < lower || at + kNodeHeader > page.size()) {
    return error("{}: damaged: page {} node {} lies at {}", path_, load<std::uint64_t>(page, 0), index, at);
  }
  Node node;
  const std::uint64_t low = load<std::uint16_t>(page, at);
  const std::uint64_t high = load<std::uint16_t>(page, at + 2);
  node.flags = load<std::uint16_t>(page, at + 4);
  const std::size_t key_size = load<std::uint16_t>(page, at + 6);
  node.child = low | high << 16;
  if (!leaf) node.child |= static_cast<std::uint64_t>(node.flags) << 32;
  if (at + kNodeHeader + key_size > page.size()) {
    return error("{}: damaged: page {} node {} has a key of {} bytes", path_, load<std::uint64_t>(page, 0),
                 index, key_size);
  }
  node.key = {page.data() + at + kNodeHeader, key_size};
  node.value_offset = at + kNodeHeader + key_size;
  return node;
}

Result<LmdbFile::Record> LmdbFile::record_of(const Node& node, std::uint64_t page_number) const {
  Record record{Bytes(node.key.begin(), node.key.end()), 0, node.child};
  const std::size_t inside = (node.flags & kBigData) != 0 ? sizeof(std::uint64_t) : node.child;
  if (node.value_offset + inside > page_size_) {
    return error("{}: damaged: page {} has a value of {} bytes", path_, page_number, node.child);
  }
  record.offset = page_number * page_size_ + node.value_offset;
  if ((node.flags & kBigData) == 0) return record;
  std::uint64_t first = 0;
  if (const Status read = read_at(record.offset, &first, sizeof first); !read) return read.failure();
  std::array<std::byte, kPageHeader> header{};
  if (first > size_ / page_size_) return error("{}: truncated: page {} expected", path_, first);
  if (const Status read = read_at(first * page_size_, header.data(), header.size()); !read)
    return read.failure();
  const std::uint64_t pages = load<std::uint32_t>(header, 12);
  if (load<std::uint64_t>(header, 0) != first ||
      (load<std::uint16_t>(header, 10) & kPageKinds) != kOverflowPage ||
      pages * page_size_ < kPageHeader + record.size) {
    return error("{}: damaged: page {} expected to start {} bytes of overflow", path_, first, record.size);
  }
  record.offset = first * page_size_ + kPageHeader;
  if (record.size > size_ || record.offset > size_ - record.size) {
    return error("{}: truncated: {} bytes at {} expected, the file has {}", path_, record.size, record.offset,
                 size_);
  }
  return record;
}

Result<std::vector<LmdbFile::Table>> LmdbFile::tables() {
  std::vector<Table> tables;
  std::optional<Error> failure;
  const Status walked = for_each(main_, [&](const Record& record) {
    Table table{std::string(reinterpret_cast<const char*>(record.key.data()), record.key.size()), {}};
    Result<Bytes> data = value(record);
    if (!data || data->size() != kDbSize) {
      failure = error("{}: not a trace: the record '{}' is no table", path_, table.name);
      return false;
    }
    table.tree = tree_at(*data, 0);
    tables.push_back(std::move(table));
    return true;
  });
  if (failure) return *failure;
  if (!walked) return walked.failure();
  return tables;
}

Result<std::optional<LmdbFile::Record>> LmdbFile::find(const Tree& tree, std::span<const std::byte> key) {
  if (tree.root == kNoPage) return std::optional<Record>{};
  if (tree.depth == 0 || tree.depth > kMaxDepth)
    return error("{}: damaged: a tree of depth {}", path_, tree.depth);
  std::uint64_t number = tree.root;
  for (unsigned level = tree.depth; level >= 1; --level) {
    const bool leaf = level == 1;
    const Result<const Bytes*> data = page(number, leaf);
    if (!data) return data.failure();
    const std::size_t count = (load<std::uint16_t>(**data, 12) - kPageHeader) / 2;
    // The first node whose key is greater. A branch's first key is empty and stands for the least.
    std::size_t low = leaf ? 0 : 1, high = std::max(count, low);
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      const Result<Node> at = node(**data, middle, leaf);
      if (!at) return at.failure();
      if (less(key, at->key))
        high = middle;
      else
        low = middle + 1;
    }
    if (low == 0 || count == 0) return std::optional<Record>{};
    const Result<Node> at = node(**data, low - 1, leaf);
    if (!at) return at.failure();
    if (!leaf) {
      number = at->child;
      continue;
    }
    if (!std::equal(key.begin(), key.end(), at->key.begin(), at->key.end())) return std::optional<Record>{};
    Result<Record> record = record_of(*at, number);
    if (!record) return record.failure();
    return std::optional<Record>(std::move(*record));
  }
  return std::optional<Record>{};
}

Status LmdbFile::walk(Walk& state, std::uint64_t number, unsigned level) {
  const bool leaf = level == 1;
  // No tree of this file has more pages than the file: a loop among the pages ends here.
  if (++state.pages > size_ / page_size_) return error("{}: damaged: the pages of a tree form a loop", path_);
  const Result<const Bytes*> cached = page(number, leaf);
  if (!cached) return cached.failure();
  const Bytes data = **cached;  // a copy: the cache moves on below
  const std::size_t count = (load<std::uint16_t>(data, 12) - kPageHeader) / 2;
  for (std::size_t i = 0; i < count && !state.stopped; ++i) {
    const Result<Node> at = node(data, i, leaf);
    if (!at) return at.failure();
    if (!leaf) {
      if (const Status walked = walk(state, at->child, level - 1); !walked) return walked.failure();
      continue;
    }
    Result<Record> record = record_of(*at, number);
    if (!record) return record.failure();
    if (state.entries++ > 0 && !less(state.last_key, record->key)) {
      return error("{}: damaged: page {} has its keys out of order", path_, number);
    }
    state.last_key = record->key;
    state.stopped = !state.visit(*record);
  }
  return Done{};
}

Status LmdbFile::for_each(const Tree& tree, const std::function<bool(const Record&)>& visit) {
  Walk state{tree, visit, 0, 0, {}, false};
  if (tree.root != kNoPage) {
    if (tree.depth == 0 || tree.depth > kMaxDepth)
      return error("{}: damaged: a tree of depth {}", path_, tree.depth);
    if (const Status walked = walk(state, tree.root, tree.depth); !walked) return walked.failure();
  }
  if (!state.stopped && state.entries != tree.entries) {
    return error("{}: damaged: {} records expected in a table, found {}", path_, tree.entries, state.entries);
  }
  return Done{};
}

Result<Bytes> LmdbFile::value(const Record& record) {
  if (record.size > kMaxValue + page_size_) {
    return error("{}: damaged: a value of {} bytes", path_, record.size);
  }
  Bytes data(record.size);
  if (const Status read = read_at(record.offset, data.data(), data.size()); !read) return read.failure();
  return data;
}

}  // namespace hindsight::traces::store
