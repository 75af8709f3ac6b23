// Recording a trace anew from its own events: what `pack`, `trim` and `strip` share. The main thread.
#pragma once

#include <string>

#include "debugger/cli/commands.h"
#include "debugger/cli/recording.h"
#include "traces/store/trace_reader.h"

namespace hindsight::debugger::cli {

/// How far it is recorded again.
struct Stretch {
  Icount to;
  bool to_end = true;  ///< `to` is where the trace ends
};

/// A file that goes when its user does, and its lock file.
class Scratch final {
 public:
  explicit Scratch(std::string path);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void remove() const;
  const std::string path_;
};

/// Runs the machine of `recording`, which gets the events of `trace`, through the stretch, with snapshots
/// ("none", "keep" or "every=N"). Says why it stopped at the end of it.
Result<engine::port::StopReason> run_again(LiveRecording& recording, const traces::store::TraceReader& trace,
                                           const Stretch& stretch, const std::string& snapshots);
/// Closes the new trace if the run ended as it should, for `reason` and at the end of the stretch. `code`
/// says of an Error what it is.
Status finish_again(LiveRecording& recording, const traces::store::TraceReader& trace,
                    engine::port::StopReason reason, const Stretch& stretch, ExitCode& code);

/// Copies the marks from `first` to `last` into the trace at `to`.
Status copy_marks(traces::store::TraceReader& from, const std::string& to, const traces::store::Place& first,
                  Icount last);

/// "31.5 MiB".
[[nodiscard]] std::string file_size_text(const std::string& path);

}  // namespace hindsight::debugger::cli
