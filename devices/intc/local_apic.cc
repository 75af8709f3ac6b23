#include "devices/intc/local_apic.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "devices/core/access.h"
#include "devices/core/ticks.h"
#include "engine/base/log.h"

namespace hindsight::devices::intc {

namespace {

// IA32_APIC_BASE (SDM vol. 3, 11.4.4).
constexpr std::uint64_t kBaseBsp = 1U << 8, kBaseExtd = 1U << 10, kBaseEnable = 1U << 11;

constexpr std::uint32_t kVersion = 0x14 | (5U << 16);  // integrated, six LVT entries
constexpr std::uint32_t kSvrEnable = 1U << 8;
constexpr std::uint32_t kSvrWritable = 0x3FF;
constexpr std::uint32_t kSvrReset = 0xFF;

// Local vector table (11.5.1).
constexpr std::uint32_t kLvtMasked = 1U << 16;
constexpr std::uint32_t kLvtTimerWritable = 0x700FF, kLvtErrorWritable = 0x100FF;
constexpr std::uint32_t kLvtPerfWritable = 0x107FF, kLvtLintWritable = 0x1A7FF;

// Error status (11.5.3).
constexpr std::uint32_t kEsrSendIllegalVector = 1U << 5;
constexpr std::uint32_t kEsrReceivedIllegalVector = 1U << 6;
constexpr std::uint32_t kEsrIllegalRegister = 1U << 7;

constexpr Delivery lvt_delivery(std::uint32_t lvt) { return static_cast<Delivery>((lvt >> 8) & 7); }

int highest(const std::array<std::uint32_t, 8>& bits) {
  for (int word = 7; word >= 0; --word) {
    const std::uint32_t value = bits[static_cast<unsigned>(word)];
    if (value != 0) return word * 32 + 31 - std::countl_zero(value);
  }
  return -1;
}

void set(std::array<std::uint32_t, 8>& bits, unsigned vector) { bits[vector / 32] |= 1U << (vector % 32); }
void clear(std::array<std::uint32_t, 8>& bits, unsigned vector) {
  bits[vector / 32] &= ~(1U << (vector % 32));
}
bool test(const std::array<std::uint32_t, 8>& bits, unsigned vector) {
  return ((bits[vector / 32] >> (vector % 32)) & 1) != 0;
}

}  // namespace

LocalApic::LocalApic(unsigned id, Rates rates, const engine::port::Clock& clock,
                     engine::port::TimerService& timers, ApicBus& bus, engine::port::InterruptSource& pic)
    : name_(fmt::format("lapic{}", id)),
      initial_id_(id << 24),
      rates_(rates),
      clock_(clock),
      timers_(timers),
      bus_(bus),
      pic_(pic),
      timer_(timers.create(name_, [this] { on_timer(); })) {
  bus_.attach(static_cast<ApicAgent&>(*this));
  reset();
}

void LocalApic::reset() {
  apic_base_ = kBase | kBaseEnable | (initial_id_ == 0 ? kBaseBsp : 0);
  id_ = initial_id_;
  tpr_ = ldr_ = 0;
  dfr_ = 0xFFFFFFFF;
  svr_ = kSvrReset;
  isr_ = tmr_ = irr_ = {};
  esr_ = esr_pending_ = icr_low_ = icr_high_ = 0;
  lvt_timer_ = lvt_thermal_ = lvt_perf_ = lvt_lint0_ = lvt_lint1_ = lvt_error_ = kLvtMasked;
  divide_configuration_ = initial_count_ = 0;
  timer_start_ = VirtualTime();
  timer_expiries_ = 0;
  tsc_deadline_ = 0;
  schedule();
}

void LocalApic::enter_virtual_wire_mode() {
  write_register(0xF0, kSvrEnable | kSvrReset);
  write_register(0x350, static_cast<std::uint32_t>(Delivery::ext_int) << 8);
  write_register(0x360, static_cast<std::uint32_t>(Delivery::nmi) << 8);
}

bool LocalApic::globally_enabled() const { return (apic_base_ & kBaseEnable) != 0; }
bool LocalApic::software_enabled() const { return (svr_ & kSvrEnable) != 0; }

bool LocalApic::lint0_passes_ext_int() const {
  return (lvt_lint0_ & kLvtMasked) == 0 && lvt_delivery(lvt_lint0_) == Delivery::ext_int;
}

std::uint32_t LocalApic::ppr() const {
  const int served = highest(isr_);
  const std::uint32_t in_service = served < 0 ? 0 : static_cast<std::uint32_t>(served) & 0xF0;
  return (tpr_ & 0xF0) >= in_service ? tpr_ & 0xFF : in_service;
}

int LocalApic::request() const {
  const int vector = highest(irr_);
  if (vector < 0 || !software_enabled()) return -1;
  return (static_cast<std::uint32_t>(vector) & 0xF0) > (ppr() & 0xF0) ? vector : -1;
}

bool LocalApic::pending() const {
  if (!globally_enabled()) return pic_.pending();
  return request() >= 0 || (lint0_passes_ext_int() && pic_.pending());
}

std::uint8_t LocalApic::acknowledge() {
  if (!globally_enabled()) return pic_.acknowledge();
  const int vector = request();
  if (vector < 0) {
    if (lint0_passes_ext_int() && pic_.pending()) return pic_.acknowledge();
    return static_cast<std::uint8_t>(svr_);  // spurious
  }
  clear(irr_, static_cast<unsigned>(vector));
  set(isr_, static_cast<unsigned>(vector));
  return static_cast<std::uint8_t>(vector);
}

void LocalApic::set_base_msr(std::uint64_t value) {
  if ((value & kBaseExtd) != 0) log::warn("apic", "x2APIC mode is not implemented: ignored");
  if ((value & ~std::uint64_t{0xFFF}) != kBase) {
    log::warn("apic", "the APIC page cannot be moved to {:#x}: ignored", value & ~std::uint64_t{0xFFF});
  }
  const bool enable = (value & kBaseEnable) != 0;
  // Disabling loses the whole state but the base (11.4.3).
  if (!enable && globally_enabled()) reset();
  apic_base_ = (apic_base_ & ~kBaseEnable) | (enable ? kBaseEnable : 0);
  schedule();
}

void LocalApic::set_lint0(bool level) {
  const bool rose = level && !lint0_;
  lint0_ = level;
  // In fixed mode LINT0 is an ordinary edge-triggered source; ExtINT is looked up when it is asked for.
  if (rose && (lvt_lint0_ & kLvtMasked) == 0 && lvt_delivery(lvt_lint0_) == Delivery::fixed) {
    signal_lvt(lvt_lint0_);
  }
}

void LocalApic::signal_lvt(std::uint32_t lvt) {
  if ((lvt & kLvtMasked) == 0) accept(static_cast<std::uint8_t>(lvt), false);
}

void LocalApic::accept(std::uint8_t vector, bool level_triggered) {
  if (vector < 16) return raise_error(kEsrReceivedIllegalVector);
  set(irr_, vector);
  if (level_triggered) {
    set(tmr_, vector);
  } else {
    clear(tmr_, vector);
  }
}

void LocalApic::raise_error(std::uint32_t bit) {
  esr_pending_ |= bit;
  // An error vector that is itself illegal would raise an error for ever.
  if ((lvt_error_ & 0xFF) >= 16) signal_lvt(lvt_error_);
}

void LocalApic::end_of_interrupt() {
  const int vector = highest(isr_);
  if (vector < 0) return;
  clear(isr_, static_cast<unsigned>(vector));
  if (test(tmr_, static_cast<unsigned>(vector))) bus_.broadcast_eoi(static_cast<std::uint8_t>(vector));
}

bool LocalApic::matches(std::uint8_t destination, bool logical) const {
  if (!logical) return destination == 0xFF || destination == id_ >> 24;
  const std::uint8_t mine = static_cast<std::uint8_t>(ldr_ >> 24);
  // Flat model: a bit for each APIC; cluster model: cluster number, then a bit for each member (11.6.2.2).
  if ((dfr_ >> 28) == 0xF) return (destination & mine) != 0;
  const bool same_cluster = (destination & 0xF0) == (mine & 0xF0) || (destination & 0xF0) == 0xF0;
  return same_cluster && (destination & mine & 0x0F) != 0;
}

void LocalApic::deliver(const ApicMessage& message) {
  if (!globally_enabled()) return;
  switch (message.delivery) {
    case Delivery::fixed:
    case Delivery::lowest_priority:
      if (software_enabled()) accept(message.vector, message.level_triggered);
      break;
    default:
      log::warn("apic", "message of delivery mode {} is not implemented: dropped",
                static_cast<unsigned>(message.delivery));
      break;
  }
}

void LocalApic::send_ipi() {
  const std::uint8_t vector = static_cast<std::uint8_t>(icr_low_);
  const Delivery delivery = static_cast<Delivery>((icr_low_ >> 8) & 7);
  // INIT level de-assert only resets arbitration IDs (11.6.1).
  if (delivery == Delivery::init && (icr_low_ & (1U << 14)) == 0) return;
  if (delivery == Delivery::fixed && vector < 16) return raise_error(kEsrSendIllegalVector);
  const ApicMessage message{.destination = static_cast<std::uint8_t>(icr_high_ >> 24),
                            .logical = (icr_low_ & (1U << 11)) != 0,
                            .delivery = delivery,
                            .level_triggered = false,
                            .vector = vector};
  switch ((icr_low_ >> 18) & 3) {
    case 0:
      bus_.send(message);
      break;
    case 1:
      deliver(message);
      break;
    case 2:
      deliver(message);
      bus_.send_to_others(*this, message);
      break;
    default:
      bus_.send_to_others(*this, message);
      break;
  }
}

std::uint32_t LocalApic::read_register(std::uint64_t offset) const {
  switch (offset) {
    case 0x020:
      return id_;
    case 0x030:
      return kVersion;
    case 0x080:
      return tpr_;
    case 0x0A0:
      return ppr();
    case 0x0D0:
      return ldr_;
    case 0x0E0:
      return dfr_;
    case 0x0F0:
      return svr_;
    case 0x280:
      return esr_;
    case 0x300:
      return icr_low_;
    case 0x310:
      return icr_high_;
    case 0x320:
      return lvt_timer_;
    case 0x330:
      return lvt_thermal_;
    case 0x340:
      return lvt_perf_;
    case 0x350:
      return lvt_lint0_;
    case 0x360:
      return lvt_lint1_;
    case 0x370:
      return lvt_error_;
    case 0x380:
      return initial_count_;
    case 0x390:
      return current_count();
    case 0x3E0:
      return divide_configuration_;
    default:
      break;
  }
  if ((offset & 0xF) != 0) return 0;
  const unsigned word = static_cast<unsigned>(offset >> 4) & 7;
  if (offset >= 0x100 && offset < 0x180) return isr_[word];
  if (offset >= 0x180 && offset < 0x200) return tmr_[word];
  if (offset >= 0x200 && offset < 0x280) return irr_[word];
  return 0;
}

void LocalApic::write_register(std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case 0x020:
      id_ = value & 0xFF000000;
      break;
    case 0x080:
      tpr_ = value & 0xFF;
      break;
    case 0x0B0:
      end_of_interrupt();
      break;
    case 0x0D0:
      ldr_ = value & 0xFF000000;
      break;
    case 0x0E0:
      dfr_ = value | 0x0FFFFFFF;
      break;
    case 0x0F0:
      write_svr(value);
      break;
    case 0x280:
      esr_ = esr_pending_;
      esr_pending_ = 0;
      break;
    case 0x300:
      icr_low_ = value & 0x000CCFFF;
      send_ipi();
      break;
    case 0x310:
      icr_high_ = value & 0xFF000000;
      break;
    case 0x320:
      write_lvt_timer(value);
      break;
    case 0x330:
      write_lvt(lvt_thermal_, value, kLvtPerfWritable);
      break;
    case 0x340:
      write_lvt(lvt_perf_, value, kLvtPerfWritable);
      break;
    case 0x350:
      write_lvt(lvt_lint0_, value, kLvtLintWritable);
      break;
    case 0x360:
      write_lvt(lvt_lint1_, value, kLvtLintWritable);
      break;
    case 0x370:
      write_lvt(lvt_error_, value, kLvtErrorWritable);
      break;
    case 0x380:
      // Writes are ignored in TSC-deadline mode (11.5.4.1).
      if (timer_mode() != TimerMode::tsc_deadline) start_timer(value);
      break;
    case 0x3E0: {
      // The new divisor applies from here on: restart from what is left of the count.
      const std::uint32_t left = current_count();
      divide_configuration_ = value & 0xB;
      if (left != 0 && timer_mode() == TimerMode::one_shot) start_timer(left);
      if (left != 0 && timer_mode() == TimerMode::periodic) start_timer(initial_count_);
      break;
    }
    default:
      if ((offset & 0xF) == 0 && !(offset >= 0x100 && offset < 0x280)) raise_error(kEsrIllegalRegister);
      break;
  }
}

