#include "debugger/cli/command_options.h"

#include <cctype>

#include "debugger/cli/engine_spec.h"
#include "debugger/cli/trace_exec.h"
#include "debugger/gdb/server.h"
#include "engine/base/types.h"

namespace hindsight::debugger::cli {
namespace {

/// Turns "512M" into bytes, in place; a complaint if it is no size of RAM.
std::string read_size(std::string& text) {
  constexpr std::uint64_t kLeast = std::uint64_t{16} << 20, kMost = std::uint64_t{1} << 40;
  std::string complaint = "a size from 16M to 1T expected, such as 512M, found " + text;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 15 || text.size() > digits + 1) return complaint;
  unsigned shift = 0;
  if (digits < text.size()) {
    const std::size_t unit = std::string_view("KMGT").find(static_cast<char>(std::toupper(text[digits])));
    if (unit == std::string_view::npos) return complaint;
    shift = static_cast<unsigned>(unit + 1) * 10;
  }
  const std::uint64_t number = std::stoull(text.substr(0, digits));
  if (number > kMost >> shift || number << shift < kLeast || (number << shift) % kPageSize != 0)
    return complaint;
  text = std::to_string(number << shift);
  return {};
}

}  // namespace

void add_trace_exec(CLI::App& command, std::string& range) {
  command
      .add_option("--trace-exec", range,
                  "A..B: print each instruction between these icounts with what it changed, and stop at B")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return parse_range(text) ? std::string() : "A..B with A below B expected, found " + text;
          },
          "A..B", "range"));
}

void add_engine(CLI::App& command, std::string& engine) {
  command
      .add_option("--engine", engine,
                  "interp: the IR interpreter; jit: the translator, for tests as jit:OPTION,… with plain "
                  "(unoptimised), max-insns=N (a block), cache=SIZE (code), interp-from=ICOUNT")
      ->check(CLI::Validator(check_engine, ""))
      ->capture_default_str();
}

void add_host_options(CLI::App& command, RunOptions& options) {
  command.add_option("--disk", options.disk, "raw disk image; it is only read, writes stay in the machine");
  command.add_option("--net", options.net, "none, or user: a network behind this process")
      ->check(CLI::IsMember({"none", "user"}))
      ->capture_default_str();
  auto* script = command.add_option("--script", options.script, "console script that types for the user");
  command.add_option("--input", options.input, "file whose bytes the serial port receives")->excludes(script);
  command.add_option("--seed", options.seed, "draw entropy from this seed and fix the clock");
  command.add_option("--stop-at", options.stop_at, "stop at this icount");
}

void add_machine_options(CLI::App& command, RunOptions& options) {
  command.add_option("--kernel", options.kernel, "kernel image (bzImage or PVH ELF)")->required();
  command.add_option("--initrd", options.initrd, "initial RAM disk");
  command.add_option("--append", options.command_line, "kernel command line");
  command.add_option("--memory", options.memory, "size of RAM, such as 512M or 2G")
      ->transform(CLI::Validator(read_size, "SIZE", "size"))
      ->default_str("512M");
  add_host_options(command, options);
  command
      .add_option("--ns-per-instruction", options.nanoseconds_per_instruction, "virtual time per instruction")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
  add_engine(command, options.engine);
}

CLI::Validator gdb_address() {
  return CLI::Validator(
      [](const std::string& text) {
        const Status fits = gdb::check_address(text);
        return fits ? std::string() : fits.failure().message;
      },
      "ADDRESS", "address");
}

CLI::Option* add_gdb(CLI::App& command, RunOptions& options) {
  return command
      .add_option("--gdb", options.gdb,
                  "let gdb drive the machine while it is recorded: 127.0.0.1:PORT (0: any free one) or "
                  "unix:PATH; it waits for gdb before its first instruction, and runs on after detach")
      ->check(gdb_address());
}

void add_trace_options(CLI::App& command, RunOptions& options) {
  command.add_option("-o,--output", options.trace, "the trace to write")
      ->required()
      ->check(CLI::Validator(
          [](const std::string& name) { return name.empty() ? "a file name expected" : std::string(); }, ""));
  command.add_flag("--force", options.force, "replace an existing trace");
  command
      .add_option("--digest-every", options.digest_every, "instructions between digests of the whole state")
      ->check(CLI::Range(std::uint64_t{1000}, ~std::uint64_t{0} >> 1))
      ->capture_default_str();
  command
      .add_option("--snapshot-every", options.snapshot_every,
                  "instructions between snapshots in the trace, from which a debugger starts; 0: none")
      ->check(CLI::Range(std::uint64_t{0}, ~std::uint64_t{0} >> 1))
      ->capture_default_str();
}

void add_replay_options(CLI::App& command, ReplayCommandOptions& options) {
  add_engine(command, options.engine);
  command.add_option("--stop-at", options.stop_at, "stop at this icount");
  command.add_option("--verify-every", options.verify_every,
                     "compare states only at digest points at least this many instructions apart");
}

void add_look(CLI::App& command, LookOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command
      .add_option("--at", options.at,
                  "where: an icount, ICOUNT+N (after the Nth exception or interrupt delivered there), N%, "
                  "begin, end, mark:NAME or event:N")
      ->capture_default_str();
  add_engine(command, options.engine);
  command.add_option("--ladder", options.ladder, "memory for snapshots, such as 512M or 2G")
      ->transform(CLI::Validator(read_size, "SIZE", "size"))
      ->default_str("1G");
  command.add_option("--jobs", options.jobs, "machines that search side by side; 0: one for each core")
      ->check(CLI::Range(0u, 256u))
      ->capture_default_str();
}

void add_source(CLI::App& command, SourceOptions& options) {
  command
      .add_option("--symbols", options.symbols,
                  "FILE or FILE@ADDRESS: a vmlinux, a module or a program with debug information, for source "
                  "lines and variables; a kernel's and its modules' addresses are found")
      ->allow_extra_args(false);
  command.add_option("--source-dir", options.folders, "DIR or FROM=TO: where those sources are")
      ->allow_extra_args(false);
}

}  // namespace hindsight::debugger::cli
