#include "devices/serial/uart16550.h"

#include <algorithm>
#include <array>
#include <vector>

#include "devices/core/access.h"
#include "engine/base/log.h"

namespace hindsight::devices::serial {

namespace {

constexpr std::uint8_t kErbfi = 0x01, kEtbei = 0x02, kElsi = 0x04, kEdssi = 0x08;
constexpr std::uint8_t kIirNone = 0x01, kIirModem = 0x00, kIirThre = 0x02, kIirData = 0x04, kIirLine = 0x06;
constexpr std::uint8_t kIirTimeout = 0x0C, kIirFifos = 0xC0;
constexpr std::uint8_t kFcrEnable = 0x01, kFcrClearReceiver = 0x02, kFcrKept = 0xC9;
constexpr std::uint8_t kLcrDlab = 0x80;
constexpr std::uint8_t kMcrOut2 = 0x08, kMcrLoop = 0x10;
constexpr std::uint8_t kLsrData = 0x01, kLsrOverrun = 0x02, kLsrErrors = 0x1E, kLsrEmpty = 0x60;
constexpr std::uint8_t kLsrFifoError = 0x80;
constexpr std::uint8_t kMsrTeri = 0x04;
constexpr std::uint8_t kMsrTerminal = 0xB0;  // DCD, DSR, CTS

}  // namespace

Uart16550::Uart16550(std::string name, engine::port::Channel channel, const engine::port::Clock& clock,
                     engine::port::TimerService& timers, engine::port::HostPort& host,
                     std::function<void(bool)> irq)
    : name_(std::move(name)),
      channel_(channel),
      clock_(clock),
      timers_(timers),
      host_(host),
      irq_(std::move(irq)),
      timer_(timers.create(name_, [this] {
        timeout_deadline_ = VirtualTime();
        timeout_pending_ = !receive_.empty();
        update();
      })) {
  reset();
}

void Uart16550::reset() {
  ier_ = fcr_ = lcr_ = mcr_ = lsr_errors_ = msr_deltas_ = scr_ = 0;
  divisor_ = 12;  // 9600 baud; undefined by the datasheet
  thr_empty_pending_ = false;
  receive_.clear();
  backlog_.clear();
  restart_timeout();
  update();
}

bool Uart16550::dlab() const { return (lcr_ & kLcrDlab) != 0; }
bool Uart16550::loopback() const { return (mcr_ & kMcrLoop) != 0; }
bool Uart16550::fifo_enabled() const { return (fcr_ & kFcrEnable) != 0; }

std::size_t Uart16550::trigger_level() const {
  constexpr std::array<std::size_t, 4> kLevels{1, 4, 8, 14};
  return fifo_enabled() ? kLevels[fcr_ >> 6] : 1;
}

std::uint8_t Uart16550::lsr() const {
  const bool fifo_error = fifo_enabled() && (lsr_errors_ & kLsrErrors & ~kLsrOverrun) != 0;
  return static_cast<std::uint8_t>(kLsrEmpty | (receive_.empty() ? 0 : kLsrData) | lsr_errors_ |
                                   (fifo_error ? kLsrFifoError : 0));
}

std::uint8_t Uart16550::msr_lines() const {
  if (!loopback()) return kMsrTerminal;
  // RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD (datasheet, MCR bit 4).
  return static_cast<std::uint8_t>(((mcr_ & 0x02) << 3) | ((mcr_ & 0x01) << 5) | ((mcr_ & 0x04) << 4) |
                                   ((mcr_ & 0x08) << 4));
}

std::uint8_t Uart16550::interrupt_id() const {
  if ((ier_ & kElsi) != 0 && lsr_errors_ != 0) return kIirLine;
  if ((ier_ & kErbfi) != 0 && receive_.size() >= trigger_level()) return kIirData;
  if ((ier_ & kErbfi) != 0 && timeout_pending_) return kIirTimeout;
  if ((ier_ & kEtbei) != 0 && thr_empty_pending_) return kIirThre;
  if ((ier_ & kEdssi) != 0 && msr_deltas_ != 0) return kIirModem;
  return kIirNone;
}

void Uart16550::update() {
  // On a PC the OUT2 pin enables the line, and loopback forces that pin inactive (datasheet, MCR bit 4).
  irq_(interrupt_id() != kIirNone && (mcr_ & kMcrOut2) != 0 && !loopback());
}

void Uart16550::restart_timeout() {
  timeout_pending_ = false;
  if (receive_.empty() || !fifo_enabled()) {
    timeout_deadline_ = VirtualTime();
    timers_.cancel(timer_);
    return;
  }
  // Four characters of start, data, parity and stop bits at 16 clocks a bit.
  const std::uint64_t bits = 1 + 5 + (lcr_ & 3) + ((lcr_ >> 3) & 1) + 1 + ((lcr_ >> 2) & 1);
  const std::uint64_t clocks = 4 * bits * 16 * std::max<std::uint64_t>(divisor_, 1);
  timeout_deadline_ = clock_.now() + std::max<std::uint64_t>(clocks * 1'000'000'000 / kCrystalHertz, 1);
  timers_.arm(timer_, timeout_deadline_);
}

void Uart16550::refill() {
  if (loopback()) return;  // the line is disconnected
  bool moved = false;
  for (; receive_.size() < capacity() && !backlog_.empty(); moved = true) {
    receive_.push_back(backlog_.front());
    backlog_.pop_front();
  }
  if (moved) restart_timeout();
}

void Uart16550::input(std::span<const std::byte> payload) {
  for (const std::byte byte : payload) {
    if (backlog_.size() >= kBacklogLimit) {
      log::warn("serial", "{}: more than {} bytes wait for the guest: input lost", name_, kBacklogLimit);
      lsr_errors_ |= kLsrOverrun;
      break;
    }
    backlog_.push_back(std::to_integer<std::uint8_t>(byte));
  }
  refill();
  update();
}

std::uint8_t Uart16550::peek_byte(std::uint64_t offset) const {
  switch (offset) {
    case 0:
      if (dlab()) return static_cast<std::uint8_t>(divisor_);
      return receive_.empty() ? std::uint8_t{0} : receive_.front();
    case 1:
      return dlab() ? static_cast<std::uint8_t>(divisor_ >> 8) : ier_;
    case 2:
      return static_cast<std::uint8_t>(interrupt_id() | (fifo_enabled() ? kIirFifos : 0));
    case 3:
      return lcr_;
    case 4:
      return mcr_;
    case 5:
      return lsr();
    case 6:
      return static_cast<std::uint8_t>(msr_lines() | msr_deltas_);
    default:
      return scr_;
  }
}

void Uart16550::after_read(std::uint64_t offset) {
  switch (offset) {
    case 0:
      if (dlab() || receive_.empty()) break;
      receive_.pop_front();
      restart_timeout();
      refill();
      break;
    case 2:
      // Reading IIR clears the THRE interrupt if it is the one shown (datasheet, table IV).
      if (interrupt_id() == kIirThre) thr_empty_pending_ = false;
      break;
    case 5:
      lsr_errors_ = 0;
      break;
    case 6:
      msr_deltas_ = 0;
      break;
    default:
      break;
  }
}

void Uart16550::write_byte(std::uint64_t offset, std::uint8_t value) {
  switch (offset) {
    case 0:
      if (dlab()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0xFF00) | value);
      } else {
        transmit(value);
      }
      break;
    case 1:
      if (dlab()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00FF) | (value << 8));
        break;
      }
      // Enabling the THRE interrupt while THR is empty raises it.
      if ((value & ~ier_ & kEtbei) != 0) thr_empty_pending_ = true;
      ier_ = value & 0x0F;
      break;
    case 2:
      write_fcr(value);
      break;
    case 3:
      lcr_ = value;
      break;
    case 4:
      write_mcr(value);
      break;
    case 7:
      scr_ = value;
      break;
    default:
      break;  // LSR and MSR: factory test only
  }
}

