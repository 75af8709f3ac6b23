#include "replay/record/record.h"

#include <algorithm>

#include "replay/record/state_digest.h"

namespace hindsight::replay::record {

using engine::port::Instant;
using engine::port::StopReason;
namespace store = traces::store;

Result<RecordResult> record_machine(engine::port::Machine& machine, Recorder& recorder,
                                    store::TraceWriter& writer, const RecordOptions& options) {
  CHECK(options.digest_interval > 0);
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
    if (options.progress) options.progress(now);
  };

  take(true);
  StopReason reason = StopReason::reached;
  while (reason == StopReason::reached && machine.now().icount < options.stop_at && !writer.failed()) {
    const std::uint64_t points = machine.now().icount.value / options.digest_interval;
    const Icount next((points + 1) * options.digest_interval);
    reason = machine.run(std::min(next, options.stop_at));
    if (reason == StopReason::reached) take(false);
  }
  // Even at the instant of the digest before: inputs may have come and the machine may have stopped at it.
  take(true);
  const Instant end = machine.now();
  const Status finished = writer.finish({{end.icount, end.time}, static_cast<store::EndReason>(reason)});
  recorder.on_failure({});
  if (!finished) return finished.failure();
  return RecordResult{reason, end};
}

}  // namespace hindsight::replay::record
