#include "replay/record/output_tally.h"

#include <algorithm>

namespace hindsight::replay::record {

std::vector<std::uint32_t> unit_words(std::span<const std::byte> data) {
  std::vector<std::uint32_t> words{static_cast<std::uint32_t>(data.size())};
  for (std::size_t at = 0; at < data.size(); at += kUnitPiece) {
    const auto piece = data.subspan(at, std::min(kUnitPiece, data.size() - at));
    words.push_back(static_cast<std::uint32_t>(XXH3_64bits(piece.data(), piece.size())));
  }
  return words;
}

OutputTally::Stream& OutputTally::stream(engine::port::Channel channel) {
  const auto [found, added] = streams_.try_emplace(channel);
  if (added) XXH3_128bits_reset(&found->second.hash);
  return found->second;
}

void OutputTally::add(engine::port::Channel channel, std::span<const std::byte> data) {
  Stream& to = stream(channel);
  XXH3_128bits_update(&to.hash, data.data(), data.size());
  to.bytes += data.size();
  if (!is_byte_channel(channel)) to.units++;
}

void OutputTally::resume(engine::port::Channel channel, std::uint64_t bytes, std::uint64_t units) {
  Stream& at = stream(channel);
  at.bytes = bytes;
  at.units = units;
  at.hash_known = false;
}

std::vector<traces::store::ChannelPosition> OutputTally::positions() const {
  std::vector<traces::store::ChannelPosition> all;
  for (const auto& [channel, stream] : streams_) {
    all.push_back({static_cast<std::uint16_t>(channel), stream.bytes, stream.units});
  }
  return all;
}

std::vector<traces::store::ChannelDigest> OutputTally::digests() const {
  std::vector<traces::store::ChannelDigest> digests;
  for (const auto& [channel, stream] : streams_) {
    const XXH128_hash_t hash = XXH3_128bits_digest(&stream.hash);
    digests.push_back({static_cast<std::uint16_t>(channel),
                       stream.bytes,
                       stream.units,
                       {hash.high64, hash.low64},
                       stream.hash_known});
    if (!stream.hash_known) digests.back().hash = {};
  }
  return digests;
}

}  // namespace hindsight::replay::record
