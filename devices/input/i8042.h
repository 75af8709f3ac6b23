// The keyboard controller (Intel 8042 as in the PC/AT Technical Reference, "Keyboard Controller"), ports 60h
// and 64h, with nothing attached: the controller's own commands work, what is sent to the keyboard or the
// auxiliary device times out. It resets the machine on command FEh. Owned by the board; the run loop's thread
// only; deterministic.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/port/interrupt.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::input {

class I8042 final : public engine::port::IoHandler,
                    public engine::port::StatefulAs<traces::schema::I8042State> {
 public:
  /// `keyboard_irq` is told the level of the keyboard's interrupt line whenever it may have changed.
  I8042(engine::port::PowerControl& power, std::function<void(bool)> keyboard_irq);
  /// Maps ports 60h and 64h.
  void map(engine::port::IoBus& bus);
  void reset();

  /// Offset 0 is the data port 60h, offset 4 the command and status port 64h.
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;
  [[nodiscard]] engine::port::IoHandler& command_port() { return command_port_; }

  [[nodiscard]] std::string_view state_name() const override { return "i8042"; }
  void save(traces::schema::I8042State::Builder out) const override;
  void load(traces::schema::I8042State::Reader in) override;

 private:
  class CommandPort final : public engine::port::IoHandler {
   public:
    explicit CommandPort(I8042& controller) : controller_(controller) {}
    std::uint64_t read(std::uint64_t offset, unsigned size) override {
      return controller_.read(offset + 4, size);
    }
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override {
      controller_.write(offset + 4, size, value);
    }
    [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override {
      return controller_.peek(offset + 4, size);
    }

   private:
    I8042& controller_;
  };

  [[nodiscard]] std::uint8_t status() const;
  void write_command(std::uint8_t command);
  void write_data(std::uint8_t value);
  void respond(std::uint8_t value, bool from_aux = false, bool timeout = false);
  void write_output_port(std::uint8_t value);
  void update();

  engine::port::PowerControl& power_;
  std::function<void(bool)> keyboard_irq_;
  std::uint8_t output_ = 0;
  bool output_full_ = false, output_from_aux_ = false, timeout_ = false, last_was_command_ = false;
  std::uint8_t pending_command_ = 0;
  std::uint8_t output_port_ = 0;
  std::array<std::uint8_t, 32> ram_{};  // byte 0 is the controller command byte
  CommandPort command_port_{*this};
};

}  // namespace hindsight::devices::input