void LocalApic::write_svr(std::uint32_t value) {
  svr_ = value & kSvrWritable;
  if (software_enabled()) return;
  // All LVT mask bits are set while the APIC is disabled by software (11.4.7.2).
  for (std::uint32_t* lvt : {&lvt_timer_, &lvt_thermal_, &lvt_perf_, &lvt_lint0_, &lvt_lint1_, &lvt_error_}) {
    *lvt |= kLvtMasked;
  }
  schedule();
}

void LocalApic::write_lvt(std::uint32_t& lvt, std::uint32_t value, std::uint32_t writable) {
  lvt = (value & writable) | (software_enabled() ? 0 : kLvtMasked);
}

void LocalApic::write_lvt_timer(std::uint32_t value) {
  const TimerMode before = timer_mode();
  const std::uint64_t runs = timer_runs();
  const std::uint64_t period = timer_period();
  write_lvt(lvt_timer_, value, kLvtTimerWritable);
  timer_expiries_ = runs;  // what passed while masked is gone
  if (timer_mode() != before) {
    timer_expiries_ = 0;
    if (timer_mode() == TimerMode::tsc_deadline || before == TimerMode::tsc_deadline) {
      // A change between TSC-deadline and the counting modes disarms the timer (11.5.4.1).
      tsc_deadline_ = 0;
      initial_count_ = 0;
    } else if (before == TimerMode::one_shot && runs != 0) {
      initial_count_ = 0;  // it had stopped at zero and stays there until it is loaded
    } else if (runs != 0) {
      timer_start_ +=
          core::time_of_tick(core::Wide{runs} * period, rates_.timer_hz).value;  // the present run
    }
  }
  schedule();
}

