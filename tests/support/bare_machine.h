// The engine's machine without a board: RAM, one CPU in 64-bit mode with SSE and identity-mapped 4 KiB
// pages, a GDT, an IDT, and one interrupt wire that a test pulls. For guest programs of a few instructions,
// and for measuring. Nothing comes from outside, so a run is a function of the program. One test thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "engine/exec/machine.h"
#include "engine/guest/x86/system_state.h"
#include "engine/guest/x86/x86_guest.h"

namespace hindsight::tests::support {

/// No input, no clock, nobody listens.
class NothingOutside final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  void drain(engine::port::Instant, std::vector<engine::port::Input>&) override {}
  void sample(engine::port::Instant, engine::port::Channel, std::uint64_t, std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant, VirtualTime deadline) override { return deadline; }
  void output(engine::port::Instant, engine::port::Channel, std::span<const std::byte>) override {}
};

class BareMachine {
 public:
  static constexpr std::uint64_t kRam = std::uint64_t{16} << 20;
  static constexpr std::uint64_t kTables = 0x1000;  ///< eleven pages
  static constexpr std::uint64_t kGdt = 0x10000, kIdt = 0x11000;
  static constexpr std::uint64_t kCode = 0x100000;      ///< where the program starts
  static constexpr std::uint64_t kStackTop = 0x200000;  ///< RSP there
  static constexpr std::uint64_t kData = 0x300000;      ///< for the program to use, to the end of RAM
  static constexpr std::uint16_t kCodeSelector = 0x10, kDataSelector = 0x18;

  explicit BareMachine(engine::exec::EngineKind engine);
  BareMachine(const BareMachine&) = delete;
  BareMachine& operator=(const BareMachine&) = delete;

  void write(std::uint64_t address, std::span<const std::uint8_t> bytes);
  [[nodiscard]] std::uint64_t read64(std::uint64_t address) const;
  /// An interrupt gate of privilege 0.
  void set_gate(unsigned vector, std::uint64_t handler);

  /// CpuState::apic of this CPU: an interrupt waits while there is a vector.
  class Wire final : public engine::port::LocalApicPort {
   public:
    std::optional<std::uint8_t> vector;
    [[nodiscard]] bool pending() const override { return vector.has_value(); }
    std::uint8_t acknowledge() override;
    [[nodiscard]] std::uint64_t base_msr() const override { return 0; }
    void set_base_msr(std::uint64_t) override {}
    [[nodiscard]] std::uint64_t tsc_deadline() const override { return 0; }
    void set_tsc_deadline(std::uint64_t) override {}
    [[nodiscard]] std::uint8_t cr8() const override { return 0; }
    void set_cr8(std::uint8_t) override {}
  };

  engine::guest::x86::CpuState& cpu() { return *cpu_; }
  engine::exec::Machine& machine() { return *machine_; }
  Wire& wire() { return wire_; }

  /// Runs so many instructions more, or until the CPU halts for good.
  engine::port::StopReason run_for(std::uint64_t instructions);
  /// Becomes what `other` is, by way of saved states and RAM pages, as from a snapshot. The wire is not
  /// carried over: it is the test's.
  void load_from(BareMachine& other);

 private:
  void put64(std::uint64_t address, std::uint64_t value);
  void map_everything();

  NothingOutside nothing_;
  Wire wire_;
  engine::guest::x86::X86Guest guest_;
  std::unique_ptr<engine::guest::x86::CpuState> cpu_ = std::make_unique<engine::guest::x86::CpuState>();
  engine::guest::x86::CpuStateful part_{*cpu_, "cpu0"};
  std::unique_ptr<engine::exec::Machine> machine_;
};

}  // namespace hindsight::tests::support
