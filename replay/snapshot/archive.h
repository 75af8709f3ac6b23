// The snapshots of a trace: read from it, and added to it by a debugging session. Owned by the timeline; any
// thread. What a trace says is checked; a damaged snapshot is an Error, and never one that differs from a
// replay without being told.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "replay/snapshot/ladder.h"
#include "replay/snapshot/page_ledger.h"
#include "replay/snapshot/snapshot.h"
#include "traces/store/trace_editor.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::snapshot {

class Archive final {
 public:
  /// `power_on` is a snapshot of the trace's machine at power-on: pages that it has are not in the trace.
  static Result<std::unique_ptr<Archive>> open(const std::string& path,
                                               std::shared_ptr<const Snapshot> power_on);

  /// In order.
  [[nodiscard]] std::vector<Position> positions();
  Result<std::shared_ptr<const Snapshot>> load(Position at);
  /// Puts all of them on the ladder, which must not outlive the archive, and what the trace knows of which
  /// pages were touched.
  void announce(Ladder& ladder);
  /// Adds a snapshot, of a machine that replayed this trace, unless there is one at its position. When it
  /// fails the trace stays as it was.
  Status save(const Snapshot& snapshot);

  Result<std::vector<traces::store::Mark>> marks();
  /// Replaces a mark of that name.
  Status set_mark(const traces::store::Mark& mark);
  Status remove_mark(const std::string& name);

 private:
  Archive(std::unique_ptr<traces::store::TraceReader> reader, std::shared_ptr<const Snapshot> power_on);
  // All with mutex_ held.
  Result<std::shared_ptr<const Snapshot>> load_index(std::uint64_t index);
  Status load_pages(const traces::store::SnapshotRecord& record, PageMap& ram);
  Result<PageRef> stored_page(std::uint64_t number);
  Status start_editing();
  Status prepare_ledger();
  Status commit();
  [[nodiscard]] traces::store::Hash128 base_hash();

  std::mutex mutex_;
  const std::shared_ptr<const Snapshot> power_on_;
  std::unique_ptr<traces::store::TraceReader> reader_;  // guarded by mutex_, as is all below
  std::vector<std::weak_ptr<const Page>> stored_;       // by number: pages that are in memory
  std::optional<traces::store::Hash128> base_hash_;
  std::unique_ptr<traces::store::TraceEditor> editor_;
  std::unique_ptr<PageLedger> ledger_;
  PageMap ledgered_;  // what ledger_ was told last
};

}  // namespace hindsight::replay::snapshot
