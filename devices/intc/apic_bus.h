// What travels between I/O APIC, message interrupts and local APICs. Owned by the board; the run loop's
// thread only; deterministic: destinations are visited in the order in which they were attached.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/port/interrupt.h"

namespace hindsight::devices::intc {

/// Delivery modes as encoded in ICR, LVT, redirection entries and message data (SDM vol. 3, 11.6.1).
enum class Delivery : std::uint8_t {
  fixed = 0,
  lowest_priority = 1,
  smi = 2,
  nmi = 4,
  init = 5,
  startup = 6,
  ext_int = 7,
};

struct ApicMessage {
  std::uint8_t destination = 0;
  bool logical = false;
  Delivery delivery = Delivery::fixed;
  bool level_triggered = false;
  std::uint8_t vector = 0;
};

/// A local APIC as the bus sees it.
class ApicAgent {
 public:
  virtual ~ApicAgent() = default;
  [[nodiscard]] virtual bool matches(std::uint8_t destination, bool logical) const = 0;
  virtual void deliver(const ApicMessage& message) = 0;
};

/// Whoever must learn that a level-triggered vector was served: the I/O APIC.
class EoiListener {
 public:
  virtual ~EoiListener() = default;
  virtual void end_of_interrupt(std::uint8_t vector) = 0;
};

class ApicBus final : public engine::port::MsiSink {
 public:
  void attach(ApicAgent& agent) { agents_.push_back(&agent); }
  void attach(EoiListener& listener) { listeners_.push_back(&listener); }
  /// To every agent addressed; to the first of them when the mode is lowest priority.
  void send(const ApicMessage& message);
  /// To all agents except `self` (the "all excluding self" shorthand).
  void send_to_others(const ApicAgent& self, const ApicMessage& message);
  void broadcast_eoi(std::uint8_t vector);
  /// A write to FEEx xxxx (SDM vol. 3, 11.11).
  void send_msi(GuestPhys address, std::uint32_t data) override;

 private:
  std::vector<ApicAgent*> agents_;
  std::vector<EoiListener*> listeners_;
};

}  // namespace hindsight::devices::intc
