// The options of the commands that make regression tests of traces; main's part of the command line. The main
// thread.
#pragma once

#include <CLI/CLI.hpp>

#include "debugger/cli/commands.h"

namespace hindsight::debugger::cli {

void add_verify(CLI::App& command, VerifyOptions& options);
void add_expect(CLI::App& command, ExpectOptions& options);
void add_rerun(CLI::App& command, RerunOptions& options);
void add_pack(CLI::App& command, PackOptions& options);
void add_trim(CLI::App& command, TrimOptions& options);
void add_strip(CLI::App& command, StripOptions& options);
void add_gc(CLI::App& command, GcOptions& options);

}  // namespace hindsight::debugger::cli
