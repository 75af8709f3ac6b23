// The wires between devices, interrupt controllers, the CPU and the power supply.
// The run loop's thread only; levels and counts are deterministic state of whoever holds them.
#pragma once

#include <cstdint>

#include "engine/base/types.h"

namespace hindsight::engine::port {

/// Where a device drives its interrupt line. Level semantics: repeated equal levels are idempotent.
class IrqSink {
 public:
  virtual ~IrqSink() = default;
  virtual void set_irq(IrqLine line, bool level) = 0;
};

/// Where a message-signalled interrupt is sent: a 32-bit write to an address in the local-APIC window.
class MsiSink {
 public:
  virtual ~MsiSink() = default;
  virtual void send_msi(GuestPhys address, std::uint32_t data) = 0;
};

/// The CPU's side of an interrupt controller.
class InterruptSource {
 public:
  virtual ~InterruptSource() = default;
  /// True while an external (maskable) interrupt is waiting to be taken.
  [[nodiscard]] virtual bool pending() const = 0;
  /// Takes the waiting interrupt and returns its vector. Only when pending().
  virtual std::uint8_t acknowledge() = 0;
};

/// The local APIC as its CPU sees it: the registers that instructions reach without a memory access.
class LocalApicPort : public InterruptSource {
 public:
  [[nodiscard]] virtual std::uint64_t base_msr() const = 0;
  virtual void set_base_msr(std::uint64_t value) = 0;
  [[nodiscard]] virtual std::uint64_t tsc_deadline() const = 0;
  virtual void set_tsc_deadline(std::uint64_t tsc) = 0;
  /// The task priority as CR8 shows it (0..15).
  [[nodiscard]] virtual std::uint8_t cr8() const = 0;
  virtual void set_cr8(std::uint8_t value) = 0;
};

enum class PowerEvent : std::uint8_t { none = 0, power_off = 1, reset = 2 };

/// What a device asks of the power supply. It takes effect at the end of the current instruction.
class PowerControl {
 public:
  virtual ~PowerControl() = default;
  virtual void request(PowerEvent event) = 0;
};

}  // namespace hindsight::engine::port
