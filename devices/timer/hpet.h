// The high-precision event timer: IA-PC HPET specification 1.0a. Three timers, a 64-bit main counter of
// 100 MHz, legacy replacement routing, no FSB messages. Owned by the board; the run loop's thread only.
// Deterministic: the counter is a function of virtual time and of when software enabled it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::timer {

/// Where the HPET's interrupts go.
class HpetOutputs {
 public:
  virtual ~HpetOutputs() = default;
  /// Timers 0 and 1 take over the inputs of the PIT and the RTC, or give them back.
  virtual void set_legacy_replacement(bool on) = 0;
  /// The level of a timer under legacy replacement: 0 or 1.
  virtual void set_legacy(unsigned timer, bool level) = 0;
  /// The level of an I/O APIC input that a timer is routed to.
  virtual void set_routed(unsigned line, bool level) = 0;
};

class Hpet final : public engine::port::IoHandler,
                   public engine::port::StatefulAs<traces::schema::HpetState> {
 public:
  static constexpr std::uint64_t kBase = 0xFED00000;
  static constexpr std::uint64_t kSize = 0x400;
  static constexpr unsigned kTimers = 3;
  static constexpr std::uint64_t kNanosecondsPerTick = 10;
  /// I/O APIC inputs that timers may be routed to: none of them has another source.
  static constexpr std::uint32_t kRoutes = (1U << 14) | (1U << 15);

  Hpet(const engine::port::Clock& clock, engine::port::TimerService& timers, HpetOutputs& outputs);
  void reset();

  std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  [[nodiscard]] std::string_view state_name() const override { return "hpet"; }
  void save(traces::schema::HpetState::Builder out) const override;
  void load(traces::schema::HpetState::Reader in) override;

 private:
  struct Timer {
    std::uint64_t configuration = 0;
    std::uint64_t comparator = 0;
    std::uint64_t period = 0;
    std::uint64_t fsb_route = 0;
  };

  [[nodiscard]] bool enabled() const { return (configuration_ & 1) != 0; }
  [[nodiscard]] bool legacy() const { return (configuration_ & 2) != 0; }
  [[nodiscard]] std::uint64_t counter() const;
  /// Clocks from now to the timer's next match, at least 1; 0 if there is none within reach.
  [[nodiscard]] std::uint64_t until_match(const Timer& timer, std::uint64_t now) const;
  /// The comparator as it is by now: periodic ones move on with every match.
  [[nodiscard]] std::uint64_t comparator_at(const Timer& timer, std::uint64_t now) const;
  void catch_up();
  [[nodiscard]] std::uint64_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint64_t value, std::uint64_t written);
  void write_configuration(std::uint64_t value);
  void write_timer(unsigned index, std::uint64_t reg, std::uint64_t value, std::uint64_t written);
  void write_comparator(Timer& timer, std::uint64_t value, std::uint64_t written);
  void drive(unsigned index, bool level);
  void drive_all();
  void schedule(unsigned index);
  void schedule_all();
  void on_match(unsigned index);

  const engine::port::Clock& clock_;
  engine::port::TimerService& timer_service_;
  HpetOutputs& outputs_;
  std::array<engine::port::TimerService::TimerId, kTimers> timer_ids_{};
  std::uint64_t configuration_ = 0;
  std::uint64_t interrupt_status_ = 0;
  std::uint64_t main_counter_ = 0;
  VirtualTime start_time_;
  std::array<Timer, kTimers> timers_;
};

}  // namespace hindsight::devices::timer