void Uart16550::write_fcr(std::uint8_t value) {
  // Changing the enable bit clears the FIFOs (datasheet, FCR bit 0).
  const bool toggled = ((value ^ fcr_) & kFcrEnable) != 0;
  // Other bits are not programmed unless the enable bit is 1.
  fcr_ = (value & kFcrEnable) != 0 ? value & kFcrKept : 0;
  if (toggled || (fcr_ != 0 && (value & kFcrClearReceiver) != 0)) receive_.clear();
  restart_timeout();
  refill();
}

void Uart16550::write_mcr(std::uint8_t value) {
  const std::uint8_t before = msr_lines();
  mcr_ = value & 0x1F;
  const std::uint8_t changed = before ^ msr_lines();
  msr_deltas_ |= static_cast<std::uint8_t>((changed >> 4) & ~kMsrTeri);
  if ((before & 0x40) != 0 && (changed & 0x40) != 0) msr_deltas_ |= kMsrTeri;  // trailing edge only
  refill();
}

void Uart16550::transmit(std::uint8_t value) {
  thr_empty_pending_ = true;
  if (loopback()) return receive_looped(value);
  const std::byte byte{value};
  host_.output(channel_, {&byte, 1});
}

void Uart16550::receive_looped(std::uint8_t value) {
  if (receive_.size() < capacity()) {
    receive_.push_back(value);
  } else {
    lsr_errors_ |= kLsrOverrun;
    // Without FIFOs the new character replaces the one in RBR.
    if (!fifo_enabled()) receive_.back() = value;
  }
  restart_timeout();
}

