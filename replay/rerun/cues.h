// What a recording's inputs waited for, so that they can come at the fitting moments of another machine's
// life: a fixed kernel prints and computes a little differently, and the icounts of the recording mean
// nothing there. A trace does not say when something was printed, so the recording is replayed once to learn
// it. Values and a sink; the run loop's thread. Depends on the trace alone.
//
// The rules are in replay/rerun/RERUN.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/port/nondet.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::rerun {

/// Inputs wait for what is printed, or for frames that are sent.
enum class Side : std::uint8_t { console = 0, network = 1 };
inline constexpr std::size_t kSides = 2;
[[nodiscard]] constexpr Side side_of(engine::port::Channel channel) {
  return channel == engine::port::Channel::net0 ? Side::network : Side::console;
}

/// A recorded input, with what happened on its side since the input before it.
struct Cue {
  engine::port::Channel channel = {};
  traces::store::Bytes payload = {};
  std::string text = {};    ///< console: the end of what was printed; empty: nothing was
  std::uint64_t times = 0;  ///< how often that text was printed
  std::uint64_t sent = 0;   ///< bytes printed, or frames sent
  std::uint64_t delay = 0;  ///< virtual ns from the last of these, or from the input before, to this one
  std::uint64_t gap = 0;    ///< virtual ns from the input before, or from power-on, to this one
};

/// Counts a text in a stream, overlaps included.
class TextCount final {
 public:
  explicit TextCount(std::string text) : text_(std::move(text)) {}
  void add(std::span<const std::byte> data);
  [[nodiscard]] std::uint64_t times() const { return times_; }

 private:
  std::string text_, tail_;
  std::uint64_t times_ = 0;
};

/// Listens to the replay of a recording.
class CueListener final : public engine::port::OutputSink {
 public:
  /// Reads the trace's inputs.
  static Result<CueListener> create(traces::store::TraceReader& trace);

  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;
  /// After the replay: the cues of each side, in order.
  std::array<std::vector<Cue>, kSides> finish();

 private:
  struct Pending {
    engine::port::Instant at;
    Cue cue;
  };
  struct Heard {
    std::string printed;     ///< since the input before
    std::uint64_t sent = 0;  ///< likewise
    VirtualTime last;        ///< of all outputs and inputs
    VirtualTime last_input;
    std::vector<Cue> cues;
  };
  /// The inputs up to this Instant have come.
  void pass(engine::port::Instant now);

  std::vector<Pending> inputs_;
  std::size_t next_ = 0;
  std::array<Heard, kSides> heard_;
};

/// The last line of what was printed, its last 16 bytes at most: a prompt, mostly. Where that is empty, the
/// line before it.
[[nodiscard]] std::string cue_text(std::string_view printed);

}  // namespace hindsight::replay::rerun
