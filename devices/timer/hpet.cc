#include "devices/timer/hpet.h"

#include <fmt/format.h>

#include "devices/core/ticks.h"

namespace hindsight::devices::timer {

namespace {

constexpr std::uint64_t kFemtosecondsPerTick = Hpet::kNanosecondsPerTick * 1'000'000;
// Revision 1, three timers, 64 bits, legacy replacement, vendor 8086h.
constexpr std::uint64_t kCapabilities =
    (kFemtosecondsPerTick << 32) | (0x8086U << 16) | 0x8000 | 0x2000 | ((Hpet::kTimers - 1) << 8) | 1;

// Timer configuration and capability register (specification 2.3.8).
constexpr std::uint64_t kLevel = 1U << 1, kIntEnable = 1U << 2, kPeriodic = 1U << 3,
                        kPeriodicCapable = 1U << 4;
constexpr std::uint64_t kSizeCapable = 1U << 5, kValueSet = 1U << 6, k32Bit = 1U << 8, kRoute = 0x3E00;
constexpr std::uint64_t kWritable = kLevel | kIntEnable | kPeriodic | kValueSet | k32Bit | kRoute;
constexpr std::uint64_t kTimerCapabilities =
    kPeriodicCapable | kSizeCapable | (std::uint64_t{Hpet::kRoutes} << 32);

constexpr std::uint64_t kTimerBase = 0x100, kTimerStride = 0x20;

constexpr unsigned route(std::uint64_t configuration) { return (configuration >> 9) & 0x1F; }
constexpr bool routable(unsigned line) { return ((Hpet::kRoutes >> line) & 1) != 0; }

}  // namespace

Hpet::Hpet(const engine::port::Clock& clock, engine::port::TimerService& timers, HpetOutputs& outputs)
    : clock_(clock), timer_service_(timers), outputs_(outputs) {
  for (unsigned i = 0; i < kTimers; ++i) {
    timer_ids_[i] = timers.create(fmt::format("hpet{}", i), [this, i] { on_match(i); });
  }
  reset();
}

void Hpet::reset() {
  configuration_ = 0;
  interrupt_status_ = 0;
  main_counter_ = 0;
  start_time_ = VirtualTime();
  for (Timer& timer : timers_) timer = {.configuration = kTimerCapabilities, .comparator = ~std::uint64_t{0}};
  drive_all();
  schedule_all();
}

std::uint64_t Hpet::counter() const {
  if (!enabled()) return main_counter_;
  // In whole ticks of the machine's clock, so that reads at equal ticks agree whenever it was started.
  const std::uint64_t now = clock_.now().value / kNanosecondsPerTick;
  return main_counter_ + (now - start_time_.value / kNanosecondsPerTick);
}

std::uint64_t Hpet::comparator_at(const Timer& timer, std::uint64_t now) const {
  if ((timer.configuration & kPeriodic) == 0 || timer.period == 0 || !enabled()) return timer.comparator;
  const std::uint64_t mask = (timer.configuration & k32Bit) != 0 ? 0xFFFFFFFF : ~std::uint64_t{0};
  // Matches lie at comparator, comparator + period, ...; those at or before `now` are behind us. Distances
  // beyond half the range mean that the comparator is still ahead.
  const std::uint64_t behind = (now - timer.comparator) & mask;
  if (behind > mask / 2) return timer.comparator;
  return (timer.comparator + (behind / timer.period + 1) * timer.period) & mask;
}

std::uint64_t Hpet::until_match(const Timer& timer, std::uint64_t now) const {
  const std::uint64_t comparator = comparator_at(timer, now);
  if ((timer.configuration & k32Bit) != 0) {
    const std::uint64_t distance = (comparator - now) & 0xFFFFFFFF;
    return distance == 0 ? std::uint64_t{1} << 32 : distance;
  }
  return comparator - now;  // 0: a whole turn of 64 bits away
}

void Hpet::schedule(unsigned index) {
  const Timer& timer = timers_[index];
  timer_service_.cancel(timer_ids_[index]);
  // Timers that cannot interrupt leave no trace but the status bit of level-triggered ones, which software
  // sees only with interrupts enabled (2.3.6).
  if (!enabled() || (timer.configuration & kIntEnable) == 0) return;
  const std::uint64_t distance = until_match(timer, counter());
  if (distance == 0) return;
  const core::Wide tick = core::Wide{clock_.now().value / kNanosecondsPerTick} + distance;
  const VirtualTime deadline = core::time_of_tick(tick, core::kNanosecondsPerSecond / kNanosecondsPerTick);
  if (deadline != VirtualTime::max()) timer_service_.arm(timer_ids_[index], deadline);
}

void Hpet::schedule_all() {
  for (unsigned i = 0; i < kTimers; ++i) schedule(i);
}

void Hpet::catch_up() {
  const std::uint64_t now = counter();
  for (Timer& timer : timers_) timer.comparator = comparator_at(timer, now);
}

void Hpet::on_match(unsigned index) {
  Timer& timer = timers_[index];
  timer.comparator = comparator_at(timer, counter());
  if ((timer.configuration & kLevel) != 0) {
    interrupt_status_ |= std::uint64_t{1} << index;
    drive(index, true);
  } else {
    drive(index, true);  // an edge: up and down again
    drive(index, false);
  }
  schedule(index);
}

void Hpet::drive(unsigned index, bool level) {
  if (legacy() && index < 2) return outputs_.set_legacy(index, level);
  const unsigned line = route(timers_[index].configuration);
  if (routable(line)) outputs_.set_routed(line, level);
}

void Hpet::drive_all() {
  outputs_.set_legacy_replacement(legacy());
  std::uint32_t routed = 0;
  std::array<bool, 2> legacy_levels{};
  for (unsigned i = 0; i < kTimers; ++i) {
    const std::uint64_t configuration = timers_[i].configuration;
    const bool level = ((interrupt_status_ >> i) & 1) != 0 && (configuration & kIntEnable) != 0 &&
                       (configuration & kLevel) != 0;
    if (legacy() && i < 2) {
      legacy_levels[i] = level;
    } else if (level) {
      routed |= 1U << route(configuration);
    }
  }
  for (unsigned i = 0; i < 2; ++i) outputs_.set_legacy(i, legacy_levels[i]);
  for (unsigned line = 0; line < 32; ++line) {
    if (routable(line)) outputs_.set_routed(line, ((routed >> line) & 1) != 0);
  }
}

std::uint64_t Hpet::read_register(std::uint64_t offset) const {
  switch (offset) {
    case 0x00:
      return kCapabilities;
    case 0x10:
      return configuration_;
    case 0x20:
      return interrupt_status_;
    case 0xF0:
      return counter();
    default:
      break;
  }
  if (offset < kTimerBase || offset >= kTimerBase + kTimers * kTimerStride) return 0;
  const Timer& timer = timers_[(offset - kTimerBase) / kTimerStride];
  switch ((offset - kTimerBase) % kTimerStride) {
    case 0x00:
      return timer.configuration;
    case 0x08:
      return comparator_at(timer, counter());
    case 0x10:
      return timer.fsb_route;
    default:
      return 0;
  }
}

std::uint64_t Hpet::peek(std::uint64_t offset, unsigned size) const {
  std::uint64_t value = 0;
  for (unsigned lane = 0; lane < size;) {
    const unsigned shift = static_cast<unsigned>((offset + lane) & 7);
    value |= (read_register(offset + lane - shift) >> (8 * shift)) << (8 * lane);
    lane += 8 - shift;
  }
  return size == 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

void Hpet::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  // Aligned 32-bit or 64-bit accesses only (2.2); others are dropped.
  if (size < 4 || offset % size != 0) return;
  const unsigned shift = static_cast<unsigned>(offset & 7) * 8;
  const std::uint64_t written = (size == 8 ? ~std::uint64_t{0} : std::uint64_t{0xFFFFFFFF}) << shift;
  catch_up();
  write_register(offset & ~std::uint64_t{7}, value << shift, written);
}

void Hpet::write_register(std::uint64_t offset, std::uint64_t value, std::uint64_t written) {
  switch (offset) {
    case 0x10:
      if ((written & 3) != 0) write_configuration(value & 3);
      return;
    case 0x20:
      interrupt_status_ &= ~(value & written);
      drive_all();
      return;
    case 0xF0:
      // Writable while halted only (2.3.7).
      if (!enabled()) main_counter_ = (main_counter_ & ~written) | (value & written);
      return;
    default:
      break;
  }
  if (offset < kTimerBase || offset >= kTimerBase + kTimers * kTimerStride) return;
  const unsigned index = static_cast<unsigned>((offset - kTimerBase) / kTimerStride);
  write_timer(index, (offset - kTimerBase) % kTimerStride, value, written);
}

void Hpet::write_configuration(std::uint64_t value) {
  const bool was_enabled = enabled();
  const std::uint64_t now = counter();
  configuration_ = value;
  if (was_enabled != enabled()) {
    main_counter_ = now;
    start_time_ = enabled() ? clock_.now() : VirtualTime();
  }
  drive_all();
  schedule_all();
}

void Hpet::write_timer(unsigned index, std::uint64_t reg, std::uint64_t value, std::uint64_t written) {
  Timer& timer = timers_[index];
  switch (reg) {
    case 0x00: {
      std::uint64_t next = (timer.configuration & ~written) | (value & written);
      next = (next & kWritable) | kTimerCapabilities;
      if (!routable(route(next))) next &= ~kRoute;  // an invalid route does not read back (2.3.8)
      if ((next & k32Bit) != 0) {
        timer.comparator &= 0xFFFFFFFF;
        timer.period &= 0xFFFFFFFF;
      }
      timer.configuration = next;
      if ((next & kLevel) == 0) interrupt_status_ &= ~(std::uint64_t{1} << index);
      drive_all();
      break;
    }
    case 0x08:
      write_comparator(timer, value, written);
      break;
    case 0x10:
      timer.fsb_route = (timer.fsb_route & ~written) | (value & written);
      break;
    default:
      break;
  }
  schedule(index);
}

void Hpet::write_comparator(Timer& timer, std::uint64_t value, std::uint64_t written) {
  const std::uint64_t mask = (timer.configuration & k32Bit) != 0 ? 0xFFFFFFFF : ~std::uint64_t{0};
  const bool periodic = (timer.configuration & kPeriodic) != 0;
  // In periodic mode a write sets the period, and the accumulator too only just after VAL_SET (2.3.9.2.2).
  if (!periodic || (timer.configuration & kValueSet) != 0) {
    timer.comparator = ((timer.comparator & ~written) | (value & written)) & mask;
  }
  if (periodic) {
    timer.period = ((timer.period & ~written) | (value & written)) & mask;
  }
  // Clears itself; who writes a 64-bit timer in two halves sets it again in between.
  timer.configuration &= ~kValueSet;
}

void Hpet::save(traces::schema::HpetState::Builder out) const {
  out.setConfiguration(configuration_);
  out.setInterruptStatus(interrupt_status_);
  out.setMainCounter(main_counter_);
  out.setStartTime(start_time_.value);
  auto list = out.initTimers(kTimers);
  for (unsigned i = 0; i < kTimers; ++i) {
    list[i].setConfiguration(timers_[i].configuration);
    list[i].setComparator(timers_[i].comparator);
    list[i].setPeriod(timers_[i].period);
    list[i].setFsbRoute(timers_[i].fsb_route);
  }
}

void Hpet::load(traces::schema::HpetState::Reader in) {
  configuration_ = in.getConfiguration() & 3;
  interrupt_status_ = in.getInterruptStatus() & 7;
  main_counter_ = in.getMainCounter();
  start_time_ = VirtualTime(in.getStartTime());
  const auto list = in.getTimers();
  for (unsigned i = 0; i < kTimers; ++i) {
    Timer& timer = timers_[i];
    timer = {.configuration = kTimerCapabilities, .comparator = ~std::uint64_t{0}};
    if (i >= list.size()) continue;
    timer.configuration = (list[i].getConfiguration() & kWritable) | kTimerCapabilities;
    if (!routable(route(timer.configuration))) timer.configuration &= ~kRoute;
    const std::uint64_t mask = (timer.configuration & k32Bit) != 0 ? 0xFFFFFFFF : ~std::uint64_t{0};
    timer.comparator = list[i].getComparator() & mask;
    timer.period = list[i].getPeriod() & mask;
    timer.fsb_route = list[i].getFsbRoute();
  }
  drive_all();
  schedule_all();
}

}  // namespace hindsight::devices::timer
