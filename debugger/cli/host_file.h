// Files of the host that go into a machine. Any thread.
#pragma once

#include <string>

#include "engine/base/result.h"
#include "traces/store/records.h"

namespace hindsight::debugger::cli {

/// All of it; an Error names the file.
Result<traces::store::Bytes> read_file(const std::string& path);
/// Where a file lay is nobody's business in a trace that travels.
[[nodiscard]] std::string base_name(const std::string& path);

}  // namespace hindsight::debugger::cli
