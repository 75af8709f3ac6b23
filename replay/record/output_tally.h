// What each output channel has sent so far: counts and a running hash, and how outputs are cut into the units
// that a trace compares. Recording and replaying share it, so that both see the same units. Owned by Recorder
// and Player; a copyable value. One thread. Depends on the bytes sent alone.
#pragma once

// The running state is a member here, so its layout is needed.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/port/nondet.h"
#include "traces/store/records.h"
#include "traces/store/snapshot_records.h"

namespace hindsight::replay::record {

/// Bytes that one unit hash covers.
inline constexpr std::size_t kUnitPiece = 512;

/// True for channels that carry a stream of bytes: a trace holds the bytes themselves, and how they were cut
/// into calls does not matter. The others carry units (a frame, a disk write), of which a trace holds hashes.
[[nodiscard]] constexpr bool is_byte_channel(engine::port::Channel channel) {
  return channel == engine::port::Channel::serial0 || channel == engine::port::Channel::virtio_console;
}

/// A unit as the trace holds it: its size, then one 32-bit hash for each kUnitPiece bytes begun.
[[nodiscard]] std::vector<std::uint32_t> unit_words(std::span<const std::byte> data);

class OutputTally final {
 public:
  struct Stream {
    std::uint64_t bytes = 0, units = 0;
    bool hash_known = true;
    XXH3_state_t hash;
  };
  /// The channel's stream before `data` is added.
  Stream& stream(engine::port::Channel channel);
  void add(engine::port::Channel channel, std::span<const std::byte> data);
  /// Goes on after `bytes` and `units` of which the contents are not known, and so neither is the hash.
  void resume(engine::port::Channel channel, std::uint64_t bytes, std::uint64_t units);
  /// What each channel has sent, without the hashes.
  [[nodiscard]] std::vector<traces::store::ChannelPosition> positions() const;
  /// In channel order; channels that sent nothing are left out.
  [[nodiscard]] std::vector<traces::store::ChannelDigest> digests() const;

 private:
  std::map<engine::port::Channel, Stream> streams_;
};

}  // namespace hindsight::replay::record
