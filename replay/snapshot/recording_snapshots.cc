#include "replay/snapshot/recording_snapshots.h"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <cstring>
#include <utility>

#include "engine/base/log.h"
#include "replay/record/state_digest.h"

namespace hindsight::replay::snapshot {

namespace store = traces::store;

RecordingSnapshots::RecordingSnapshots(engine::port::Machine& machine, const record::Recorder& recorder,
                                       store::TraceWriter& writer)
    : machine_(machine),
      recorder_(recorder),
      writer_(writer),
      states_(machine.ram().page_count()),
      copies_(machine.ram().page_count()),
      ledger_(machine.ram().page_count(), writer) {
  machine_.ram().set_keeper(this);
  auto job = std::make_unique<Job>();
  job->base = true;
  start(std::move(job));
  thread_ = std::thread([this] { run(); });
}

RecordingSnapshots::~RecordingSnapshots() { stop(false); }

std::vector<store::Footprint> RecordingSnapshots::finish() {
  stop(true);
  return std::move(footprints_);
}

bool RecordingSnapshots::note(std::optional<engine::port::Position>& from,
                              const std::function<void(Footprint&)>& tell) {
  const engine::port::Position at = machine_.debug().position();
  if (from == at) return false;
  if (from && footprints_.size() < store::kMostFootprints) {
    Footprint footprint;
    footprint.from = *from;
    footprint.to = at;
    footprint.tells_written = footprint.tells_executed = false;
    tell(footprint);
    footprints_.push_back(record_of(footprint));
  }
  from = at;
  return true;
}

void RecordingSnapshots::note_written() {
  const bool further = note(written_from_, [&](Footprint& footprint) {
    footprint.tells_written = true;
    footprint.linear.written = machine_.debug().touched().written;
    machine_.ram().for_each_dirty_after(written_epoch_, [&](std::uint64_t index) {
      footprint.ram_written.add(machine_.ram().address_of(index).value);
    });
  });
  if (!further) return;
  written_epoch_ = machine_.ram().end_epoch();
  machine_.debug().collect_written();
}

void RecordingSnapshots::note_executed() {
  const bool further = note(executed_from_, [&](Footprint& footprint) {
    footprint.tells_executed = true;
    footprint.linear.executed = machine_.debug().touched().executed;
  });
  if (further) machine_.debug().collect_executed();
}

void RecordingSnapshots::settle() {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return job_ == nullptr; });
}

void RecordingSnapshots::stop(bool complete) {
  if (!thread_.joinable()) return;
  if (!complete) giving_up_.store(true, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
  machine_.ram().set_keeper(nullptr);
}

bool RecordingSnapshots::idle() {
  const std::lock_guard lock(mutex_);
  return job_ == nullptr;
}

/// With the thread idle: every page is kDone.
void RecordingSnapshots::start(std::unique_ptr<Job> job) {
  const std::uint32_t ended = machine_.ram().end_epoch();
  machine_.ram().for_each_dirty_after(epoch_, [&](std::uint64_t index) {
    job->pages.push_back(index);
    states_[index].store(kPending, std::memory_order_relaxed);
  });
  epoch_ = ended;
  {
    const std::lock_guard lock(mutex_);
    job_ = std::move(job);
  }
  wake_.notify_one();
}

void RecordingSnapshots::take() {
  if (writer_.failed() || !thread_.joinable()) return;
  if (!idle()) {
    left_out_++;
    return;
  }
  note_written();
  note_executed();
  auto job = std::make_unique<Job>();
  job->record.footprints = std::exchange(footprints_, {});
  const engine::port::Position at = machine_.debug().position();
  const engine::port::Instant now = machine_.now();
  job->record.at = {at.icount, at.delivery};
  job->record.time = now.time;
  job->record.event = recorder_.events();
  job->record.channels = recorder_.outputs().positions();
  job->record.ram_pages = ledger_.page_count();
  for (const engine::port::Stateful* part : machine_.parts()) {
    job->parts.push_back({std::string(part->state_name()),
                          std::make_shared<const kj::Array<capnp::word>>(record::canonical_state(*part))});
  }
  // In this order, so that no commit has a snapshot beyond its progress.
  writer_.progress({now.icount, now.time});
  job->begun = writer_.begin_snapshot();
  start(std::move(job));
  taken_++;
}

void RecordingSnapshots::about_to_change(std::uint64_t index, const std::byte* contents) {
  std::atomic<std::uint8_t>& state = states_[index];
  std::uint8_t expected = kPending;
  if (state.load(std::memory_order_acquire) == kDone) return;
  if (state.compare_exchange_strong(expected, kBusy, std::memory_order_acquire)) {
    auto copy = std::make_unique_for_overwrite<Page>();
    std::memcpy(copy->bytes.data(), contents, kPageSize);
    copies_[index] = std::move(copy);
    state.store(kCopied, std::memory_order_release);
    return;
  }
  // The thread is reading this page: a fraction of a microsecond, unless the host has put it aside.
  while (state.load(std::memory_order_acquire) == kBusy) std::this_thread::yield();
}

void RecordingSnapshots::fetch(std::uint64_t index, std::span<std::byte, kPageSize> out) {
  std::atomic<std::uint8_t>& state = states_[index];
  std::uint8_t expected = kPending;
  if (state.compare_exchange_strong(expected, kBusy, std::memory_order_acquire)) {
    std::memcpy(out.data(), machine_.ram().page(index), kPageSize);
    state.store(kDone, std::memory_order_release);
    return;
  }
  while (state.load(std::memory_order_acquire) == kBusy) std::this_thread::yield();
  CHECK(state.load(std::memory_order_acquire) == kCopied, "page {} in state {}", index,
        state.load(std::memory_order_relaxed));
  std::memcpy(out.data(), copies_[index]->bytes.data(), kPageSize);
  copies_[index].reset();
  state.store(kDone, std::memory_order_release);
}

void RecordingSnapshots::work_off(Job& job) {
  std::array<std::byte, kPageSize> contents;
  for (const std::uint64_t index : job.pages) {
    if (giving_up_.load(std::memory_order_relaxed) || writer_.failed()) {
      states_[index].store(kDone, std::memory_order_relaxed);
      continue;
    }
    fetch(index, contents);
    if (job.base) {
      ledger_.add_base(index, contents);
    } else {
      ledger_.set(index, contents);
    }
  }
  if (job.base || giving_up_.load(std::memory_order_relaxed) || writer_.failed()) return;
  for (const PartState& part : job.parts) {
    job.record.parts.push_back(store::put_part(writer_, part.name, part.bytes()));
  }
  job.record.regions = ledger_.put_regions();
  job.record.base = ledger_.base_hash();
  log::debug("snapshot", "icount {}: {} pages changed", job.record.at.icount.value, job.pages.size());
  writer_.put_snapshot(std::move(job.record), job.begun);
}

void RecordingSnapshots::run() {
  // Signals belong to the run loop's thread.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return closing_ || job_ != nullptr; });
    if (job_ == nullptr) return;
    Job& job = *job_;
    lock.unlock();
    work_off(job);
    lock.lock();
    job_.reset();
    settled_.notify_all();
  }
}

}  // namespace hindsight::replay::snapshot