std::uint64_t LocalApic::timer_period() const {
  // Encodings 0..6 divide by 2..128, 7 by 1 (11.5.4).
  const unsigned code = (divide_configuration_ & 3) | ((divide_configuration_ >> 1) & 4);
  return std::uint64_t{initial_count_} << (code == 7 ? 0 : code + 1);
}

std::uint64_t LocalApic::timer_elapsed() const {
  const VirtualTime now = clock_.now();
  const std::uint64_t since = now < timer_start_ ? 0 : now - timer_start_;
  return core::ticks_at(VirtualTime(since), rates_.timer_hz);
}

std::uint64_t LocalApic::timer_runs() const {
  const std::uint64_t period = timer_period();
  if (period == 0 || timer_mode() == TimerMode::tsc_deadline || timer_mode() == TimerMode::reserved) return 0;
  const std::uint64_t runs = timer_elapsed() / period;
  return timer_mode() == TimerMode::one_shot ? std::min<std::uint64_t>(runs, 1) : runs;
}

std::uint32_t LocalApic::current_count() const {
  const std::uint64_t period = timer_period();
  if (period == 0 || timer_mode() == TimerMode::tsc_deadline || timer_mode() == TimerMode::reserved) return 0;
  const std::uint64_t elapsed = timer_elapsed();
  if (timer_mode() == TimerMode::one_shot && elapsed >= period) return 0;
  const std::uint64_t divider = period / initial_count_;
  return static_cast<std::uint32_t>(initial_count_ - (elapsed % period) / divider);
}

