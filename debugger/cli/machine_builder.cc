#include "debugger/cli/machine_builder.h"

namespace hindsight::debugger::cli {

Result<std::unique_ptr<BuiltMachine>> build_machine(const traces::store::MachineConfig& config,
                                                    const BootFiles&, const std::string&,
                                                    engine::port::NondetSource&, engine::port::OutputSink&) {
  return error("no board '{}' in this build", config.board);
}

std::string cpu_model() { return "x86-64"; }

}  // namespace hindsight::debugger::cli
