#include "replay/play/replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/play/state_diff.h"
#include "replay/record/state_digest.h"

namespace hindsight::replay::play {
namespace {

using engine::port::Instant;
using engine::port::Machine;
using engine::port::StopReason;
using traces::store::End;
using traces::store::EndReason;

std::string reason_name(StopReason reason) {
  return std::string(traces::store::name_of(static_cast<EndReason>(reason)));
}

/// One replay of a whole trace. Every step says whether to go on.
class Run final {
 public:
  Run(Machine& machine, Player& player, traces::store::TraceReader& trace, const ReplayOptions& options)
      : machine_(machine), player_(player), trace_(trace), options_(options) {
    if (options.check_states) digester_.emplace(machine);
  }

  Result<ReplayResult> all() {
    bool going = true;
    for (std::uint64_t i = 0; going && i < trace_.digest_count(); ++i) {
      const bool last = trace_.end() && i + 1 == trace_.digest_count();
      going = (last ? run_to_end(*trace_.end()) : run_to(trace_.digest_icount(i))) && check_digest(i);
    }
    if (going && !trace_.end()) {
      result_.recorder_interrupted = true;
      going = run_to(trace_.progress().at.icount);
    }
    if (going && trace_.end()) check_nothing_left();
    if (failure_) return *failure_;
    if (player_.damage()) return *player_.damage();
    if (result_.divergence) {
      result_.divergence->where = machine_.describe();
      result_.divergence->since = agreed_;
    }
    result_.end = machine_.now();
    return result_;
  }

 private:
  void diverge(std::string field, std::string expected, std::string got) {
    result_.divergence = Divergence{
        machine_.now(), "machine", std::move(field), std::move(expected), std::move(got), {}, {}, {}};
  }

  /// What the border has to say after the machine has run. False: the replay is over.
  bool border_agrees() {
    if (player_.damage()) return false;
    if (player_.divergence()) result_.divergence = player_.divergence();
    return !result_.divergence;
  }

  bool run_to(Icount target) {
    const Icount limit = std::min(target, options_.stop_at);
    if (machine_.now().icount < limit) {
      const StopReason reason = machine_.run(limit);
      if (!border_agrees()) return false;
      if (reason == StopReason::interrupted) {
        result_.stopped_early = true;
        return false;
      }
      if (reason != StopReason::reached) {
        diverge("stop", fmt::format("to reach icount {}", limit.value), reason_name(reason));
        return false;
      }
    }
    if (limit < target) result_.stopped_early = true;
    return limit == target;
  }

  bool run_to_end(const End& end) {
    if (end.at.icount > options_.stop_at) return run_to(end.at.icount);
    const bool by_user = end.reason == EndReason::reached || end.reason == EndReason::interrupted;
    if (by_user) {
      if (!run_to(end.at.icount)) return false;
      // Stopped while halted: only idling takes the machine to that time, and the player stops it there.
      if (machine_.now().time < end.at.time) machine_.run(end.at.icount + 1);
      if (!border_agrees()) return false;
    } else {
      const StopReason reason = machine_.run(end.at.icount + 1);
      if (!border_agrees()) return false;
      if (reason == StopReason::interrupted) {
        result_.stopped_early = true;
        return false;
      }
      if (reason != static_cast<StopReason>(end.reason)) {
        diverge("stop", std::string(traces::store::name_of(end.reason)), reason_name(reason));
        return false;
      }
    }
    const Instant now = machine_.now();
    if (now == Instant{end.at.icount, end.at.time}) return true;
    diverge("instant of the end", fmt::format("icount {} time {}", end.at.icount.value, end.at.time.value),
            fmt::format("icount {} time {}", now.icount.value, now.time.value));
    return false;
  }

  /// The first and the last digest are always compared.
  [[nodiscard]] bool wanted(std::uint64_t index) const {
    if (!options_.check_states) return false;
    if (index == 0 || index + 1 == trace_.digest_count()) return true;
    return trace_.digest_icount(index) - agreed_ >= options_.check_interval;
  }

  bool check_digest(std::uint64_t index) {
    if (wanted(index)) {
      const Result<traces::store::Digest> expected = trace_.digest(index);
      if (!expected) {
        failure_ = expected.failure();
        return false;
      }
      const traces::store::Digest got = digester_->take(false, player_.channel_digests());
      result_.divergence = compare(*expected, got, machine_, *digester_);
      if (result_.divergence) return false;
      result_.digests_checked++;
      agreed_ = got.at.icount;
    }
    if (options_.progress) options_.progress(machine_.now());
    return true;
  }

  void check_nothing_left() {
    const traces::store::Event* event = player_.next_event();
    if (event == nullptr || player_.damage()) return;
    diverge(
        "events",
        fmt::format("{} on {} at icount {}", traces::store::name_of(event->kind),
                    channel_name(static_cast<engine::port::Channel>(event->channel)), event->at.icount.value),
        "the end without it");
  }

  Machine& machine_;
  Player& player_;
  traces::store::TraceReader& trace_;
  const ReplayOptions& options_;
  std::optional<record::StateDigester> digester_;
  ReplayResult result_;
  std::optional<Error> failure_;
  Icount agreed_;
};

}  // namespace

Result<ReplayResult> replay_machine(Machine& machine, Player& player, traces::store::TraceReader& trace,
                                    const ReplayOptions& options) {
  player.on_stop([&machine] { machine.request_stop(); });
  Result<ReplayResult> result = Run(machine, player, trace, options).all();
  player.on_stop({});
  return result;
}

}  // namespace hindsight::replay::play
