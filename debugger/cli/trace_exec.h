// --trace-exec=A..B: runs a machine from icount A to icount B one instruction at a time and prints each with
// the registers it changed. On the run loop's thread. The guest computes the same with and without it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "debugger/cli/machine_builder.h"

namespace hindsight::debugger::cli {

struct IcountRange {
  Icount from, to;
};

/// "A..B" with A < B, or nothing.
[[nodiscard]] std::optional<IcountRange> parse_range(const std::string& text);

/// `built` stands at or before `range.from`. Returns why it stopped: `reached` at `range.to`. `go_on` is
/// asked after each instruction.
engine::port::StopReason trace_execution(BuiltMachine& built, const IcountRange& range,
                                         const std::function<bool()>& go_on);

}  // namespace hindsight::debugger::cli
