// The PC's interrupt wiring: which source reaches which inputs of the 8259 pair and the I/O APIC. Lines 0..15
// are the ISA interrupts, 16..23 the PCI ones. Owned by the board; the run loop's thread only; a function of
// the levels it is given.
//   ISA n        8259 input n; I/O APIC input n, but ISA 0 at input 2 (the MADT says so)
//   PCI 16..23   I/O APIC input of the same number; 8259 input 10 or 11, wired together
//   HPET         under legacy replacement, timers 0 and 1 take the place of the PIT (0) and the RTC (8)
// Every line has one driver; PCI pins that share a line are joined by the PCI bus.
#pragma once

#include <cstdint>
#include <string_view>

#include "devices/intc/io_apic.h"
#include "devices/intc/pic8259.h"
#include "devices/timer/hpet.h"
#include "engine/port/interrupt.h"
#include "engine/port/stateful.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::board {

class IrqRouter final : public engine::port::IrqSink,
                        public timer::HpetOutputs,
                        public engine::port::StatefulAs<traces::schema::IrqRouterState> {
 public:
  static constexpr unsigned kLines = 24;

  IrqRouter(intc::PicPair& pic, intc::IoApic& io_apic) : pic_(pic), io_apic_(io_apic) {}

  /// Any line but 0, 2 and 8, which only the board's own timers drive.
  void set_irq(IrqLine line, bool level) override;
  void set_pit(bool level);
  void set_rtc(bool level);
  void set_legacy_replacement(bool on) override;
  void set_legacy(unsigned timer, bool level) override;
  void set_routed(unsigned line, bool level) override { set_irq(IrqLine(line), level); }

  [[nodiscard]] std::string_view state_name() const override { return "irq_router"; }
  void save(traces::schema::IrqRouterState::Builder out) const override;
  void load(traces::schema::IrqRouterState::Reader in) override;

 private:
  void set_line(unsigned line, bool level);
  void drive_shared();
  void drive(unsigned line);

  intc::PicPair& pic_;
  intc::IoApic& io_apic_;
  std::uint32_t lines_ = 0;
  bool legacy_replacement_ = false;
  bool pit_ = false, rtc_ = false, hpet0_ = false, hpet1_ = false;
};

}  // namespace hindsight::devices::board
