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
  std::optional<Instant> last;
  Icount last_full;
  const auto take = [&](bool full) {
    const Instant now = machine.now();
    if (last == now) return;
    full = full || !last || now.icount - last_full >= options.full_state_interval;
    if (full) last_full = now.icount;
    last = now;
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
  take(true);
  const Instant end = machine.now();
  const Status finished = writer.finish({{end.icount, end.time}, static_cast<store::EndReason>(reason)});
  recorder.on_failure({});
  if (!finished) return finished.failure();
  return RecordResult{reason, end};
}

}  // namespace hindsight::replay::record
