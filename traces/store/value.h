// The envelope around every value in a trace: magic, kind, codec, sizes, checksum (traces/schema/FORMAT.md).
// Free functions; any thread. Opening takes bytes from an untrusted file and returns an Error that names the
// table, the key and what was expected.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "traces/store/records.h"

namespace hindsight::traces::store {

/// Stored; never renumbered.
enum class ValueKind : std::uint16_t {
  header = 1,
  progress = 2,
  end = 3,
  blob = 10,
  chunk = 20,
  digest = 30,
  page_hashes = 40,
  page_bundle = 41,
  snapshot = 50,
  mark = 60,
};

/// The tables of format version 1, in the order in which LMDB lists them.
inline constexpr std::array<std::string_view, 7> kTables = {"blobs", "digests", "events",   "marks",
                                                            "meta",  "pages",   "snapshots"};

[[nodiscard]] constexpr std::size_t table_index(std::string_view name) {
  std::size_t index = 0;
  while (kTables[index] != name) ++index;
  return index;
}

inline constexpr std::size_t kValueHeader = 32;
/// What a value may decode to: below Cap'n Proto's traversal limit of 64 MiB.
inline constexpr std::size_t kMaxValue = std::size_t{48} << 20;

/// A key of one or two big-endian numbers.
[[nodiscard]] Bytes key_of(std::uint64_t number);
[[nodiscard]] Bytes key_of(std::uint64_t first, std::uint64_t second);
[[nodiscard]] Bytes key_of(const Hash128& hash);
/// The number at byte `offset` of a key that is long enough (CHECK).
[[nodiscard]] std::uint64_t number_in(std::span<const std::byte> key, std::size_t offset);
/// A key for people: its numbers in hexadecimal.
[[nodiscard]] std::string describe_key(std::span<const std::byte> key);

/// How hard seal() tries: pages are many, and stored while the machine runs.
inline constexpr int kUsualCompression = 3, kPageCompression = 1;

/// Compresses where that helps. CHECKs that `raw` is at most kMaxValue.
[[nodiscard]] Bytes seal(std::string_view table, std::span<const std::byte> key, ValueKind kind,
                         std::span<const std::byte> raw, int compression = kUsualCompression);
[[nodiscard]] Result<Bytes> open(std::string_view table, std::span<const std::byte> key, ValueKind kind,
                                 std::span<const std::byte> stored);

}  // namespace hindsight::traces::store
