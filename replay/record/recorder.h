// Recording at the border: stands between the machine and the live host, passes everything through, and
// writes down what came in and what went out. Owned by the recording session, outlives the machine that uses
// it. The run loop's thread only. It changes nothing the machine sees, so a recorded run and an unrecorded
// one with the same answers from the host are the same.
//
// Idle warps need no event of their own. With every CPU halted, only a timer or an input can change anything,
// and inputs carry their full Instant: a replay that warps to the next timer or input, whichever is first,
// takes the machine through the same states however often the live source woke up in between.
#pragma once

#include <functional>
#include <vector>

#include "engine/port/nondet.h"
#include "replay/record/output_tally.h"
#include "traces/store/trace_writer.h"

namespace hindsight::replay::record {

class Recorder final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  Recorder(engine::port::NondetSource& live, engine::port::OutputSink& sink,
           traces::store::TraceWriter& writer);

  /// Called once writing to the trace has failed, at the next drain: to stop the machine.
  void on_failure(std::function<void()> stop) { stop_ = std::move(stop); }
  [[nodiscard]] std::vector<traces::store::ChannelDigest> channel_digests() const { return tally_.digests(); }
  /// Events recorded so far.
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] const OutputTally& outputs() const { return tally_; }

  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

 private:
  engine::port::NondetSource& live_;
  engine::port::OutputSink& sink_;
  traces::store::TraceWriter& writer_;
  OutputTally tally_;
  std::uint64_t events_ = 0;
  std::function<void()> stop_;
};

}  // namespace hindsight::replay::record
