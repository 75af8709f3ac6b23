#include "devices/timer/pit8254.h"

#include "devices/core/access.h"
#include "devices/core/ticks.h"

namespace hindsight::devices::timer {

namespace {

constexpr std::uint64_t kRefreshPeriodNs = 15'085;  // the refresh request of the AT, every 15 microseconds

std::uint32_t from_bcd(std::uint32_t raw) {
  std::uint32_t value = 0;
  for (int digit = 3; digit >= 0; --digit) value = value * 10 + ((raw >> (4 * digit)) & 0xF);
  return value;
}

std::uint16_t to_bcd(std::uint32_t value) {
  std::uint32_t raw = 0;
  for (unsigned digit = 0; digit < 4; ++digit, value /= 10) raw |= (value % 10) << (4 * digit);
  return static_cast<std::uint16_t>(raw);
}

}  // namespace

void Pit8254Channel::reset(bool gate) {
  *this = Pit8254Channel();
  gate_ = gate;
}

bool Pit8254Channel::counting() const { return running_ && (gate_ || mode_ == 1 || mode_ == 5); }

std::uint64_t Pit8254Channel::elapsed(std::uint64_t tick) const {
  if (!counting()) return paused_at_;
  return tick < start_tick_ ? 0 : tick - start_tick_;
}

void Pit8254Channel::write_control(std::uint8_t control, std::uint64_t tick) {
  const std::uint8_t access = (control >> 4) & 3;
  if (access == 0) return latch_count(tick);
  access_ = access;
  const std::uint8_t mode = (control >> 1) & 7;
  mode_ = mode >= 6 ? static_cast<std::uint8_t>(mode - 4) : mode;  // 6 and 7 are 2 and 3
  bcd_ = (control & 1) != 0;
  count_ = bcd_ ? 10'000 : 0x10000;  // undefined until the new count is written
  running_ = false;
  paused_at_ = 0;
  null_count_ = true;
  write_high_next_ = false;
  read_high_next_ = false;
  count_latched_ = false;
  status_latched_ = false;
}

void Pit8254Channel::write(std::uint8_t value, std::uint64_t tick) {
  switch (access_) {
    case 1:
      return load_count(value, tick);
    case 2:
      return load_count(static_cast<std::uint32_t>(value) << 8, tick);
    default:
      break;
  }
  if (write_high_next_) {
    write_high_next_ = false;
    return load_count(write_low_ | (static_cast<std::uint32_t>(value) << 8), tick);
  }
  write_low_ = value;
  write_high_next_ = true;
  // Mode 0: writing the first byte stops the count (datasheet, "Mode 0").
  if (mode_ == 0) {
    paused_at_ = 0;
    running_ = false;
  }
}

void Pit8254Channel::load_count(std::uint32_t raw, std::uint64_t tick) {
  std::uint32_t count = bcd_ ? from_bcd(raw) : raw;
  if (count == 0) count = bcd_ ? 10'000 : 0x10000;
  if ((mode_ == 2 || mode_ == 3) && count == 1) count = 2;  // 1 is illegal there
  if ((mode_ == 2 || mode_ == 3) && running_) {
    // The new count takes effect after the present period; the phase is carried over so that this is exact
    // for a reload of the same count, the only case in which a driver could tell.
    const std::uint64_t phase = elapsed(tick) % count_;
    const std::uint64_t carried = phase < count ? phase : 0;
    paused_at_ = carried;
    start_tick_ = tick - carried;
    count_ = count;
    null_count_ = false;
    return;
  }
  count_ = count;
  if (mode_ == 1 || mode_ == 5) {
    null_count_ = true;  // waits for the gate's next rising edge; a shot under way goes on
    return;
  }
  null_count_ = false;
  running_ = true;
  paused_at_ = 0;
  start_tick_ = tick;
}

void Pit8254Channel::set_gate(bool gate, std::uint64_t tick) {
  if (gate == gate_) return;
  const std::uint64_t done = elapsed(tick);
  gate_ = gate;
  if (mode_ == 1 || mode_ == 5) {
    if (!gate) return;
    running_ = true;
    null_count_ = false;
    start_tick_ = tick;
  } else if (!gate) {
    paused_at_ = done;
  } else {
    // Modes 2 and 3 start afresh at the trigger, modes 0 and 4 go on where they were.
    if (mode_ == 2 || mode_ == 3) paused_at_ = 0;
    start_tick_ = tick - paused_at_;
  }
}

std::uint16_t Pit8254Channel::current(std::uint64_t tick) const {
  const std::uint64_t done = elapsed(tick);
  std::uint64_t value = count_;
  if (running_ && mode_ == 2) {
    value = count_ - done % count_;
  } else if (running_ && mode_ == 3) {
    // Counts down by two, twice a period.
    const std::uint64_t high = (std::uint64_t{count_} + 1) / 2;
    const std::uint64_t phase = done % count_;
    value = (count_ & ~1U) - 2 * (phase < high ? phase : phase - high);
  } else if (running_) {
    // After zero the counter wraps and goes on.
    const std::uint64_t wrap = bcd_ ? 10'000 : 0x10000;
    value = (std::uint64_t{count_} + wrap - done % wrap) % wrap;
  }
  return bcd_ ? to_bcd(static_cast<std::uint32_t>(value % 10'000)) : static_cast<std::uint16_t>(value);
}

bool Pit8254Channel::output(std::uint64_t tick) const {
  const std::uint64_t done = elapsed(tick);
  switch (mode_) {
    case 0:
      return running_ && done >= count_;
    case 1:
      return !running_ || done >= count_;
    case 2:
      return !running_ || !gate_ || done % count_ != count_ - 1;
    case 3:
      return !running_ || !gate_ || done % count_ < (std::uint64_t{count_} + 1) / 2;
    default:
      return !running_ || done != count_;
  }
}

std::optional<std::uint64_t> Pit8254Channel::next_change(std::uint64_t tick) const {
  if (!counting()) return std::nullopt;
  const std::uint64_t done = elapsed(tick);
  const std::uint64_t base = tick - done;
  const std::uint64_t period_start = base + done - done % count_;
  switch (mode_) {
    case 0:
    case 1:
      return done < count_ ? std::optional(base + count_) : std::nullopt;
    case 2: {
      const std::uint64_t low_at = count_ - 1;
      return period_start + (done % count_ < low_at ? low_at : count_);
    }
    case 3: {
      const std::uint64_t high = (std::uint64_t{count_} + 1) / 2;
      return period_start + (done % count_ < high ? high : count_);
    }
    default:
      if (done < count_) return base + count_;
      return done == count_ ? std::optional(base + count_ + 1) : std::nullopt;
  }
}

void Pit8254Channel::latch_count(std::uint64_t tick) {
  if (count_latched_) return;  // a second latch before the read is ignored
  count_latched_ = true;
  latched_count_ = current(tick);
}

void Pit8254Channel::latch_status(std::uint64_t tick) {
  if (status_latched_) return;
  status_latched_ = true;
  latched_status_ = static_cast<std::uint8_t>((output(tick) ? 0x80 : 0) | (null_count_ ? 0x40 : 0) |
                                              (access_ << 4) | (mode_ << 1) | (bcd_ ? 1 : 0));
}

std::uint8_t Pit8254Channel::read(std::uint64_t tick) {
  if (status_latched_) {
    status_latched_ = false;
    return latched_status_;
  }
  const std::uint16_t value = count_latched_ ? latched_count_ : current(tick);
  const bool high = access_ == 2 || (access_ == 3 && read_high_next_);
  if (access_ == 3) read_high_next_ = !read_high_next_;
  if (access_ != 3 || high) count_latched_ = false;
  return static_cast<std::uint8_t>(high ? value >> 8 : value);
}

void Pit8254Channel::save(traces::schema::Pit8254ChannelState::Builder out) const {
  out.setMode(mode_);
  out.setBcd(bcd_);
  out.setAccess(access_);
  out.setCount(count_);
  out.setRunning(running_);
  out.setStartTick(start_tick_);
  out.setPausedAt(paused_at_);
  out.setGate(gate_);
  out.setNullCount(null_count_);
  out.setWriteLow(write_low_);
  out.setWriteHighNext(write_high_next_);
  out.setReadHighNext(read_high_next_);
  out.setCountLatched(count_latched_);
  out.setLatchedCount(latched_count_);
  out.setStatusLatched(status_latched_);
  out.setLatchedStatus(latched_status_);
}

void Pit8254Channel::load(traces::schema::Pit8254ChannelState::Reader in) {
  mode_ = in.getMode() <= 5 ? in.getMode() : std::uint8_t{0};
  bcd_ = in.getBcd();
  access_ = (in.getAccess() & 3) == 0 ? std::uint8_t{3} : static_cast<std::uint8_t>(in.getAccess() & 3);
  const std::uint32_t most = bcd_ ? 16'665 : 0x10000;  // four digits up to Fh each
  const std::uint32_t least = mode_ == 2 || mode_ == 3 ? 2 : 1;
  count_ = in.getCount() < least || in.getCount() > most ? most : in.getCount();
  running_ = in.getRunning();
  start_tick_ = in.getStartTick();
  paused_at_ = in.getPausedAt();
  gate_ = in.getGate();
  null_count_ = in.getNullCount();
  write_low_ = in.getWriteLow();
  write_high_next_ = in.getWriteHighNext();
  read_high_next_ = in.getReadHighNext();
  count_latched_ = in.getCountLatched();
  latched_count_ = in.getLatchedCount();
  status_latched_ = in.getStatusLatched();
  latched_status_ = in.getLatchedStatus();
}

Pit8254::Pit8254(const engine::port::Clock& clock, engine::port::TimerService& timers,
                 std::function<void(bool)> output0)
    : clock_(clock),
      timers_(timers),
      output0_(std::move(output0)),
      timer_(timers.create("pit", [this] { update(); })) {
  reset();
}

void Pit8254::map(engine::port::IoBus& bus) {
  bus.map_ports("pit", 0x40, 4, *this);
  bus.map_ports("system_control_b", 0x61, 1, port_b_handler_);
}

void Pit8254::reset() {
  channels_[0].reset(true);
  channels_[1].reset(true);
  channels_[2].reset(false);
  port_b_ = 0;
  update();
}

std::uint64_t Pit8254::tick() const { return core::ticks_at(clock_.now(), kHertz); }

void Pit8254::update() {
  const std::uint64_t now = tick();
  output0_(channels_[0].output(now));
  const auto change = channels_[0].next_change(now);
  const VirtualTime deadline = change ? core::time_of_tick(*change, kHertz) : VirtualTime::max();
  if (deadline == VirtualTime::max()) {
    timers_.cancel(timer_);
  } else {
    timers_.arm(timer_, deadline);
  }
}

void Pit8254::write_control(std::uint8_t value) {
  const std::uint64_t now = tick();
  if ((value >> 6) != 3) return channels_[value >> 6].write_control(value, now);
  // Read-back (datasheet, "Read-Back Command"): bits 1 to 3 choose channels, bits 4 and 5 are inverted.
  for (unsigned i = 0; i < 3; ++i) {
    if ((value & (2U << i)) == 0) continue;
    if ((value & 0x20) == 0) channels_[i].latch_count(now);
    if ((value & 0x10) == 0) channels_[i].latch_status(now);
  }
}

std::uint64_t Pit8254::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t now = tick();
  return core::read_lanes(offset, size, 3, [this, now](std::uint64_t at) { return channels_[at].read(now); });
}

std::uint64_t Pit8254::peek(std::uint64_t offset, unsigned size) const {
  Channels copy = channels_;
  const std::uint64_t now = tick();
  return core::read_lanes(offset, size, 3, [&copy, now](std::uint64_t at) { return copy[at].read(now); });
}

void Pit8254::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, 4, value, [this](std::uint64_t at, std::uint8_t byte) {
    if (at == 3) return write_control(byte);
    channels_[at].write(byte, tick());
  });
  update();
}

