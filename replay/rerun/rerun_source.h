// The outside world of a machine that is given a recording's inputs anew: what was typed and received comes
// by its cues, entropy, clock and disk are the recorded ones as far as they go. Owned by the command,
// outlives the machine. The run loop's thread only. What it answers depends on the trace and on what the
// machine did, on nothing of the host: the same machine gets the same life again.
//
// replay/rerun/RERUN.md says by which rules.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/port/nondet.h"
#include "replay/rerun/cues.h"

namespace hindsight::replay::rerun {

class RerunSource final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  /// Virtual time after which an input comes although its cue has not: of silence, where as much was printed
  /// as before it in the recording; beyond the recorded time, where less was.
  static constexpr std::uint64_t kSilence = 1'000'000'000, kPatience = 10'000'000'000;

  /// What was not as in the recording.
  struct Strays {
    std::uint64_t uncued_inputs = 0;   ///< came although their cue did not
    std::uint64_t left_inputs = 0;     ///< did not come at all
    std::uint64_t entropy_bytes = 0;   ///< from a generator, after the recorded ones
    std::uint64_t unread_sectors = 0;  ///< that the recording never read: they read as zeros
  };

  /// Reads the trace's samples. `sink` gets the machine's outputs.
  static Result<std::unique_ptr<RerunSource>> create(traces::store::TraceReader& trace,
                                                     std::array<std::vector<Cue>, kSides> cues,
                                                     engine::port::OutputSink& sink);

  /// What to call when the recording's user would have stopped the machine: so long after the last input as
  /// then. Never, where the recording ended otherwise.
  void on_end(std::function<void()> stop) { stop_ = std::move(stop); }
  [[nodiscard]] Strays strays() const;

  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

 private:
  /// One side's inputs that are to come, and what was heard since the last one.
  struct Stream {
    std::deque<Cue> cues;
    TextCount count{""};
    std::uint64_t sent = 0;
    VirtualTime last;                  ///< of outputs and inputs
    VirtualTime last_input;            ///< or power-on
    std::optional<VirtualTime> ready;  ///< when the next one's cue came
  };

  explicit RerunSource(engine::port::OutputSink& sink) : sink_(sink) {}
  Status load_samples(traces::store::TraceReader& trace);
  void set_next(Stream& stream);
  [[nodiscard]] static VirtualTime due(const Stream& stream);
  /// When the user stopped, in this life.
  [[nodiscard]] VirtualTime end_time() const;
  void read_disk(std::uint64_t sector, std::span<std::byte> out);
  void fill_entropy(std::span<std::byte> out);

  engine::port::OutputSink& sink_;
  std::function<void()> stop_;
  std::array<Stream, kSides> streams_;
  std::optional<std::uint64_t> tail_;  ///< virtual ns from the last input to the user's stop
  traces::store::Bytes entropy_;
  std::size_t entropy_used_ = 0;
  std::uint64_t generator_ = 0;
  traces::store::Bytes clock_;
  std::map<std::uint64_t, traces::store::Bytes> sectors_;
  Strays strays_;
};

}  // namespace hindsight::replay::rerun
