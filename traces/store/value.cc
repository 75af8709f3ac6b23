#include "traces/store/value.h"

#include <xxhash.h>
#include <zstd.h>

#include <bit>
#include <cstring>

namespace hindsight::traces::store {
namespace {

static_assert(std::endian::native == std::endian::little, "value headers are written as they are in memory");

constexpr std::uint32_t kMagic = 0x31765348;  // "HSv1" read as a little-endian number

enum class Codec : std::uint16_t { raw = 0, zstd = 1 };

struct Header {
  std::uint32_t magic = kMagic;
  std::uint16_t kind = 0;
  std::uint16_t codec = 0;
  std::uint32_t stored_size = 0;
  std::uint32_t raw_size = 0;
  std::uint64_t reserved = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(Header) == kValueHeader);

constexpr std::size_t padded(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

std::uint64_t checksum(std::string_view table, std::span<const std::byte> key, const Header& header,
                       std::span<const std::byte> stored) {
  Bytes prefix;
  const auto append = [&](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    prefix.insert(prefix.end(), begin, begin + size);
  };
  append(table.data(), table.size());
  append("", 1);
  append(key.data(), key.size());
  append(&header, offsetof(Header, checksum));
  const std::uint64_t seed = XXH3_64bits(prefix.data(), prefix.size());
  return XXH3_64bits_withSeed(stored.data(), stored.size(), seed);
}

}  // namespace

Bytes key_of(std::uint64_t number) {
  Bytes key(8);
  for (std::size_t i = 0; i < 8; ++i) key[i] = static_cast<std::byte>(number >> (56 - 8 * i));
  return key;
}

Bytes key_of(std::uint64_t first, std::uint64_t second) {
  Bytes key = key_of(first);
  const Bytes rest = key_of(second);
  key.insert(key.end(), rest.begin(), rest.end());
  return key;
}

Bytes key_of(const Hash128& hash) { return key_of(hash.high, hash.low); }

std::uint64_t number_in(std::span<const std::byte> key, std::size_t offset) {
  CHECK(offset + 8 <= key.size(), "offset {} in a key of {} bytes", offset, key.size());
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | std::to_integer<std::uint64_t>(key[offset + i]);
  return number;
}

std::string describe_key(std::span<const std::byte> key) {
  std::string text;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (i != 0 && i % 8 == 0) text += '.';
    text += fmt::format("{:02x}", std::to_integer<unsigned>(key[i]));
  }
  return text;
}

Bytes seal(std::string_view table, std::span<const std::byte> key, ValueKind kind,
           std::span<const std::byte> raw, int compression) {
  CHECK(raw.size() <= kMaxValue, "a value of {} bytes", raw.size());
  Header header;
  header.kind = static_cast<std::uint16_t>(kind);
  header.raw_size = static_cast<std::uint32_t>(raw.size());
  Bytes value(kValueHeader + padded(ZSTD_compressBound(raw.size())));
  std::size_t stored = ZSTD_compress(value.data() + kValueHeader, value.size() - kValueHeader, raw.data(),
                                     raw.size(), compression);
  header.codec = static_cast<std::uint16_t>(Codec::zstd);
  if (ZSTD_isError(stored) || stored >= raw.size()) {
    header.codec = static_cast<std::uint16_t>(Codec::raw);
    stored = raw.size();
    if (!raw.empty()) std::memcpy(value.data() + kValueHeader, raw.data(), raw.size());
  }
  header.stored_size = static_cast<std::uint32_t>(stored);
  value.resize(kValueHeader + stored);
  value.resize(kValueHeader + padded(stored));
  header.checksum = checksum(table, key, header, {value.data() + kValueHeader, stored});
  std::memcpy(value.data(), &header, sizeof header);
  return value;
}

Result<Bytes> open(std::string_view table, std::span<const std::byte> key, ValueKind kind,
                   std::span<const std::byte> stored) {
  const auto bad = [&](const std::string& what) {
    return error("table {}, key {}: {}", table, describe_key(key), what);
  };
  Header header;
  if (stored.size() < sizeof header) {
    return bad(fmt::format("a value of at least {} bytes expected, found {}", sizeof header, stored.size()));
  }
  std::memcpy(&header, stored.data(), sizeof header);
  if (header.magic != kMagic)
    return bad(fmt::format("value magic {:#x} expected, found {:#x}", kMagic, header.magic));
  if (stored.size() != kValueHeader + padded(header.stored_size)) {
    return bad(
        fmt::format("{} bytes expected, found {}", kValueHeader + padded(header.stored_size), stored.size()));
  }
  const auto payload = stored.subspan(kValueHeader, header.stored_size);
  if (header.checksum != checksum(table, key, header, payload))
    return bad("checksum mismatch: the value is damaged");
  if (header.kind != static_cast<std::uint16_t>(kind)) {
    return bad(fmt::format("value kind {} expected, found {}", static_cast<unsigned>(kind), header.kind));
  }
  if (header.raw_size > kMaxValue)
    return bad(fmt::format("at most {} bytes expected, found {}", kMaxValue, header.raw_size));
  if (header.codec == static_cast<std::uint16_t>(Codec::raw)) {
    if (header.raw_size != header.stored_size) return bad("equal sizes expected in a value stored as it is");
    return Bytes(payload.begin(), payload.end());
  }
  if (header.codec != static_cast<std::uint16_t>(Codec::zstd)) {
    return bad(fmt::format("codec 0 or 1 expected, found {}", header.codec));
  }
  Bytes raw(header.raw_size);
  const std::size_t size = ZSTD_decompress(raw.data(), raw.size(), payload.data(), payload.size());
  if (ZSTD_isError(size) || size != raw.size()) {
    return bad(fmt::format("a zstd frame of {} bytes expected", header.raw_size));
  }
  return raw;
}

}  // namespace hindsight::traces::store
