// Groups of options that several commands have; main's part of the command line. Parsing fills the options,
// which outlive the command. The main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "debugger/cli/commands.h"

namespace hindsight::debugger::cli {

void add_engine(CLI::App& command, std::string& engine);
void add_trace_exec(CLI::App& command, std::string& range);
/// What a live machine is connected to on the host.
void add_host_options(CLI::App& command, RunOptions& options);
/// The machine, the engine and the host.
void add_machine_options(CLI::App& command, RunOptions& options);
/// How the trace that a command records is written.
void add_trace_options(CLI::App& command, RunOptions& options);
CLI::Validator gdb_address();
CLI::Option* add_gdb(CLI::App& command, RunOptions& options);
void add_replay_options(CLI::App& command, ReplayCommandOptions& options);
/// Of a command that looks into a trace at some position.
void add_look(CLI::App& command, LookOptions& options);
void add_source(CLI::App& command, SourceOptions& options);

}  // namespace hindsight::debugger::cli
