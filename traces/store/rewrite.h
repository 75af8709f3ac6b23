// Writes a trace anew, as small as it can be: what nothing in it refers to is left out, snapshots are
// thinned, every value is compressed hard, and the file has no pages that its commits left unused. What is
// replayed stays the same, byte for byte. Any thread; the source may come from anywhere, it is read by
// TraceReader.
#pragma once

#include <functional>
#include <string>

#include "engine/base/result.h"
#include "traces/store/snapshot_records.h"

namespace hindsight::traces::store {

struct RewriteOptions {
  /// Asked for each snapshot, in order; empty: all are kept. That of a branch's beginning always is.
  std::function<bool(const Place&)> keep_snapshot = {};
  /// Without snapshots what is known of touched pages goes as well.
  bool footprints = true;
  int compression = 19;  ///< zstd's; higher needs larger windows than readers expect
};

/// `to` is a file that is not there; none is left behind when it fails. The trace in it is complete on the
/// disk when this returns.
Status rewrite(const std::string& from, const std::string& to, const RewriteOptions& options);

/// The same in place: the trace is replaced by the new one at once, or stays as it is, whatever happens.
/// Fails while another program writes the trace.
Status rewrite_in_place(const std::string& path, const RewriteOptions& options);

}  // namespace hindsight::traces::store