void LocalApic::start_timer(std::uint32_t initial_count) {
  initial_count_ = initial_count;
  timer_start_ = clock_.now();
  timer_expiries_ = 0;
  schedule();
}

void LocalApic::set_tsc_deadline(std::uint64_t tsc) {
  // Writes are ignored outside TSC-deadline mode (11.5.4.1).
  if (timer_mode() != TimerMode::tsc_deadline || !globally_enabled()) return;
  tsc_deadline_ = tsc;
  schedule();
}

void LocalApic::schedule() {
  timers_.cancel(timer_);
  if (!globally_enabled() || (lvt_timer_ & kLvtMasked) != 0) return;
  if (timer_mode() == TimerMode::tsc_deadline) {
    if (tsc_deadline_ == 0) return;
    timers_.arm(timer_, core::time_of_tick(tsc_deadline_, rates_.tsc_hz));
    return;
  }
  const std::uint64_t period = timer_period();
  if (period == 0 || timer_mode() == TimerMode::reserved) return;
  if (timer_mode() == TimerMode::one_shot && timer_expiries_ != 0) return;
  const VirtualTime after = core::time_of_tick(core::Wide{timer_expiries_ + 1} * period, rates_.timer_hz);
  if (after.value > VirtualTime::max() - timer_start_) return;  // beyond the end of time
  timers_.arm(timer_, timer_start_ + after.value);
}

