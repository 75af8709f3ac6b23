// Showing a stretch of history to somebody who looks at all of it: it is cut at snapshots, the pieces are
// replayed side by side, and each has an onlooker of its own. Owned by a timeline, for one question. What the
// onlookers see together depends on the trace alone; where it is cut does not.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/port/debug.h"
#include "engine/port/nondet.h"
#include "replay/timeline/runner.h"
#include "replay/timeline/scan.h"

namespace hindsight::replay::timeline {

/// Looks at one piece. Told what the Interests ask for, and of every output; an observer's `true` ends the
/// piece there. Only what an onlooker asks for need be overridden. The piece's thread; changes nothing.
class Onlooker : public engine::port::Observer, public engine::port::OutputSink {
 public:
  /// `machine` stands at the piece's first position, and goes on to `to`; it may be looked at until end().
  virtual void begin(engine::port::Machine& machine, Position to) = 0;
  /// The machine stands at the piece's end, or where the onlooker ended it.
  virtual void end(engine::port::Machine& machine) = 0;

  bool breakpoint(Position, GuestVirt) override { return false; }
  bool access(const engine::port::Access&) override { return false; }
  bool device(const engine::port::DeviceAccess&) override { return false; }
  bool delivery(const engine::port::Delivery&) override { return false; }
  bool transfer(const engine::port::Transfer&) override { return false; }
  void output(engine::port::Instant, engine::port::Channel, std::span<const std::byte>) override {}
};

class Survey final {
 public:
  /// `runners` are used side by side, the first on the calling thread.
  Survey(const engine::port::Interests& interests, const OnlookerFactory& make, std::vector<Runner*> runners,
         std::function<void(double)> progress)
      : interests_(interests), make_(make), runners_(std::move(runners)), progress_(std::move(progress)) {}

  /// `done` is called on the calling thread with each piece's onlooker, in order; false ends it all.
  Status run(const std::vector<Interval>& intervals, const std::function<bool(Onlooker&)>& done);

 private:
  Result<RunEnd> look(Runner& runner, const Interval& interval, Onlooker& onlooker) const;

  const engine::port::Interests& interests_;
  const OnlookerFactory& make_;
  std::vector<Runner*> runners_;
  std::function<void(double)> progress_;
  std::mutex mutex_;
  std::optional<Error> failure_;  ///< guarded
};

}  // namespace hindsight::replay::timeline
