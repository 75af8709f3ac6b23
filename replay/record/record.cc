#include "replay/record/record.h"

#include <algorithm>

#include "replay/record/state_digest.h"

namespace hindsight::replay::record {

using engine::port::Instant;
using engine::port::StopReason;
namespace store = traces::store;

Result<RecordResult> record_machine(engine::port::Machine& machine, Recorder& recorder,
                                    store::TraceWriter& writer, const RecordOptions& options) {
  CHECK(options.digest_interval > 0 && (options.snapshot_interval == 0 || options.snapshots != nullptr));
  recorder.on_failure([&machine] { machine.request_stop(); });
  StateDigester digester(machine);
  Icount last_full;
  const auto take = [&](bool full) {
    const Instant now = machine.now();
    full = full || now.icount - last_full >= options.full_state_interval;
    if (full) last_full = now.icount;
    // In this order, so that no commit has a digest beyond its progress.
    writer.progress({now.icount, now.time});
    writer.digest(digester.take(full, recorder.channel_digests()));
    if (options.snapshots != nullptr) options.snapshots->note_footprint();
    if (options.progress) options.progress(now);
  };

  const auto next_multiple = [&](std::uint64_t interval) {
    return interval == 0 ? Icount::max() : Icount((machine.now().icount.value / interval + 1) * interval);
  };

  take(true);
  StopReason reason = StopReason::reached;
  while (reason == StopReason::reached && machine.now().icount < options.stop_at && !writer.failed()) {
    const Icount digest = next_multiple(options.digest_interval);
    const Icount snapshot = next_multiple(options.snapshot_interval);
    reason = machine.run(std::min({digest, snapshot, options.stop_at}));
    const Icount now = machine.now().icount;
    if (reason == StopReason::reached && (now == digest || now == options.stop_at)) take(false);
    if (reason == StopReason::reached && now == snapshot) options.snapshots->take();
  }
  // Even at the instant of the digest before: inputs may have come and the machine may have stopped at it.
  take(true);
  const Instant end = machine.now();
  store::End record{{end.icount, end.time}, static_cast<store::EndReason>(reason), {}};
  if (options.snapshots != nullptr) record.footprints = options.snapshots->finish();
  const Status finished = writer.finish(record);
  recorder.on_failure({});
  if (!finished) return finished.failure();
  return RecordResult{reason, end};
}

}  // namespace hindsight::replay::record
