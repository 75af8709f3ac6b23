// Turns what a machine observes into hits of conditions. One for each machine that takes part in a move; that
// machine's thread.
#pragma once

#include <functional>
#include <vector>

#include "engine/port/debug.h"
#include "engine/port/machine.h"
#include "replay/timeline/conditions.h"

namespace hindsight::replay::timeline {

class Watcher final : public engine::port::Observer {
 public:
  /// Told of each hit; true: stop the machine. Hit::after is not known yet.
  using OnHit = std::function<bool(const Hit&)>;

  /// Watches up to `until` at the most.
  Watcher(engine::port::Machine& machine, const std::vector<Condition>& conditions, Position until,
          OnHit on_hit)
      : machine_(machine), conditions_(conditions), until_(until), on_hit_(std::move(on_hit)) {}

  /// What the machine must be asked for.
  [[nodiscard]] engine::port::Interests interests() const;
  /// How far it has to run: the last stretch ends at the delivery that `until` names.
  [[nodiscard]] Icount limit() const { return until_.delivery == 0 ? until_.icount : until_.icount + 1; }

  bool breakpoint(Position at, GuestVirt pc) override;
  bool access(const engine::port::Access& access) override;
  bool device(const engine::port::DeviceAccess& access) override;
  bool delivery(const engine::port::Delivery& delivery) override;
  bool transfer(const engine::port::Transfer&) override { return false; }

 private:
  bool met(const Condition& condition, Hit hit);

  engine::port::Machine& machine_;
  const std::vector<Condition>& conditions_;
  Position until_;
  OnHit on_hit_;
};

}  // namespace hindsight::replay::timeline
