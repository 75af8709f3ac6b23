#include "devices/board/irq_router.h"

#include "devices/firmware/acpi_tables.h"

namespace hindsight::devices::board {

namespace {

constexpr std::uint32_t kLineMask = (1U << IrqRouter::kLines) - 1;
constexpr unsigned kFirstPci = 16;
/// ISA interrupt 2 joins the two 8259s; no source can drive it.
constexpr unsigned kCascade = 2;
/// Lines that set_irq() does not reach: the cascade and the two whose sources the HPET may replace.
constexpr std::uint32_t kOwnLines = (1U << 0) | (1U << kCascade) | (1U << 8);

/// The PCI lines that share the 8259 input of `line`.
constexpr std::uint32_t sharing(unsigned line) {
  std::uint32_t mask = 0;
  for (unsigned other = kFirstPci; other < IrqRouter::kLines; ++other) {
    if (firmware::pic_input_of_gsi(other) == firmware::pic_input_of_gsi(line)) mask |= 1U << other;
  }
  return mask;
}

}  // namespace

void IrqRouter::set_irq(IrqLine line, bool level) {
  if (line.value >= kLines || ((kOwnLines >> line.value) & 1) != 0) return;
  set_line(line.value, level);
}

void IrqRouter::set_line(unsigned line, bool level) {
  const std::uint32_t mask = 1U << line;
  lines_ = level ? lines_ | mask : lines_ & ~mask;
  drive(line);
}

void IrqRouter::drive(unsigned line) {
  const bool level = ((lines_ >> line) & 1) != 0;
  if (line >= kFirstPci) {
    pic_.set_input(firmware::pic_input_of_gsi(line), (lines_ & sharing(line)) != 0);
    io_apic_.set_input(line, level);
    return;
  }
  pic_.set_input(line, level);
  io_apic_.set_input(line == 0 ? 2 : line, level);
}

void IrqRouter::drive_shared() {
  set_line(0, legacy_replacement_ ? hpet0_ : pit_);
  set_line(8, legacy_replacement_ ? hpet1_ : rtc_);
}

void IrqRouter::set_pit(bool level) {
  pit_ = level;
  drive_shared();
}

void IrqRouter::set_rtc(bool level) {
  rtc_ = level;
  drive_shared();
}

void IrqRouter::set_legacy_replacement(bool on) {
  legacy_replacement_ = on;
  drive_shared();
}

void IrqRouter::set_legacy(unsigned timer, bool level) {
  (timer == 0 ? hpet0_ : hpet1_) = level;
  drive_shared();
}

void IrqRouter::save(traces::schema::IrqRouterState::Builder out) const {
  out.setLines(lines_);
  out.setLegacyReplacement(legacy_replacement_);
  out.setPit(pit_);
  out.setRtc(rtc_);
  out.setHpet0(hpet0_);
  out.setHpet1(hpet1_);
}

void IrqRouter::load(traces::schema::IrqRouterState::Reader in) {
  lines_ = in.getLines() & kLineMask & ~(1U << kCascade);
  legacy_replacement_ = in.getLegacyReplacement();
  pit_ = in.getPit();
  rtc_ = in.getRtc();
  hpet0_ = in.getHpet0();
  hpet1_ = in.getHpet1();
  drive_shared();
  for (unsigned line = 0; line < kLines; ++line) {
    if (line != kCascade) drive(line);
  }
}

}  // namespace hindsight::devices::board
