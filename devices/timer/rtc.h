// The real-time clock and CMOS memory: Motorola MC146818A with 128 bytes, ports 70h and 71h. Owned by the
// board; the run loop's thread only. Deterministic: the host's clock is asked once, at power-on, through
// HostPort; from there on the time of day follows virtual time.
// The clock keeps whole seconds of the proleptic Gregorian calendar, without daylight saving. Century in 32h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "engine/port/io.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::timer {

class Rtc final : public engine::port::IoHandler, public engine::port::StatefulAs<traces::schema::RtcState> {
 public:
  static constexpr std::uint16_t kPortBase = 0x70;
  static constexpr std::uint16_t kPortCount = 2;
  static constexpr std::uint8_t kCentury = 0x32;

  /// `irq` is told the level of IRQ whenever it may have changed.
  Rtc(const engine::port::Clock& clock, engine::port::TimerService& timers, std::function<void(bool)> irq);
  /// Sets the clock from Channel::wall_clock. Once, before the machine first runs.
  void power_on(engine::port::HostPort& host);
  /// RESET clears interrupt enables and flags; the clock and the memory go on (datasheet, "RESET").
  void reset();
  /// What firmware would leave in the memory. Not for the clock's own bytes (00h-0Dh, 32h).
  void set_nvram(std::uint8_t index, std::uint8_t value) { nvram_[index & 0x7F] = value; }

  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  [[nodiscard]] std::string_view state_name() const override { return "rtc"; }
  void save(traces::schema::RtcState::Builder out) const override;
  void load(traces::schema::RtcState::Reader in) override;

 private:
  using Nvram = std::array<std::uint8_t, 128>;

  /// Nanoseconds since 1970 that the clock shows at virtual time `at`.
  [[nodiscard]] std::int64_t wall(VirtualTime at) const;
  [[nodiscard]] std::uint8_t value_of(std::uint8_t index) const;
  void write_register(std::uint8_t index, std::uint8_t value);
  /// The time bytes as the present mode encodes `seconds` since 1970.
  void encode_time(std::int64_t seconds, Nvram& out) const;
  /// Seconds since 1970 that the time bytes say; fields out of range are brought into it.
  [[nodiscard]] std::int64_t decode_time(const Nvram& in) const;
  [[nodiscard]] unsigned decode(std::uint8_t raw) const;
  [[nodiscard]] std::uint8_t encode(unsigned value) const;
  [[nodiscard]] unsigned decode_hours(std::uint8_t raw) const;
  [[nodiscard]] bool halted() const;
  /// Register C as it is now, without IRQF.
  [[nodiscard]] std::uint8_t flags_now() const;
  /// The first second after `after` (seconds since 1970) at which the alarm matches.
  [[nodiscard]] std::optional<std::int64_t> next_alarm(std::int64_t after) const;
  /// Gathers the flags up to now; before anything that they depend on changes.
  void sync();
  void update();

  const engine::port::Clock& clock_;
  engine::port::TimerService& timers_;
  std::function<void(bool)> irq_;
  engine::port::TimerService::TimerId timer_;
  std::uint8_t index_ = 0;
  Nvram nvram_{};
  std::int64_t epoch_offset_ = 0;
  std::uint8_t flags_ = 0;
  VirtualTime last_sync_;
};

}  // namespace hindsight::devices::timer
