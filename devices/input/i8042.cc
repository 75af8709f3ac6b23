#include "devices/input/i8042.h"

#include <algorithm>

namespace hindsight::devices::input {

namespace {

// Status register.
constexpr std::uint8_t kOutputFull = 0x01, kSystemFlag = 0x04, kCommand = 0x08, kNotInhibited = 0x10;
constexpr std::uint8_t kAuxOutputFull = 0x20, kTimeout = 0x40;
// Controller command byte.
constexpr std::uint8_t kKeyboardInterrupt = 0x01, kByteSystemFlag = 0x04;
constexpr std::uint8_t kDisableKeyboard = 0x10, kDisableAux = 0x20;
// Output port: bit 0 low resets the processor, bit 1 is the A20 gate (always open here).
constexpr std::uint8_t kNoReset = 0x01, kA20 = 0x02;

}  // namespace

I8042::I8042(engine::port::PowerControl& power, std::function<void(bool)> keyboard_irq)
    : power_(power), keyboard_irq_(std::move(keyboard_irq)) {
  reset();
}

void I8042::map(engine::port::IoBus& bus) {
  bus.map_ports("i8042_data", 0x60, 1, *this);
  bus.map_ports("i8042_command", 0x64, 1, command_port_);
}

void I8042::reset() {
  output_ = 0;
  output_full_ = output_from_aux_ = timeout_ = last_was_command_ = false;
  pending_command_ = 0;
  output_port_ = kNoReset | kA20;
  ram_ = {};
  ram_[0] = kByteSystemFlag | kDisableKeyboard | kDisableAux;
  update();
}

std::uint8_t I8042::status() const {
  return static_cast<std::uint8_t>(
      (output_full_ ? kOutputFull : 0) | (ram_[0] & kSystemFlag) | (last_was_command_ ? kCommand : 0) |
      kNotInhibited | (output_full_ && output_from_aux_ ? kAuxOutputFull : 0) | (timeout_ ? kTimeout : 0));
}

void I8042::respond(std::uint8_t value, bool from_aux, bool timeout) {
  output_ = value;
  output_full_ = true;
  output_from_aux_ = from_aux;
  timeout_ = timeout;
}

void I8042::update() {
  keyboard_irq_(output_full_ && !output_from_aux_ && (ram_[0] & kKeyboardInterrupt) != 0);
}

void I8042::write_output_port(std::uint8_t value) {
  output_port_ = static_cast<std::uint8_t>(value | kA20);
  if ((value & kNoReset) == 0) power_.request(engine::port::PowerEvent::reset);
}

void I8042::write_command(std::uint8_t command) {
  last_was_command_ = true;
  pending_command_ = 0;
  if (command < 0x40) {
    respond(ram_[command & 0x1F]);
  } else if (command < 0x80) {
    pending_command_ = command;
  } else if (command >= 0xF0) {
    // Pulse the output port's low bits that are 0; only bit 0 is wired.
    if ((command & 1) == 0) power_.request(engine::port::PowerEvent::reset);
  } else {
    switch (command) {
      case 0xA7:
        ram_[0] |= kDisableAux;
        break;
      case 0xA8:
        ram_[0] = static_cast<std::uint8_t>(ram_[0] & ~kDisableAux);
        break;
      case 0xA9:
        respond(0x01);
        break;  // auxiliary interface test: clock line stuck low, nothing attached
      case 0xAA:
        ram_[0] |= kByteSystemFlag;
        respond(0x55);
        break;
      case 0xAB:
        respond(0x00);
        break;  // keyboard interface test: no error
      case 0xAD:
        ram_[0] |= kDisableKeyboard;
        break;
      case 0xAE:
        ram_[0] = static_cast<std::uint8_t>(ram_[0] & ~kDisableKeyboard);
        break;
      case 0xC0:
        respond(0x80);
        break;  // input port: keyboard not locked
      case 0xD0:
        respond(output_port_);
        break;
      case 0xD1:
      case 0xD2:
      case 0xD3:
      case 0xD4:
        pending_command_ = command;
        break;
      default:
        break;
    }
  }
}

void I8042::write_data(std::uint8_t value) {
  last_was_command_ = false;
  const std::uint8_t command = pending_command_;
  pending_command_ = 0;
  if (command >= 0x60 && command < 0x80) {
    ram_[command & 0x1F] = value;
    return;
  }
  switch (command) {
    case 0xD1:
      write_output_port(value);
      break;
    case 0xD2:
      respond(value);
      break;
    case 0xD3:
      respond(value, true);
      break;
    case 0xD4:
      respond(0xFE, true, true);
      break;  // nobody there: "resend" with the timeout bit
    default:
      respond(0xFE, false, true);
      break;
  }
}

std::uint64_t I8042::peek(std::uint64_t offset, unsigned size) const {
  const std::uint64_t others = (~std::uint64_t{0} >> (64 - 8 * size)) & ~std::uint64_t{0xFF};
  if (offset == 0) return others | output_;
  return offset == 4 ? others | status() : others | 0xFF;
}

std::uint64_t I8042::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t value = peek(offset, size);
  if (offset == 0) {
    output_full_ = false;
    timeout_ = false;
    update();
  }
  return value;
}

void I8042::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  (void)size;  // the port beside each is not decoded
  if (offset == 0) write_data(static_cast<std::uint8_t>(value));
  if (offset == 4) write_command(static_cast<std::uint8_t>(value));
  update();
}

void I8042::save(traces::schema::I8042State::Builder out) const {
  out.setCommand(ram_[0]);
  out.setOutput(output_);
  out.setOutputFull(output_full_);
  out.setOutputFromAux(output_from_aux_);
  out.setTimeout(timeout_);
  out.setLastWasCommand(last_was_command_);
  out.setPendingCommand(pending_command_);
  out.setOutputPort(output_port_);
  out.setRam(capnp::Data::Reader(ram_.data(), ram_.size()));
}

void I8042::load(traces::schema::I8042State::Reader in) {
  output_ = in.getOutput();
  output_full_ = in.getOutputFull();
  output_from_aux_ = in.getOutputFromAux();
  timeout_ = in.getTimeout();
  last_was_command_ = in.getLastWasCommand();
  pending_command_ = in.getPendingCommand();
  output_port_ = static_cast<std::uint8_t>(in.getOutputPort() | kA20);
  ram_ = {};
  const auto data = in.getRam();
  std::copy_n(data.begin(), std::min<std::size_t>(data.size(), ram_.size()), ram_.begin());
  ram_[0] = in.getCommand();
  update();
}

}  // namespace hindsight::devices::input