void LocalApic::on_timer() {
  if (timer_mode() == TimerMode::tsc_deadline) {
    tsc_deadline_ = 0;
  } else {
    timer_expiries_ = timer_runs();
  }
  signal_lvt(lvt_timer_);
  schedule();
}

std::uint64_t LocalApic::read(std::uint64_t offset, unsigned size) { return peek(offset, size); }

std::uint64_t LocalApic::peek(std::uint64_t offset, unsigned size) const {
  if (!globally_enabled()) return ~std::uint64_t{0} >> (64 - 8 * size);
  return core::read_dwords(offset, size, [this](std::uint64_t at) { return read_register(at); });
}

void LocalApic::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (!globally_enabled()) return;
  // Registers are 16 bytes apart: the upper half of an 8-byte access falls on reserved bytes.
  if ((offset & 3) == 0 && size >= 4) write_register(offset, static_cast<std::uint32_t>(value));
}

void LocalApic::save(traces::schema::LocalApicState::Builder out) const {
  out.setApicBase(apic_base_);
  out.setId(id_);
  out.setTpr(tpr_);
  out.setLdr(ldr_);
  out.setDfr(dfr_);
  out.setSvr(svr_);
  const auto put = [](capnp::List<std::uint32_t>::Builder list, const Bits& bits) {
    for (unsigned i = 0; i < 8; ++i) list.set(i, bits[i]);
  };
  put(out.initIsr(8), isr_);
  put(out.initTmr(8), tmr_);
  put(out.initIrr(8), irr_);
  out.setEsr(esr_);
  out.setEsrPending(esr_pending_);
  out.setIcrLow(icr_low_);
  out.setIcrHigh(icr_high_);
  out.setLvtTimer(lvt_timer_);
  out.setLvtThermal(lvt_thermal_);
  out.setLvtPerf(lvt_perf_);
  out.setLvtLint0(lvt_lint0_);
  out.setLvtLint1(lvt_lint1_);
  out.setLvtError(lvt_error_);
  out.setDivideConfiguration(divide_configuration_);
  out.setInitialCount(initial_count_);
  out.setTimerStart(timer_start_.value);
  out.setTimerExpiries(timer_expiries_);
  out.setTscDeadline(tsc_deadline_);
  out.setLint0(lint0_);
}

void LocalApic::load(traces::schema::LocalApicState::Reader in) {
  apic_base_ = kBase | (in.getApicBase() & (kBaseEnable | kBaseBsp));
  id_ = in.getId() & 0xFF000000;
  tpr_ = in.getTpr() & 0xFF;
  ldr_ = in.getLdr() & 0xFF000000;
  dfr_ = in.getDfr() | 0x0FFFFFFF;
  svr_ = in.getSvr() & kSvrWritable;
  const auto take = [](Bits& bits, capnp::List<std::uint32_t>::Reader list) {
    for (unsigned i = 0; i < 8; ++i) bits[i] = i < list.size() ? list[i] : 0;
    bits[0] &= 0xFFFF0000;  // vectors below 16 are illegal
  };
  take(isr_, in.getIsr());
  take(tmr_, in.getTmr());
  take(irr_, in.getIrr());
  esr_ = in.getEsr();
  esr_pending_ = in.getEsrPending();
  icr_low_ = in.getIcrLow() & 0x000CCFFF;
  icr_high_ = in.getIcrHigh() & 0xFF000000;
  lvt_timer_ = in.getLvtTimer() & kLvtTimerWritable;
  lvt_thermal_ = in.getLvtThermal() & kLvtPerfWritable;
  lvt_perf_ = in.getLvtPerf() & kLvtPerfWritable;
  lvt_lint0_ = in.getLvtLint0() & kLvtLintWritable;
  lvt_lint1_ = in.getLvtLint1() & kLvtLintWritable;
  lvt_error_ = in.getLvtError() & kLvtErrorWritable;
  divide_configuration_ = in.getDivideConfiguration() & 0xB;
  initial_count_ = in.getInitialCount();
  timer_start_ = VirtualTime(in.getTimerStart());
  timer_expiries_ = in.getTimerExpiries();
  tsc_deadline_ = in.getTscDeadline();
  lint0_ = in.getLint0();
  schedule();
}

}  // namespace hindsight::devices::intc
