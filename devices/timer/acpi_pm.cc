#include "devices/timer/acpi_pm.h"

#include "devices/core/access.h"
#include "devices/core/ticks.h"
#include "engine/base/log.h"

namespace hindsight::devices::timer {

namespace {

constexpr std::uint16_t kTimerStatus = 1U << 0;
constexpr std::uint16_t kStatusBits = 0xCF31, kEnableBits = 0x4721;  // ACPI 6.4, tables 4.13 and 4.14
constexpr std::uint16_t kSciEnable = 1U << 0, kSleepEnable = 1U << 13;
constexpr std::uint16_t kControlBits = 0x1C06;  // BM_RLD, GBL_RLS, SLP_TYP; SCI_EN is fixed to 1

constexpr std::uint64_t kHalfTurn = std::uint64_t{1} << 31;  // between changes of the timer's top bit

constexpr std::uint8_t kResetCpu = 0x04;

std::uint16_t with_byte(std::uint16_t word, unsigned byte, std::uint8_t value) {
  const unsigned shift = 8 * byte;
  return static_cast<std::uint16_t>((word & ~(0xFFU << shift)) | (static_cast<unsigned>(value) << shift));
}

}  // namespace

AcpiPm::AcpiPm(const engine::port::Clock& clock, engine::port::TimerService& timers,
               engine::port::PowerControl& power, std::function<void(bool)> sci)
    : clock_(clock),
      timers_(timers),
      power_(power),
      sci_(std::move(sci)),
      timer_(timers.create("acpi_pm", [this] {
        sync();
        update();
      })) {
  reset();
}

void AcpiPm::reset() {
  pm1_status_ = pm1_enable_ = pm1_control_ = 0;
  reset_control_ = 0;
  last_sync_ = clock_.now();
  update();
}

std::uint64_t AcpiPm::ticks() const { return core::ticks_at(clock_.now(), kTimerHertz); }

std::uint16_t AcpiPm::status_now() const {
  const bool turned = ticks() / kHalfTurn != core::ticks_at(last_sync_, kTimerHertz) / kHalfTurn;
  return static_cast<std::uint16_t>(pm1_status_ | (turned ? kTimerStatus : 0));
}

void AcpiPm::sync() {
  pm1_status_ = status_now();
  last_sync_ = clock_.now();
}

void AcpiPm::update() {
  sci_((pm1_status_ & pm1_enable_) != 0);
  const bool armed = (pm1_enable_ & kTimerStatus) != 0 && (pm1_status_ & kTimerStatus) == 0;
  const VirtualTime next = core::time_of_tick((core::Wide{ticks() / kHalfTurn} + 1) * kHalfTurn, kTimerHertz);
  if (armed && next != VirtualTime::max()) {
    timers_.arm(timer_, next);
  } else {
    timers_.cancel(timer_);
  }
}

std::uint8_t AcpiPm::read_byte(std::uint64_t offset) const {
  const unsigned shift = 8 * (offset & 3);
  if (offset < kEventBlock + 4) {
    return static_cast<std::uint8_t>((status_now() | (static_cast<std::uint32_t>(pm1_enable_) << 16)) >>
                                     shift);
  }
  if (offset < kControlBlock + 2) return static_cast<std::uint8_t>((pm1_control_ | kSciEnable) >> shift);
  if (offset >= kTimerBlock && offset < kTimerBlock + 4) return static_cast<std::uint8_t>(ticks() >> shift);
  return 0;
}

std::uint64_t AcpiPm::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, kPortCount, [this](std::uint64_t at) { return read_byte(at); });
}

void AcpiPm::write_byte(std::uint64_t offset, std::uint8_t value) {
  if (offset < 2) {
    pm1_status_ = static_cast<std::uint16_t>(pm1_status_ & ~(static_cast<unsigned>(value) << (8 * offset)));
  } else if (offset < 4) {
    pm1_enable_ = with_byte(pm1_enable_, static_cast<unsigned>(offset) - 2, value) & kEnableBits;
  } else if (offset < kControlBlock + 2) {
    const std::uint16_t written =
        with_byte(pm1_control_, static_cast<unsigned>(offset) - kControlBlock, value);
    pm1_control_ = written & kControlBits;
    if (offset != kControlBlock + 1 || (written & kSleepEnable) == 0) return;
    const unsigned type = (written >> 10) & 7;
    if (type == kSoftOff) {
      power_.request(engine::port::PowerEvent::power_off);
    } else {
      log::warn("acpi", "sleep type {} is not implemented: ignored", type);
    }
  }
}

void AcpiPm::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  sync();
  core::write_lanes(offset, size, kPortCount, value,
                    [this](std::uint64_t at, std::uint8_t byte) { write_byte(at, byte); });
  update();
}

std::uint64_t AcpiPm::ResetPort::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, 4, [this](std::uint64_t at) {
    return at == 1 ? pm_.reset_control_ : std::uint8_t{0xFF};
  });
}

void AcpiPm::ResetPort::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (offset != 1 || size != 1) return;
  const std::uint8_t byte = static_cast<std::uint8_t>(value);
  // A rising RST_CPU starts the reset (PIIX4 datasheet, 4.2.6.1); hard or soft, the whole machine is reset.
  if ((byte & ~pm_.reset_control_ & kResetCpu) != 0) pm_.power_.request(engine::port::PowerEvent::reset);
  pm_.reset_control_ = byte & 0x06;
}

void AcpiPm::save(traces::schema::AcpiPmState::Builder out) const {
  out.setPm1Status(pm1_status_);
  out.setPm1Enable(pm1_enable_);
  out.setPm1Control(pm1_control_);
  out.setLastSync(last_sync_.value);
  out.setResetControl(reset_control_);
}

void AcpiPm::load(traces::schema::AcpiPmState::Reader in) {
  pm1_status_ = in.getPm1Status() & kStatusBits;
  pm1_enable_ = in.getPm1Enable() & kEnableBits;
  pm1_control_ = in.getPm1Control() & kControlBits;
  last_sync_ = VirtualTime(in.getLastSync());
  reset_control_ = in.getResetControl() & 0x06;
  update();
}

}  // namespace hindsight::devices::timer
