// Snapshots into the trace while it is being recorded. The run loop only notes which pages changed and saves
// the parts; a thread of its own copies, hashes and compresses the pages while the machine runs on. A page
// that is about to change before its turn has come is copied first. Owned by the recording session, beside
// machine, recorder and writer, which outlive it. The run loop's thread. Nothing here flows back into the
// guest; how far the thread has got decides only whether a snapshot is left out.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/port/machine.h"
#include "replay/record/record.h"
#include "replay/snapshot/page_ledger.h"
#include "replay/snapshot/snapshot.h"
#include "traces/store/trace_writer.h"

namespace hindsight::replay::snapshot {

class RecordingSnapshots final : public record::SnapshotTaker, private engine::port::PageKeeper {
 public:
  /// `machine` stands at power-on and has no page keeper.
  RecordingSnapshots(engine::port::Machine& machine, const record::Recorder& recorder,
                     traces::store::TraceWriter& writer);
  ~RecordingSnapshots() override;
  RecordingSnapshots(const RecordingSnapshots&) = delete;
  RecordingSnapshots& operator=(const RecordingSnapshots&) = delete;

  /// Leaves this snapshot out when the one before is not written yet: the machine never waits for the disk.
  void take() override;
  void note_written() override;
  void note_executed() override;
  std::vector<traces::store::Footprint> finish() override;
  /// Waits until the last one taken is handed to the writer.
  void settle();

  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  /// How a page stands with the present job.
  enum PageState : std::uint8_t {
    kDone,     ///< nothing to do
    kPending,  ///< its contents in RAM are still those of the snapshot
    kBusy,     ///< one of the two threads is copying it
    kCopied,   ///< the run loop has put the contents aside
  };
  struct Job {
    bool base = false;  ///< the machine at power-on, which is only hashed
    std::vector<std::uint64_t> pages;
    traces::store::SnapshotRecord record;
    std::vector<PartState> parts;
    std::uint64_t begun = 0;  ///< TraceWriter::begin_snapshot
  };

  void about_to_change(std::uint64_t index, const std::byte* contents) override;
  void start(std::unique_ptr<Job> job);
  [[nodiscard]] bool idle();
  /// Puts the footprint of the way from `from` to here, which `tell` fills, to the others; here is where the
  /// next begins. False: the machine has not come any further.
  bool note(std::optional<engine::port::Position>& from, const std::function<void(Footprint&)>& tell);
  void stop(bool complete);

  void run();
  void work_off(Job& job);
  /// The page's contents as they were when the job began.
  void fetch(std::uint64_t index, std::span<std::byte, kPageSize> out);

  engine::port::Machine& machine_;
  const record::Recorder& recorder_;
  traces::store::TraceWriter& writer_;
  std::uint32_t epoch_ = 0;  ///< the run loop's, as is all up to footprints_
  std::uint64_t taken_ = 0, left_out_ = 0;
  std::uint32_t written_epoch_ = 0;
  /// Since when each is collected; none: it is not yet.
  std::optional<engine::port::Position> written_from_, executed_from_;
  std::vector<traces::store::Footprint> footprints_;  ///< since the last snapshot

  std::vector<std::atomic<std::uint8_t>> states_;
  std::vector<std::unique_ptr<Page>> copies_;  ///< by page; belongs to whoever made the state kBusy
  PageLedger ledger_;                          ///< the thread's

  std::mutex mutex_;
  std::condition_variable wake_, settled_;
  std::unique_ptr<Job> job_;  // guarded by mutex_: the one being worked off
  bool closing_ = false;      // guarded by mutex_
  std::atomic<bool> giving_up_{false};
  std::thread thread_;
};

}  // namespace hindsight::replay::snapshot
