#include "debugger/cli/record_again.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/progress.h"
#include "traces/store/trace_editor.h"

namespace hindsight::debugger::cli {

using engine::port::StopReason;
namespace store = traces::store;

namespace {

/// Somebody outside stopped the recording; the machine would have gone on.
bool was_stopped(const store::TraceReader& trace) {
  const auto& end = trace.end();
  return !end || end->reason == store::EndReason::reached || end->reason == store::EndReason::interrupted;
}

/// Where the next snapshot is wanted.
class Places final {
 public:
  Places(const std::string& wanted, const store::TraceReader& trace)
      : trace_(trace), keep_(wanted == "keep"), every_(snapshots_every(wanted).value_or(0)) {}

  [[nodiscard]] Icount after(Icount now) {
    if (every_ != 0) return Icount((now.value / every_ + 1) * every_);
    while (keep_ && next_ < trace_.snapshot_count() && trace_.snapshot_place(next_).icount <= now) ++next_;
    return keep_ && next_ < trace_.snapshot_count() ? trace_.snapshot_place(next_).icount : Icount::max();
  }

 private:
  const store::TraceReader& trace_;
  const bool keep_;
  const std::uint64_t every_;
  std::uint64_t next_ = 0;
};

}  // namespace

Scratch::Scratch(std::string path) : path_(std::move(path)) { remove(); }

Scratch::~Scratch() { remove(); }

void Scratch::remove() const {
  ::unlink(path_.c_str());
  ::unlink((path_ + "-lock").c_str());
}

/// Runs the machine through the stretch. Says why it stopped at the end of it.
Result<StopReason> run_again(LiveRecording& recording, const store::TraceReader& trace,
                             const Stretch& stretch, const std::string& snapshots) {
  constexpr std::uint64_t kStride = 50'000'000;
  engine::port::Machine& machine = recording.built().machine();
  const Icount stop = stretch.to_end && !was_stopped(trace) ? Icount::max() : stretch.to;
  Places places(snapshots, trace);
  Progress progress("recording anew", stretch.to, false);
  StopReason reason = StopReason::reached;
  while (reason == StopReason::reached && machine.now().icount < stop) {
    const Icount now = machine.now().icount, place = places.after(now);
    const auto advanced = recording.advance(std::min({place, stop, now + kStride}));
    if (!advanced) return advanced.failure();
    reason = *advanced;
    if (reason == StopReason::reached && machine.now().icount == place && place < stop)
      recording.take_snapshot();
    progress.update(machine.now().icount);
  }
  // Stopped while halted: only idling takes the machine to that time, and the player stops it there.
  const auto& end = trace.end();
  if (stretch.to_end && end && reason == StopReason::reached && machine.now().time < end->at.time) {
    const auto advanced = recording.advance(end->at.icount + 1);
    if (!advanced) return advanced.failure();
  }
  return reason;
}

Status finish_again(LiveRecording& recording, const store::TraceReader& trace, StopReason reason,
                    const Stretch& stretch, ExitCode& code) {
  code = kFailed;
  if (reason == StopReason::interrupted) return error("interrupted");
  const bool same_end = stretch.to_end && !was_stopped(trace)
                            ? static_cast<store::EndReason>(reason) == trace.end()->reason
                            : reason == StopReason::reached;
  const Icount at = recording.built().machine().now().icount;
  if (!same_end || at != stretch.to)
    return error("{}: the replay ends otherwise, {} at icount {}: hindsight verify says where", trace.path(),
                 store::name_of(static_cast<store::EndReason>(reason)), at.value);
  code = kBadInput;
  const auto end = trace.end() ? trace.end()->reason : store::EndReason::interrupted;
  const auto result = recording.finish(stretch.to_end ? static_cast<StopReason>(end) : StopReason::reached);
  return result ? Status(Done{}) : result.failure();
}

Status copy_marks(store::TraceReader& from, const std::string& to, const store::Place& first, Icount last) {
  const auto marks = from.marks();
  if (!marks) return marks.failure();
  const auto copy = store::TraceReader::open(to);
  if (!copy) return copy.failure();
  std::unique_ptr<store::TraceEditor> editor;
  for (const store::Mark& mark : *marks) {
    if (mark.at < first || mark.at.icount > last) continue;
    if (!editor) {
      auto opened = store::TraceEditor::open(to, (*copy)->transaction());
      if (!opened) return opened.failure();
      editor = std::move(*opened);
    }
    editor->set_mark(mark);
  }
  return editor ? editor->commit() : Status(Done{});
}

std::string file_size_text(const std::string& path) {
  std::error_code ignored;
  return bytes_text(std::filesystem::file_size(path, ignored));
}

std::optional<std::uint64_t> snapshots_every(const std::string& text) {
  if (!text.starts_with("every=")) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data() + 6, text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace hindsight::debugger::cli
