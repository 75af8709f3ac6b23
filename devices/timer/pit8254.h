// The Intel 8254 programmable interval timer (datasheet 231164-005) and system control port B (61h), which
// holds channel 2's gate and shows its output and the refresh toggle. Owned by the board; the run loop's
// thread only. Deterministic: every count is a function of virtual time.
// The output of channel 0 is the interrupt line; channel 1 drives nothing; channel 2 is the speaker.
// Simplification: a count is loaded by the clock pulse during which it is written, not by the next one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::timer {

/// One counter. Times are ticks of the input clock since power-on.
class Pit8254Channel {
 public:
  void reset(bool gate);
  void write_control(std::uint8_t control, std::uint64_t tick);
  void write(std::uint8_t value, std::uint64_t tick);
  std::uint8_t read(std::uint64_t tick);
  void latch_count(std::uint64_t tick);
  void latch_status(std::uint64_t tick);
  void set_gate(bool gate, std::uint64_t tick);
  [[nodiscard]] bool gate() const { return gate_; }
  [[nodiscard]] bool output(std::uint64_t tick) const;
  /// The next tick after `tick` at which output() changes, if it ever does by itself.
  [[nodiscard]] std::optional<std::uint64_t> next_change(std::uint64_t tick) const;
  void save(traces::schema::Pit8254ChannelState::Builder out) const;
  void load(traces::schema::Pit8254ChannelState::Reader in);

 private:
  /// Clocks counted since the count took effect.
  [[nodiscard]] std::uint64_t elapsed(std::uint64_t tick) const;
  [[nodiscard]] bool counting() const;
  /// The counting element as it is read: 16 bits, in BCD if so programmed.
  [[nodiscard]] std::uint16_t current(std::uint64_t tick) const;
  void load_count(std::uint32_t raw, std::uint64_t tick);

  std::uint8_t mode_ = 0;
  bool bcd_ = false;
  std::uint8_t access_ = 3;
  std::uint32_t count_ = 0x10000;
  bool running_ = false;
  std::uint64_t start_tick_ = 0;
  std::uint64_t paused_at_ = 0;
  bool gate_ = true;
  bool null_count_ = false;
  std::uint8_t write_low_ = 0;
  bool write_high_next_ = false;
  bool read_high_next_ = false;
  bool count_latched_ = false;
  std::uint16_t latched_count_ = 0;
  bool status_latched_ = false;
  std::uint8_t latched_status_ = 0;
};

class Pit8254 final : public engine::port::IoHandler,
                      public engine::port::StatefulAs<traces::schema::Pit8254State> {
 public:
  static constexpr std::uint64_t kHertz = 1'193'182;

  /// `output0` is told the level of channel 0's OUT whenever it changes.
  Pit8254(const engine::port::Clock& clock, engine::port::TimerService& timers,
          std::function<void(bool)> output0);
  /// Maps ports 40h-43h and 61h.
  void map(engine::port::IoBus& bus);
  void reset();

  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;
  [[nodiscard]] engine::port::IoHandler& port_b() { return port_b_handler_; }

  [[nodiscard]] std::string_view state_name() const override { return "pit"; }
  void save(traces::schema::Pit8254State::Builder out) const override;
  void load(traces::schema::Pit8254State::Reader in) override;

 private:
  class PortB final : public engine::port::IoHandler {
   public:
    explicit PortB(Pit8254& pit) : pit_(pit) {}
    std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
    [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

   private:
    Pit8254& pit_;
  };
  using Channels = std::array<Pit8254Channel, 3>;

  [[nodiscard]] std::uint64_t tick() const;
  void write_control(std::uint8_t value);
  /// Drives the line and arms the timer for the next change of it.
  void update();

  const engine::port::Clock& clock_;
  engine::port::TimerService& timers_;
  std::function<void(bool)> output0_;
  engine::port::TimerService::TimerId timer_;
  Channels channels_;
  std::uint8_t port_b_ = 0;
  PortB port_b_handler_{*this};
};

}  // namespace hindsight::devices::timer
