// Digests of a whole machine: one hash for each part, one for RAM, kept up to date by rehashing only the
// pages written since the digest before. Recording stores them, replaying compares them. Owned by the
// recording or replaying session. The run loop's thread only, between run() calls. Depends on architectural
// state alone; that pages were written is used only to save work.
#pragma once

#include <capnp/message.h>
#include <kj/array.h>

#include <cstdint>
#include <vector>

#include "engine/port/machine.h"
#include "traces/store/records.h"

namespace hindsight::replay::record {

/// A part's state in canonical encoding: equal states give equal words.
[[nodiscard]] kj::Array<capnp::word> canonical_state(const engine::port::Stateful& part);

class StateDigester final {
 public:
  /// Hashes all of RAM once.
  explicit StateDigester(engine::port::Machine& machine);

  /// The machine as it is now. `full` adds the parts' states. The page groups are those written since the
  /// last take(). What the outputs were is the caller's to say.
  traces::store::Digest take(bool full, std::vector<traces::store::ChannelDigest> channels);
  /// The short hash of a group of pages as of the last take(); pages beyond RAM count as nothing.
  [[nodiscard]] std::uint16_t group_hash(std::uint32_t group, unsigned shift) const;

 private:
  void rehash(std::uint64_t index);
  std::vector<std::uint64_t> update_ram();

  engine::port::Machine& machine_;
  std::vector<std::uint64_t> page_hashes_;
  std::uint64_t ram_sum_ = 0;
  std::uint32_t epoch_ = 0;
};

}  // namespace hindsight::replay::record