std::uint64_t Uart16550::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t value = peek(offset, size);
  for (unsigned lane = 0; lane < size; ++lane) after_read(offset + lane);
  update();
  return value;
}

std::uint64_t Uart16550::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, kPortCount, [this](std::uint64_t at) { return peek_byte(at); });
}

void Uart16550::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, kPortCount, value,
                    [this](std::uint64_t at, std::uint8_t byte) { write_byte(at, byte); });
  update();
}

void Uart16550::save(traces::schema::Uart16550State::Builder out) const {
  out.setIer(ier_);
  out.setFcr(fcr_);
  out.setLcr(lcr_);
  out.setMcr(mcr_);
  out.setLsrErrors(lsr_errors_);
  out.setMsrDeltas(msr_deltas_);
  out.setScr(scr_);
  out.setDivisor(divisor_);
  out.setThrEmptyPending(thr_empty_pending_);
  out.setTimeoutPending(timeout_pending_);
  out.setTimeoutDeadline(timeout_deadline_.value);
  const auto put = [](capnp::Data::Builder data, const std::deque<std::uint8_t>& bytes) {
    std::copy(bytes.begin(), bytes.end(), data.begin());
  };
  put(out.initReceive(static_cast<unsigned>(receive_.size())), receive_);
  put(out.initBacklog(static_cast<unsigned>(backlog_.size())), backlog_);
}

void Uart16550::load(traces::schema::Uart16550State::Reader in) {
  ier_ = in.getIer() & 0x0F;
  fcr_ = (in.getFcr() & kFcrEnable) != 0 ? in.getFcr() & kFcrKept : 0;
  lcr_ = in.getLcr();
  mcr_ = in.getMcr() & 0x1F;
  lsr_errors_ = in.getLsrErrors() & kLsrErrors;
  msr_deltas_ = in.getMsrDeltas() & 0x0F;
  scr_ = in.getScr();
  divisor_ = in.getDivisor();
  thr_empty_pending_ = in.getThrEmptyPending();
  timeout_pending_ = in.getTimeoutPending();
  timeout_deadline_ = VirtualTime(in.getTimeoutDeadline());
  const auto take = [](std::deque<std::uint8_t>& bytes, capnp::Data::Reader data, std::size_t most) {
    bytes.assign(data.begin(), data.begin() + std::min(data.size(), most));
  };
  take(receive_, in.getReceive(), capacity());
  take(backlog_, in.getBacklog(), kBacklogLimit);
  if (timeout_deadline_ == VirtualTime()) {
    timers_.cancel(timer_);
  } else {
    timers_.arm(timer_, timeout_deadline_);
  }
  update();
}

}  // namespace hindsight::devices::serial
