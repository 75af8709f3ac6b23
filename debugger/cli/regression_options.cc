#include "debugger/cli/regression_options.h"

namespace hindsight::debugger::cli {
namespace {

constexpr const char* kFacts =
    "Facts, one a line, with # before comments:\n"
    "  console [not] contains \"TEXT\"\n"
    "  console [not] matches \"REGULAR EXPRESSION\"\n"
    "  no oops\n"
    "  ends with power-off|reset|triple fault|idle forever|limit reached|interrupted\n"
    "  register NAME at POSITION == NUMBER\n"
    "  memory ADDRESS SIZE at POSITION == NUMBER\n"
    "  instructions between POSITION and POSITION <= NUMBER\n"
    "  function SYMBOL [not] called [between POSITION and POSITION]\n"
    "with == != < <= > or >=; debugger/expect/REGRESSION.md says more\n";

void add_snapshots(CLI::App& command, std::string& snapshots, const std::string& help) {
  command.add_option("--snapshots", snapshots, help)
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool known = text == "none" || text == "keep" || snapshots_every(text);
            return known ? std::string() : "none, keep or every=N expected, found " + text;
          },
          "", "snapshots"))
      ->capture_default_str();
}

}  // namespace

void add_verify(CLI::App& command, VerifyOptions& options) {
  command
      .add_option("traces", options.replay.traces,
                  "the traces, and folders with traces (*.trace, *.hst) at any depth")
      ->required();
  command.add_option("--jobs", options.jobs, "traces to verify side by side; 0: one for each core")
      ->check(CLI::Range(0u, 256u))
      ->capture_default_str();
  command
      .add_option("--time-limit", options.time_limit,
                  "seconds that each trace may take; one that is not done by then has failed")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 1e6));
  command.add_option("--junit", options.junit, "write the results as JUnit XML, for continuous integration")
      ->type_name("FILE");
  command.add_option("--json", options.json, "write the results as one JSON object")->type_name("FILE");
  command.add_flag("--expect", options.expect,
                   "check the facts in TRACE.expect as well, where there is such a file");
}

void add_expect(CLI::App& command, ExpectOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command.add_option("facts", options.facts,
                     "the file that states them, one a line; TRACE.expect by default");
  command.add_option("--jobs", options.jobs, "machines that search side by side; 0: one for each core")
      ->check(CLI::Range(0u, 256u))
      ->capture_default_str();
  command.footer(kFacts);
}

void add_rerun(CLI::App& command, RerunOptions& options) {
  command.add_option("trace", options.trace, "the trace with the inputs")->required();
  command.add_option("--kernel", options.run.kernel, "kernel image; the trace's by default");
  command.add_option("--initrd", options.run.initrd, "initial RAM disk; the trace's by default");
  command.add_option("--append", options.command_line, "kernel command line; the trace's by default");
  command
      .add_option("--stop-at", options.run.stop_at,
                  "stop at this icount; by default two billion after four times the trace's end")
      ->default_str("");
}

void add_pack(CLI::App& command, PackOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command.add_option("-o,--output", options.output, "the trace to write")->required();
  command.add_flag("--force", options.force, "replace an existing trace");
  add_snapshots(command, options.snapshots, "none, keep, or every=N (instructions)");
}

void add_trim(CLI::App& command, TrimOptions& options) {
  add_pack(command, options);
  command
      .add_option("--from", options.from,
                  "begin there, with a snapshot: an icount, N%, begin, mark:NAME or event:N")
      ->capture_default_str();
  command.add_option("--to", options.to, "end there: an icount, N%, end, mark:NAME or event:N")
      ->capture_default_str();
}

void add_strip(CLI::App& command, StripOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command.add_option("-o,--output", options.output, "the trace to write")->required();
  command.add_flag("--force", options.force, "replace an existing trace");
  command.add_flag("--disk", options.disk, "replace what was read from the disk; all kinds by default");
  command.add_flag("--network", options.network, "replace what frames brought");
  command.add_flag("--typed", options.typed, "replace what was typed");
  command.add_flag("--same-console", options.same_console,
                   "keep what the consoles showed as it is, and what that takes");
  command.add_flag("--list", options.list, "print what had to stay, and where it is");
  command.add_option("--trials", options.trials, "how often the machine may be run to find out")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0}))
      ->capture_default_str();
  add_snapshots(command, options.snapshots, "none, keep, or every=N (instructions)");
}

void add_gc(CLI::App& command, GcOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  add_snapshots(command, options.snapshots,
                "none, keep, or every=N: those that are at least N instructions apart");
}

}  // namespace hindsight::debugger::cli
