// A stock kernel booted in this process, stopped wherever a test wants to look at it. Nothing random comes
// in, so each boot with one command line is the same. One test thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "debugger/cli/machine_builder.h"
#include "debugger/symbols/machine_view.h"
#include "engine/port/nondet.h"

namespace hindsight::tests {

class SymbolsGuest final : private engine::port::NondetSource, private engine::port::OutputSink {
 public:
  /// `kernel` and `initrd` are paths; `append` goes to the command line.
  SymbolsGuest(const std::string& kernel, const std::string& initrd, const std::string& append);

  /// Until the console has shown `text` since the last call; false if the guest ends before.
  bool run_to(const std::string& text);
  /// `count` instructions further; false if the guest ends before.
  bool run_for(std::uint64_t count);
  /// Types a line at the shell's prompt and returns what it printed, without the echo.
  std::string shell(const std::string& line);

  [[nodiscard]] debugger::symbols::CpuView view();
  [[nodiscard]] engine::port::Machine& machine() { return built_->machine(); }
  [[nodiscard]] const std::string& console() const { return console_; }

 private:
  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

  std::string console_, awaited_, typed_;
  std::size_t searched_ = 0;
  std::unique_ptr<debugger::cli::BuiltMachine> built_;
};

}  // namespace hindsight::tests
