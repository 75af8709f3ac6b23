#include "debugger/cli/regression_options.h"

namespace hindsight::debugger::cli {

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
}

}  // namespace hindsight::debugger::cli
