// The fixed hardware of ACPI (specification 6.4, 4.8): PM1a event and control blocks and the power management
// timer, with ACPI mode always on; and the reset control register at CF9h. Owned by the board; the run loop's
// thread only. Deterministic: the timer is a function of virtual time.
// Sleep type kSoftOff powers off; others are refused with a warning. There is no power button yet.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/port/interrupt.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::timer {

class AcpiPm final : public engine::port::IoHandler,
                     public engine::port::StatefulAs<traces::schema::AcpiPmState> {
 public:
  static constexpr std::uint64_t kTimerHertz = 3'579'545;
  static constexpr std::uint16_t kPortBase = 0x600;
  static constexpr std::uint16_t kPortCount = 16;
  // Offsets of the blocks, for the FADT.
  static constexpr std::uint16_t kEventBlock = 0, kControlBlock = 4, kTimerBlock = 8;
  /// SLP_TYPa of \_S5.
  static constexpr std::uint8_t kSoftOff = 5;
  static constexpr std::uint16_t kResetPort = 0xCF9;
  static constexpr std::uint8_t kResetValue = 0x06;

  /// `sci` is told the level of the system control interrupt whenever it may have changed.
  AcpiPm(const engine::port::Clock& clock, engine::port::TimerService& timers,
         engine::port::PowerControl& power, std::function<void(bool)> sci);
  void reset();

  std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  /// For ports CF8h to CFBh: byte accesses to CF9h reach the reset control register, the rest nothing.
  [[nodiscard]] engine::port::IoHandler& reset_port() { return reset_port_; }

  [[nodiscard]] std::string_view state_name() const override { return "acpi_pm"; }
  void save(traces::schema::AcpiPmState::Builder out) const override;
  void load(traces::schema::AcpiPmState::Reader in) override;

 private:
  class ResetPort final : public engine::port::IoHandler {
   public:
    explicit ResetPort(AcpiPm& pm) : pm_(pm) {}
    std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
    [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

   private:
    AcpiPm& pm_;
  };

  [[nodiscard]] std::uint64_t ticks() const;
  /// PM1 status as it is now: TMR_STS follows the timer's most significant bit.
  [[nodiscard]] std::uint16_t status_now() const;
  [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) const;
  void write_byte(std::uint64_t offset, std::uint8_t value);
  void sync();
  void update();

  const engine::port::Clock& clock_;
  engine::port::TimerService& timers_;
  engine::port::PowerControl& power_;
  std::function<void(bool)> sci_;
  engine::port::TimerService::TimerId timer_;
  std::uint16_t pm1_status_ = 0, pm1_enable_ = 0, pm1_control_ = 0;
  VirtualTime last_sync_;
  std::uint8_t reset_control_ = 0;
  ResetPort reset_port_{*this};
};

}  // namespace hindsight::devices::timer
