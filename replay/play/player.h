// Replaying at the border: answers the machine from the trace, and checks that it asks for and sends out what
// the recording did. The first difference stops the machine. Owned by the replaying session, outlives the
// machine that uses it. The run loop's thread only. Answers depend on the trace and on what was asked before,
// on nothing of the host.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/port/nondet.h"
#include "replay/play/divergence.h"
#include "replay/record/output_tally.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::play {

class Player final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  /// Where in the trace the next event and the next output of each channel lie; for going back to a snapshot
  /// taken at the same moment.
  struct Position {
    std::uint64_t event = 0;  ///< events consumed
    std::uint64_t chunk = 0;  ///< the first chunk that is still needed
    record::OutputTally outputs;
  };

  explicit Player(traces::store::TraceReader& trace);

  /// What to call when the machine should stop: a divergence, damage in the trace, or its end while halted.
  void on_stop(std::function<void()> stop) { stop_ = std::move(stop); }
  /// Where outputs go as well; none by default.
  void echo_to(engine::port::OutputSink* echo) { echo_ = echo; }

  [[nodiscard]] const std::optional<Divergence>& divergence() const { return divergence_; }
  /// Damage found in the trace on the way.
  [[nodiscard]] const std::optional<Error>& damage() const { return damage_; }
  [[nodiscard]] std::vector<traces::store::ChannelDigest> channel_digests() const {
    return outputs_.digests();
  }
  /// The event that the machine has not asked for, if one is left.
  [[nodiscard]] const traces::store::Event* next_event();

  [[nodiscard]] Position position() const;
  /// Forgets a divergence and goes on from `position`.
  void seek(const Position& position);

  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  /// The next input's time or the deadline, whichever is first; at the end of a recording that the user
  /// stopped, the time at which he did.
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

 private:
  struct LoadedEvent {
    traces::store::Event event;
    std::uint64_t chunk;
  };
  struct LoadedRun {
    traces::store::OutputRun run;
    std::uint64_t chunk;
  };
  /// What a channel is expected to send from `run.front()` on, `at` of it being sent already.
  struct Expected {
    std::deque<LoadedRun> runs;
    std::size_t at = 0;          ///< index into the bytes or units of the front run
    std::uint64_t consumed = 0;  ///< bytes or units since power-on
    std::uint64_t loaded = 0;    ///< where the last run ends
  };

  bool load_chunk();
  Status take_run(const traces::store::OutputRun& run, std::uint64_t chunk);
  /// Makes the front run hold what comes next; false if the recording sent no more.
  bool await_output(Expected& expected, bool bytes);
  void check_bytes(engine::port::Instant now, engine::port::Channel channel, std::span<const std::byte> data);
  void check_unit(engine::port::Instant now, engine::port::Channel channel, std::span<const std::byte> data);
  void diverge(engine::port::Instant now, std::string component, std::string field, std::string expected,
               std::string got);
  void fail(Error damage);
  [[nodiscard]] engine::port::Instant scan_ahead() const;

  traces::store::TraceReader& trace_;
  std::function<void()> stop_;
  engine::port::OutputSink* echo_ = nullptr;
  std::optional<Divergence> divergence_;
  std::optional<Error> damage_;

  std::uint64_t next_chunk_ = 0;
  std::uint64_t consumed_ = 0;  ///< events
  std::deque<LoadedEvent> events_;
  std::deque<engine::port::Instant> inputs_;  ///< the Instants of the inputs in events_
  std::map<engine::port::Channel, Expected> expected_;
  record::OutputTally outputs_;

  /// The first input in a chunk from next_chunk_ on, as far as it was looked for: a cache.
  struct Ahead {
    std::uint64_t chunk = 0;
    engine::port::Instant at{Icount::max(), VirtualTime::max()};
  };
  mutable std::optional<Ahead> ahead_;
};

}  // namespace hindsight::replay::play
