// One instant of a machine, complete: every part's state, where the border stands, and RAM as a tree of pages
// that snapshots share. Immutable; any thread. Restoring one gives the machine that a replay from power-on
// gives, bit for bit.
#pragma once

#include <capnp/common.h>
#include <kj/array.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/play/player.h"
#include "replay/snapshot/footprint.h"
#include "replay/snapshot/page_map.h"

namespace hindsight::replay::snapshot {

using engine::port::Position;

/// A part's state in canonical encoding (record::canonical_state).
struct PartState {
  std::string name;
  std::shared_ptr<const kj::Array<capnp::word>> words;

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {reinterpret_cast<const std::byte*>(words->begin()), words->size() * sizeof(capnp::word)};
  }
};

struct Snapshot {
  Position at;
  engine::port::Instant instant;
  play::Player::Position border;
  std::vector<PartState> parts;  ///< in the order of Machine::parts()
  PageMap ram;
  /// Of the way that the machine came, if it came far from a snapshot; nullptr: not known.
  std::shared_ptr<const Footprint> footprint;

  /// Bytes of memory that it takes and `base` does not; nullptr: all.
  [[nodiscard]] std::uint64_t bytes_beyond(const Snapshot* base) const;
};

/// Takes and restores snapshots of one machine. Owned beside it; the run loop's thread, between run() calls.
/// Uses the machine's epochs, not its page keeper.
class Snapshotter final {
 public:
  /// Whether it is worth noting what the machine executes on the way from this position on.
  using Wanted = std::function<bool(Position from)>;

  explicit Snapshotter(
      engine::port::Machine& machine, Wanted wants_executed = [](Position) { return true; })
      : machine_(machine), wants_executed_(std::move(wants_executed)) {}

  /// The machine as it stands, at its debug().position(). Copies only what changed since the last snapshot
  /// taken or restored here; the first time, what was written since power-on.
  [[nodiscard]] std::shared_ptr<const Snapshot> take(const play::Player::Position& border);
  /// Puts the machine (RAM, parts, position) where the snapshot was taken; writes only pages that differ. The
  /// caller moves the player to snapshot->border. Fails, with the machine as it was, when the snapshot is not
  /// one of a machine like this.
  Status restore(const std::shared_ptr<const Snapshot>& snapshot);

 private:
  void set_base(std::shared_ptr<const Snapshot> snapshot);

  engine::port::Machine& machine_;
  std::shared_ptr<const Snapshot> base_;  ///< what RAM held when epoch_ ended
  std::uint32_t epoch_ = 0;
  const Wanted wants_executed_;
  bool collecting_ = false;
};

}  // namespace hindsight::replay::snapshot
