// The options of the commands that make regression tests of traces; main's part of the command line. The main
// thread.
#pragma once

#include <CLI/CLI.hpp>

#include "debugger/cli/commands.h"

namespace hindsight::debugger::cli {

void add_verify(CLI::App& command, VerifyOptions& options);
void add_expect(CLI::App& command, ExpectOptions& options);
void add_rerun(CLI::App& command, RerunOptions& options);

}  // namespace hindsight::debugger::cli
