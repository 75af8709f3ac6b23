// The words of `hindsight query`. Called once, by main.
#pragma once

#include <CLI/CLI.hpp>

#include "debugger/cli/commands.h"

namespace hindsight::debugger::cli {

/// Adds the questions to the command; parsing fills `options`, which outlives it.
void add_query(CLI::App& command, QueryOptions& options);

}  // namespace hindsight::debugger::cli
