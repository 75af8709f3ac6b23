// The wiring: the only place that knows the board, the engine and the live host together. Record and run
// build on the live host, replay on a Player; the machine is the same. Owned by a command; the run loop's
// thread only. What is built depends on the configuration and the files' contents alone, so that a replay
// builds the machine that was recorded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/port/machine.h"
#include "replay/timeline/timeline.h"
#include "traces/store/records.h"

namespace hindsight::debugger::cli {

/// Contents of the files the board boots from.
struct BootFiles {
  traces::store::Bytes kernel, initrd;
  std::string kernel_path = {};  ///< how complaints about the kernel begin, if it is a file
};

/// The machine and all it stands on.
class BuiltMachine : public replay::timeline::ReplayMachine {
 public:
  /// Every register of the CPU, several lines.
  [[nodiscard]] virtual std::string registers() const = 0;
  /// The instruction that the CPU stands at: address, bytes, text. Looking at it changes nothing, not even an
  /// accessed bit.
  [[nodiscard]] virtual std::string instruction() = 0;
};

/// `engine` is what engine_spec.h describes. `source` and `sink` are borrowed and outlive the machine.
/// Without `files` nothing is loaded: for whoever restores a snapshot.
Result<std::unique_ptr<BuiltMachine>> build_machine(const traces::store::MachineConfig& config,
                                                    const BootFiles* files, const std::string& engine,
                                                    engine::port::NondetSource& source,
                                                    engine::port::OutputSink& sink);

/// The kernel and the initial RAM disk that a trace carries.
Result<BootFiles> boot_files_of(traces::store::TraceReader& trace);

/// The machine of a trace at power-on, from the files in the trace, on its player.
Result<std::unique_ptr<BuiltMachine>> build_replay_machine(
    traces::store::TraceReader& trace, const std::string& engine, replay::play::Player& player,
    replay::timeline::Contents contents = replay::timeline::Contents::boot_files);

/// What CPUID shows, for the trace's configuration.
[[nodiscard]] std::string cpu_model();
[[nodiscard]] std::vector<std::string> cpu_features();

struct LiveOptions {
  std::string disk, net = "none", script, input;
  std::optional<std::uint64_t> seed;
  std::function<void()> on_quit;  ///< the user typed the escape
};

/// The live host: consoles, disk, network, entropy and clock.
class LiveHost {
 public:
  virtual ~LiveHost() = default;
  virtual engine::port::NondetSource& source() = 0;
  virtual engine::port::OutputSink& sink() = 0;
  [[nodiscard]] virtual std::uint64_t disk_bytes() const = 0;
  /// What failed while the machine ran: an unreadable disk, an unfinished script.
  [[nodiscard]] virtual std::optional<std::string> host_failure() const = 0;
  [[nodiscard]] virtual std::optional<std::string> unfinished_script() const = 0;
  /// Somebody sits at a terminal and types to the guest.
  [[nodiscard]] virtual bool interactive() const = 0;
  /// Gives the terminal back, before anything is said about the end.
  virtual void restore_terminal() = 0;
};

Result<std::unique_ptr<LiveHost>> open_live_host(const LiveOptions& options);

}  // namespace hindsight::debugger::cli
