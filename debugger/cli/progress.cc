#include "debugger/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace hindsight::debugger::cli {

Progress::Progress(std::string label, Icount total, bool guest_output_on_stdout, Icount first)
    : label_(std::move(label)),
      total_(total),
      first_(first),
      shown_(!guest_output_on_stdout || isatty(STDOUT_FILENO) == 0),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void Progress::update(Icount now) {
  if (!shown_ || !line_.visible()) return;
  const auto time = std::chrono::steady_clock::now();
  if (time - last_ < std::chrono::milliseconds(200)) return;
  last_ = time;
  const double seconds = std::chrono::duration<double>(time - start_).count();
  const auto done = static_cast<double>(now - first_);
  std::string line = fmt::format("{}: {:.0f} million instructions, {:.0f} million/s", label_, done / 1e6,
                                 done / 1e6 / seconds);
  if (total_ != Icount::max() && total_ > first_ && done > 0) {
    const double share = done / static_cast<double>(total_ - first_);
    line += fmt::format(", {:.0f} %, about {:.0f} s left", 100 * share, seconds * (1 - share) / share);
  }
  line_.show(std::move(line));
}

TrialProgress::TrialProgress(std::uint64_t most, Icount end)
    : most_(most), end_(end), start_(std::chrono::steady_clock::now()), last_(start_) {}

void TrialProgress::update(std::uint64_t trial, Icount holds) {
  if (!line_.visible()) return;
  const auto time = std::chrono::steady_clock::now();
  if (time - last_ < std::chrono::milliseconds(200)) return;
  last_ = time;
  const double seconds = std::chrono::duration<double>(time - start_).count();
  const double each = seconds / static_cast<double>(std::max<std::uint64_t>(trial, 1));
  const std::uint64_t left = most_ - std::min(most_, trial);
  line_.show(fmt::format("trial {} of {} at most, holds up to {:.0f} %, {:.0f} s left at most", trial + 1,
                         most_, 100 * static_cast<double>(holds.value) / static_cast<double>(end_.value),
                         each * static_cast<double>(left)));
}

}  // namespace hindsight::debugger::cli
