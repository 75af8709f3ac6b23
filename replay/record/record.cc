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
      duties_{{{options_.digest_interval, &Recording::take_digest},
               {options_.snapshot_interval, &Recording::take_snapshot},
               {options_.snapshots ? options_.written_interval : 0, &Recording::note_written},
               {options_.snapshots ? options_.executed_interval : 0, &Recording::note_executed}}} {
  CHECK(options_.digest_interval > 0 && (options_.snapshot_interval == 0 || options_.snapshots != nullptr));
  recorder_.on_failure([m = &machine_] { m->request_stop(); });
  for (Duty& duty : duties_) duty.next = next_multiple(machine_.now().icount, duty.interval);
  digest(true);
  note_touched();
}

Recording::~Recording() { recorder_.on_failure({}); }

void Recording::digest(bool full) {
  const Instant now = machine_.now();
  full = full || now.icount - last_full_ >= options_.full_state_interval;
  if (full) last_full_ = now.icount;
  // In this order, so that no commit has a digest beyond its progress.
  writer_.progress({now.icount, now.time});
  writer_.digest(digester_.take(full, recorder_.channel_digests()));
  if (options_.progress) options_.progress(now);
}

void Recording::note_touched() {
  if (options_.snapshots == nullptr) return;
  note_written();
  note_executed();
}

StopReason Recording::run(Icount until) {
  until = std::min(until, options_.stop_at);
  while (!writer_.failed()) {
    Icount next = until;
    for (const Duty& duty : duties_) next = std::min(next, duty.next);
    const StopReason reason = machine_.run(next);
    observed_ = reason == StopReason::observed;
    if (reason != StopReason::reached) return reason;
    const Icount now = machine_.now().icount;
    for (Duty& duty : duties_) {
      if (now != duty.next) continue;
      (this->*duty.act)();
      duty.next = next_multiple(now, duty.interval);
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
  digest(true);
  note_touched();
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
