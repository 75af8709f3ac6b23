// What the encoders and decoders of a trace's records share: Cap'n Proto messages to bytes and back, pieces.
// Included by .cc files of this folder only. Any thread. decode() never throws, whatever the bytes are.
#pragma once

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "traces/store/records.h"

namespace hindsight::traces::store::codec {

inline Bytes to_bytes(capnp::MessageBuilder& message) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.begin());
  return Bytes(begin, begin + bytes.size());
}

inline capnp::Data::Reader data_of(const Bytes& bytes) {
  return capnp::Data::Reader(reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size());
}

inline Bytes bytes_of(capnp::Data::Reader data) {
  const auto* begin = reinterpret_cast<const std::byte*>(data.begin());
  return Bytes(begin, begin + data.size());
}

inline std::string string_of(capnp::Text::Reader text) { return std::string(text.begin(), text.size()); }

inline unsigned size_of(std::size_t size) {
  CHECK(size < (1u << 29), "a list of {} elements", size);
  return static_cast<unsigned>(size);
}

/// Runs `read` on the root of the message in `data`; what Cap'n Proto throws becomes an Error.
template <class Root, class Read>
auto decode(std::span<const std::byte> data, Read read)
    -> decltype(read(std::declval<typename Root::Reader>())) {
  try {
    // The bytes come straight from a file, where nothing promises word alignment.
    auto words = kj::heapArray<capnp::word>(data.size() / sizeof(capnp::word));
    std::memcpy(words.begin(), data.data(), words.size() * sizeof(capnp::word));
    capnp::FlatArrayMessageReader message(words.asPtr());
    return read(message.getRoot<Root>());
  } catch (const kj::Exception& exception) {
    return error("a well-formed Cap'n Proto message expected ({})", exception.getDescription().cStr());
  } catch (const std::exception& exception) {
    return error("a record of sane size expected ({})", exception.what());
  }
}

inline void put(schema::Piece::Builder out, const Piece& piece) {
  out.setHashHigh(piece.hash.high);
  out.setHashLow(piece.hash.low);
  out.setSize(piece.size);
}

inline Piece get(schema::Piece::Reader in) { return {{in.getHashHigh(), in.getHashLow()}, in.getSize()}; }

template <class ListBuilder>
void put_pieces(ListBuilder out, const std::vector<Piece>& pieces) {
  for (unsigned i = 0; i < out.size(); ++i) put(out[i], pieces[i]);
}

inline std::vector<Piece> get_pieces(capnp::List<schema::Piece>::Reader in) {
  std::vector<Piece> pieces;
  for (const auto piece : in) pieces.push_back(get(piece));
  return pieces;
}

template <class ListBuilder>
void put_footprints(ListBuilder out, const std::vector<Footprint>& footprints) {
  for (unsigned i = 0; i < out.size(); ++i) {
    const Footprint& footprint = footprints[i];
    out[i].setFromIcount(footprint.from.icount.value);
    out[i].setFromDelivery(footprint.from.delivery);
    out[i].setToIcount(footprint.to.icount.value);
    out[i].setToDelivery(footprint.to.delivery);
    out[i].setRamWritten(data_of(footprint.ram_written));
    out[i].setWritten(data_of(footprint.written));
    out[i].setExecuted(data_of(footprint.executed));
    out[i].setLineBits(kLineBits);
  }
}

inline Result<std::vector<Footprint>> get_footprints(capnp::List<schema::Footprint>::Reader in) {
  std::vector<Footprint> all;
  for (const auto footprint : in) {
    // Of lines of another size, as older programs wrote them, nothing is known.
    const bool known_lines = footprint.getLineBits() == kLineBits;
    all.push_back({{Icount(footprint.getFromIcount()), footprint.getFromDelivery()},
                   {Icount(footprint.getToIcount()), footprint.getToDelivery()},
                   bytes_of(footprint.getRamWritten()),
                   bytes_of(footprint.getWritten()),
                   known_lines ? bytes_of(footprint.getExecuted()) : Bytes{}});
    const Bytes &ram_written = all.back().ram_written, &written = all.back().written;
    for (const Bytes* set : {&ram_written, &written})
      if (set->size() != (ram_written.empty() ? 0 : kPageSetBytes))
        return error("a set of pages of {} bytes expected, found {}", kPageSetBytes, set->size());
    if (!all.back().executed.empty() && all.back().executed.size() != kLineSetBytes)
      return error("a set of lines of {} bytes expected, found {}", kLineSetBytes,
                   all.back().executed.size());
    if (all.back().from >= all.back().to)
      return error("a footprint that ends after icount {} expected, found icount {}",
                   all.back().from.icount.value, all.back().to.icount.value);
  }
  return all;
}

/// Whether the pieces' sizes add up to the size that their owner states.
inline bool consistent(const std::vector<Piece>& pieces, std::uint64_t size) {
  std::uint64_t sum = 0;
  for (const Piece& piece : pieces) sum += piece.size;
  return sum == size;
}

}  // namespace hindsight::traces::store::codec
