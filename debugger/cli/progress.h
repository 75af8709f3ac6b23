// How far a long command has come, as one line on a terminal's standard error that is written over and over.
// Silent when standard error is no terminal, or when the guest's own output shares it.
// The main thread. Reads the host's clock; nothing of it reaches the guest.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/base/types.h"

namespace hindsight::debugger::cli {

class Progress final {
 public:
  /// `total` is where the work ends (maximal: unknown), `first` where it begins.
  Progress(std::string label, Icount total, bool guest_output_on_stdout, Icount first = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(Icount now);
  /// Takes the line away.
  void clear();

 private:
  std::string label_;
  Icount total_, first_;
  bool shown_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace hindsight::debugger::cli
