#include "replay/record/record.h"

#include <algorithm>

namespace hindsight::replay::record {

using engine::port::Instant;
using engine::port::Machine;
using engine::port::StopReason;
namespace store = traces::store;

namespace {

Icount next_multiple(Icount after, std::uint64_t interval) {
  return interval == 0 ? Icount::max() : Icount((after.value / interval + 1) * interval);
}

}  // namespace

Recording::Recording(Machine& machine, Recorder& recorder, store::TraceWriter& writer, RecordOptions options)
    : machine_(machine),
      recorder_(recorder),
      writer_(writer),
      options_(std::move(options)),
      digester_(machine),
      next_digest_(next_multiple(machine.now().icount, options_.digest_interval)),
      next_snapshot_(next_multiple(machine.now().icount, options_.snapshot_interval)) {
  CHECK(options_.digest_interval > 0 && (options_.snapshot_interval == 0 || options_.snapshots != nullptr));
  recorder_.on_failure([m = &machine_] { m->request_stop(); });
  take_digest(true);
}

Recording::~Recording() { recorder_.on_failure({}); }

void Recording::take_digest(bool full) {
  const Instant now = machine_.now();
  full = full || now.icount - last_full_ >= options_.full_state_interval;
  if (full) last_full_ = now.icount;
  // In this order, so that no commit has a digest beyond its progress.
  writer_.progress({now.icount, now.time});
  writer_.digest(digester_.take(full, recorder_.channel_digests()));
  if (options_.snapshots != nullptr) options_.snapshots->note_footprint();
  if (options_.progress) options_.progress(now);
}

StopReason Recording::run(Icount until) {
  until = std::min(until, options_.stop_at);
  while (!writer_.failed()) {
    const StopReason reason = machine_.run(std::min({next_digest_, next_snapshot_, until}));
    observed_ = reason == StopReason::observed;
    if (reason != StopReason::reached) return reason;
    const Icount now = machine_.now().icount;
    if (now == next_digest_) {
      take_digest(false);
      next_digest_ = next_multiple(now, options_.digest_interval);
    }
    if (now == next_snapshot_) {
      options_.snapshots->take();
      next_snapshot_ = next_multiple(now, options_.snapshot_interval);
    }
    if (now >= until) return StopReason::reached;
  }
  return StopReason::interrupted;
}

StopReason Recording::move_to_a_place(StopReason reason) {
  const engine::port::DebugPort& debug = machine_.debug();
  // Of a halted machine that was interrupted, replay knows the end by its time.
  if (debug.position().delivery == 0 && !(observed_ && debug.has_begun())) return reason;
  const Icount here = machine_.now().icount;
  StopReason end = StopReason::reached;
  // Requests to stop may be left.
  do end = machine_.run(here + 1);
  while ((end == StopReason::interrupted || end == StopReason::observed) && machine_.now().icount == here);
  const bool alive =
      end == StopReason::reached || end == StopReason::interrupted || end == StopReason::observed;
  return alive ? reason : end;
}

Result<RecordResult> Recording::finish(StopReason reason) {
  if (reason == StopReason::interrupted && !writer_.failed()) reason = move_to_a_place(reason);
  // Even at the instant of the digest before: inputs may have come and the machine may have stopped at it.
  take_digest(true);
  const Instant end = machine_.now();
  store::End record{{end.icount, end.time}, static_cast<store::EndReason>(reason), {}};
  if (options_.snapshots != nullptr) record.footprints = options_.snapshots->finish();
  const Status finished = writer_.finish(record);
  if (!finished) return finished.failure();
  return RecordResult{reason, end};
}

Result<RecordResult> record_machine(Machine& machine, Recorder& recorder, store::TraceWriter& writer,
                                    const RecordOptions& options) {
  Recording recording(machine, recorder, writer, options);
  return recording.finish(recording.run(Icount::max()));
}

}  // namespace hindsight::replay::record
