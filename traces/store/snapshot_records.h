// The records of snapshots and marks as plain values, their Cap'n Proto encoding (traces/schema/trace.capnp),
// and who takes them into a trace. Values; any thread. Decoding takes bytes from an untrusted file: it
// returns an Error, and never throws.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/records.h"

namespace hindsight::traces::store {

/// RAM pages that one region of a snapshot covers.
inline constexpr std::uint64_t kRegionPages = 4096;
/// Pages that lie together in one value of the table `pages`, at most.
inline constexpr std::uint64_t kBundlePages = 64;
/// The number of the first page that a trace stores.
inline constexpr std::uint64_t kFirstPage = 1;

struct ChannelPosition {
  std::uint16_t channel = 0;
  std::uint64_t bytes = 0, units = 0;
};

struct PartState {
  std::string name;
  std::uint64_t size = 0;
  Bytes state;
  std::vector<Piece> pieces;
};

enum class PageKind : std::uint16_t {
  zero = schema::PAGE_ZERO,
  stored = schema::PAGE_STORED,
  base = schema::PAGE_BASE,
};

struct PageRun {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  PageKind kind = PageKind::zero;
  std::uint64_t from = 0;
  friend bool operator==(const PageRun&, const PageRun&) = default;
};

struct SnapshotRecord {
  Place at;
  VirtualTime time;
  std::uint64_t event = 0, chunk = 0;
  std::vector<ChannelPosition> channels;
  std::vector<PartState> parts;
  std::uint64_t ram_pages = 0;
  Hash128 base;
  std::vector<Piece> regions;
  std::vector<Footprint> footprints = {};
};

struct Mark {
  std::string name, note;
  Place at;
};

[[nodiscard]] Bytes encode(const SnapshotRecord& snapshot);
[[nodiscard]] Bytes encode(const std::vector<PageRun>& runs);
[[nodiscard]] Bytes encode(const std::vector<Hash128>& page_hashes);
[[nodiscard]] Bytes encode(const Mark& mark);
[[nodiscard]] Result<SnapshotRecord> decode_snapshot(std::span<const std::byte> data);
/// The runs of a region of which the first page is `first`; checks that they ascend and lie within it.
[[nodiscard]] Result<std::vector<PageRun>> decode_region(std::span<const std::byte> data,
                                                         std::uint64_t first);
[[nodiscard]] Result<std::vector<Hash128>> decode_page_hashes(std::span<const std::byte> data);
[[nodiscard]] Result<Mark> decode_mark(std::span<const std::byte> data);

/// Takes what a snapshot consists of: its pages, then its pieces, then itself.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  /// `data` are the pages `first`, first + 1, …, one hash for each; at most kBundlePages (CHECK).
  virtual void put_pages(std::uint64_t first, std::span<const Hash128> hashes,
                         std::span<const std::byte> data) = 0;
  /// Stores `data` once, however often it is given. At most kMaxValue bytes (CHECK).
  virtual Piece put_piece(std::span<const std::byte> data) = 0;
};

/// A part's state: within the record where it is small, in pieces where not.
[[nodiscard]] PartState put_part(SnapshotSink& sink, std::string name, std::span<const std::byte> state);

}  // namespace hindsight::traces::store
