// How far a long command has come, as a status line. Silent also when the guest's own output shares the
// terminal.
// The main thread. Reads the host's clock; nothing of it reaches the guest.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "debugger/cli/status_line.h"
#include "engine/base/types.h"

namespace hindsight::debugger::cli {

class Progress final {
 public:
  /// `total` is where the work ends (maximal: unknown), `first` where it begins.
  Progress(std::string label, Icount total, bool guest_output_on_stdout, Icount first = {});
  void update(Icount now);
  /// Takes the line away.
  void clear() { line_.clear(); }

 private:
  std::string label_;
  Icount total_, first_;
  const bool shown_;
  StatusLine line_;
  std::chrono::steady_clock::time_point start_, last_;
};

/// The same for a search by trials.
class TrialProgress final {
 public:
  /// At most `most` of them, give or take a few; each on the way to `end`.
  TrialProgress(std::uint64_t most, Icount end);
  /// The way is known to hold up to `holds`.
  void update(std::uint64_t trial, Icount holds);

 private:
  std::uint64_t most_;
  Icount end_;
  StatusLine line_;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace hindsight::debugger::cli
