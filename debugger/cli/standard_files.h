// Standard input, output and error of this process, as a shell may have left them. The main thread.
#pragma once

#include <optional>
#include <string>

namespace hindsight::debugger::cli {

/// Keeps the numbers 0 to 2 from being given to other files where they are closed: what is meant for standard
/// output would be written into whatever was opened next, such as a trace. Before anything is opened.
void occupy_standard_files();

/// Hands on what is left to be written to standard output. Tells what went wrong, unless a reader just has
/// read enough.
[[nodiscard]] std::optional<std::string> finish_standard_output();

}  // namespace hindsight::debugger::cli
