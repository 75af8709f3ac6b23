// The traces that a command line names: files, and what lies in folders. Reads folders only. Any thread.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace hindsight::debugger::cli {

/// Every path that is no folder as it is; of a folder the files below it that are called *.trace or *.hst, in
/// alphabetical order. An Error: a folder that cannot be read, or without a trace.
Result<std::vector<std::string>> find_traces(const std::vector<std::string>& paths);

}  // namespace hindsight::debugger::cli
