// The local APIC in xAPIC mode: Intel SDM volume 3, chapter 11. Owned by the board, one for each CPU; the run
// loop's thread only. Deterministic: the timer is a function of virtual time, everything else of accesses and
// messages.
//
// The CPU sees one InterruptSource here: it merges the APIC's own vectors with those of the 8259 pair, which
// arrive through LINT0 in ExtINT mode, or directly while the APIC is globally disabled (11.4.3).
// Not built, and refused with a warning: x2APIC (CPUID must not advertise it), relocation of the register
// page, SMI, NMI, INIT and start-up messages.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "devices/intc/apic_bus.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::intc {

class LocalApic final : public engine::port::LocalApicPort,
                        public engine::port::IoHandler,
                        public ApicAgent,
                        public engine::port::StatefulAs<traces::schema::LocalApicState> {
 public:
  static constexpr std::uint64_t kBase = 0xFEE00000;
  static constexpr std::uint64_t kSize = 0x1000;

  struct Rates {
    /// The time-stamp counter's rate: its value is virtual time times this. One tick a nanosecond by default.
    std::uint64_t tsc_hz = 1'000'000'000;
    /// The timer's input clock before the divider. CPUID leaf 15h must say the same as crystal clock.
    std::uint64_t timer_hz = 1'000'000'000;
  };

  /// `pic` is what arrives at LINT0; tell changes of it with set_lint0().
  LocalApic(unsigned id, Rates rates, const engine::port::Clock& clock, engine::port::TimerService& timers,
            ApicBus& bus, engine::port::InterruptSource& pic);
  void reset();
  /// What PC firmware leaves behind (MultiProcessor Specification 1.4, 3.6.2.2, virtual wire mode): the APIC
  /// enabled, LINT0 as ExtINT, LINT1 as NMI.
  void enter_virtual_wire_mode();
  void set_lint0(bool level);

  [[nodiscard]] bool pending() const override;
  std::uint8_t acknowledge() override;
  [[nodiscard]] std::uint64_t base_msr() const override { return apic_base_; }
  void set_base_msr(std::uint64_t value) override;
  /// In ticks of a counter that is never written: a guest that moves its TSC must be translated by its CPU.
  [[nodiscard]] std::uint64_t tsc_deadline() const override { return tsc_deadline_; }
  void set_tsc_deadline(std::uint64_t tsc) override;
  [[nodiscard]] std::uint8_t cr8() const override { return static_cast<std::uint8_t>(tpr_ >> 4); }
  void set_cr8(std::uint8_t value) override { tpr_ = static_cast<std::uint32_t>((value & 15) << 4); }

  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  [[nodiscard]] bool matches(std::uint8_t destination, bool logical) const override;
  void deliver(const ApicMessage& message) override;

  [[nodiscard]] std::string_view state_name() const override { return name_; }
  void save(traces::schema::LocalApicState::Builder out) const override;
  void load(traces::schema::LocalApicState::Reader in) override;

 private:
  using Bits = std::array<std::uint32_t, 8>;  // 256 vectors
  enum class TimerMode { one_shot = 0, periodic = 1, tsc_deadline = 2, reserved = 3 };

  [[nodiscard]] bool globally_enabled() const;
  [[nodiscard]] bool software_enabled() const;
  [[nodiscard]] bool lint0_passes_ext_int() const;
  [[nodiscard]] std::uint32_t ppr() const;
  /// The request that would be delivered now, or -1.
  [[nodiscard]] int request() const;
  void accept(std::uint8_t vector, bool level_triggered);
  void end_of_interrupt();
  void signal_lvt(std::uint32_t lvt);
  void raise_error(std::uint32_t bit);
  void send_ipi();

  [[nodiscard]] std::uint32_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void write_svr(std::uint32_t value);
  void write_lvt(std::uint32_t& lvt, std::uint32_t value, std::uint32_t writable);
  void write_lvt_timer(std::uint32_t value);

  [[nodiscard]] TimerMode timer_mode() const { return static_cast<TimerMode>((lvt_timer_ >> 17) & 3); }
  /// Input clocks in one run from the initial count to zero; 0 when stopped.
  [[nodiscard]] std::uint64_t timer_period() const;
  [[nodiscard]] std::uint64_t timer_elapsed() const;
  [[nodiscard]] std::uint32_t current_count() const;
  /// Runs since the count was loaded (at most one in one-shot mode).
  [[nodiscard]] std::uint64_t timer_runs() const;
  void start_timer(std::uint32_t initial_count);
  /// Arms the host timer for the next expiry that would interrupt, or cancels it.
  void schedule();
  void on_timer();

  const std::string name_;
  const std::uint32_t initial_id_;
  const Rates rates_;
  const engine::port::Clock& clock_;
  engine::port::TimerService& timers_;
  ApicBus& bus_;
  engine::port::InterruptSource& pic_;
  engine::port::TimerService::TimerId timer_;

  std::uint64_t apic_base_ = 0;
  std::uint32_t id_ = 0, tpr_ = 0, ldr_ = 0, dfr_ = 0, svr_ = 0;
  Bits isr_{}, tmr_{}, irr_{};
  std::uint32_t esr_ = 0, esr_pending_ = 0, icr_low_ = 0, icr_high_ = 0;
  std::uint32_t lvt_timer_ = 0, lvt_thermal_ = 0, lvt_perf_ = 0, lvt_lint0_ = 0, lvt_lint1_ = 0,
                lvt_error_ = 0;
  std::uint32_t divide_configuration_ = 0, initial_count_ = 0;
  VirtualTime timer_start_;
  std::uint64_t timer_expiries_ = 0;
  std::uint64_t tsc_deadline_ = 0;
  bool lint0_ = false;
};

}  // namespace hindsight::devices::intc
