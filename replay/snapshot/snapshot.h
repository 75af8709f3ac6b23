// One instant of a machine, complete: every part's state, where the border stands, and RAM as a tree of
// content-addressed pages that snapshots share. Immutable once settled; any thread. Restoring one gives the
// machine that a replay from power-on gives, bit for bit.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/port/machine.h"
#include "replay/play/player.h"

namespace hindsight::replay::snapshot {

using engine::port::Position;

class Snapshot;  // see the .cc files' owner for its contents

/// Takes and restores snapshots of one machine. Owned beside it; the run loop's thread. Uses the machine's
/// page keeper and epochs.
class Snapshotter {
 public:
  explicit Snapshotter(engine::port::Machine& machine);
  ~Snapshotter();

  /// The machine as it stands, at its debug().position(). Copies only what changed since the last snapshot
  /// taken or restored here.
  [[nodiscard]] std::shared_ptr<const Snapshot> take(const play::Player::Position& border);
  /// Puts the machine (RAM, parts, position) where the snapshot was taken; writes only pages that differ. The
  /// caller moves the player to snapshot border.
  void restore(const std::shared_ptr<const Snapshot>& snapshot);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindsight::replay::snapshot
