// The 16550A UART: National Semiconductor PC16550D datasheet (TL/C/8652). Owned by the board; the run loop's
// thread only. Deterministic: bytes arrive through InputHandler and leave through HostPort, the character
// timeout is counted in virtual time.
//
// Transmission takes no time: a byte written to THR leaves at once, LSR always shows THRE and TEMT, and the
// THRE interrupt is raised again by every write. A driver that fills the FIFO on each THRE interrupt drains
// its buffer without a wait, and one that polls LSR never spins.
// The line is a null modem to a terminal that is always there (CTS, DSR and DCD on) and that honours flow
// control: bytes that find the receiver full wait in a backlog and follow as the guest reads, without loss up
// to kBacklogLimit.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "engine/port/io.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "engine/port/time.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::serial {

class Uart16550 final : public engine::port::IoHandler,
                        public engine::port::InputHandler,
                        public engine::port::StatefulAs<traces::schema::Uart16550State> {
 public:
  static constexpr std::uint16_t kPortCount = 8;
  static constexpr std::uint64_t kCrystalHertz = 1'843'200;
  static constexpr std::size_t kBacklogLimit = std::size_t{1} << 16;

  /// `irq` is told the level of the interrupt line (INTR gated by OUT2) whenever it may have changed.
  Uart16550(std::string name, engine::port::Channel channel, const engine::port::Clock& clock,
            engine::port::TimerService& timers, engine::port::HostPort& host, std::function<void(bool)> irq);
  void reset();

  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;
  /// Bytes arrive on the line. Beyond kBacklogLimit they are lost, with an overrun error.
  void input(std::span<const std::byte> payload) override;

  [[nodiscard]] std::string_view state_name() const override { return name_; }
  void save(traces::schema::Uart16550State::Builder out) const override;
  void load(traces::schema::Uart16550State::Reader in) override;

 private:
  [[nodiscard]] bool dlab() const;
  [[nodiscard]] bool loopback() const;
  [[nodiscard]] bool fifo_enabled() const;
  [[nodiscard]] std::size_t capacity() const { return fifo_enabled() ? 16 : 1; }
  /// Bytes in the FIFO that raise "received data available".
  [[nodiscard]] std::size_t trigger_level() const;
  [[nodiscard]] std::uint8_t lsr() const;
  [[nodiscard]] std::uint8_t msr_lines() const;
  /// IIR without the FIFO bits.
  [[nodiscard]] std::uint8_t interrupt_id() const;
  [[nodiscard]] std::uint8_t peek_byte(std::uint64_t offset) const;
  void after_read(std::uint64_t offset);
  void write_byte(std::uint64_t offset, std::uint8_t value);
  void write_fcr(std::uint8_t value);
  void write_mcr(std::uint8_t value);
  void transmit(std::uint8_t value);
  void receive_looped(std::uint8_t value);
  /// Moves bytes from the backlog into the receiver while there is room.
  void refill();
  /// Starts the character timeout afresh: four characters without a byte coming in or going out.
  void restart_timeout();
  void update();

  const std::string name_;
  const engine::port::Channel channel_;
  const engine::port::Clock& clock_;
  engine::port::TimerService& timers_;
  engine::port::HostPort& host_;
  std::function<void(bool)> irq_;
  engine::port::TimerService::TimerId timer_;

  std::uint8_t ier_ = 0, fcr_ = 0, lcr_ = 0, mcr_ = 0, lsr_errors_ = 0, msr_deltas_ = 0, scr_ = 0;
  std::uint16_t divisor_ = 0;
  bool thr_empty_pending_ = false;
  bool timeout_pending_ = false;
  VirtualTime timeout_deadline_;  // 0: not armed
  std::deque<std::uint8_t> receive_;
  std::deque<std::uint8_t> backlog_;
};

}  // namespace hindsight::devices::serial