std::uint64_t Pit8254::PortB::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, 1, [this](std::uint64_t) {
    const bool refresh = ((pit_.clock_.now().value / kRefreshPeriodNs) & 1) != 0;
    const bool out2 = pit_.channels_[2].output(pit_.tick());
    return pit_.port_b_ | (refresh ? 0x10 : 0) | (out2 ? 0x20 : 0);
  });
}

void Pit8254::PortB::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, 1, value, [this](std::uint64_t, std::uint8_t byte) {
    pit_.port_b_ = byte & 0x0F;
    pit_.channels_[2].set_gate((byte & 1) != 0, pit_.tick());
  });
}

void Pit8254::save(traces::schema::Pit8254State::Builder out) const {
  auto list = out.initChannels(3);
  for (unsigned i = 0; i < 3; ++i) channels_[i].save(list[i]);
  out.setPortB(port_b_);
}

void Pit8254::load(traces::schema::Pit8254State::Reader in) {
  const auto list = in.getChannels();
  for (unsigned i = 0; i < 3; ++i) {
    if (i < list.size()) {
      channels_[i].load(list[i]);
    } else {
      channels_[i].reset(i != 2);
    }
  }
  port_b_ = in.getPortB() & 0x0F;
  update();
}

}  // namespace hindsight::devices::timer
