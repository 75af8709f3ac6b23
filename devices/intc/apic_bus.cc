#include "devices/intc/apic_bus.h"

#include "engine/base/log.h"

namespace hindsight::devices::intc {

void ApicBus::send(const ApicMessage& message) {
  for (ApicAgent* agent : agents_) {
    if (!agent->matches(message.destination, message.logical)) continue;
    agent->deliver(message);
    if (message.delivery == Delivery::lowest_priority) return;
  }
}

void ApicBus::send_to_others(const ApicAgent& self, const ApicMessage& message) {
  for (ApicAgent* agent : agents_) {
    if (agent != &self) agent->deliver(message);
  }
}

void ApicBus::broadcast_eoi(std::uint8_t vector) {
  for (EoiListener* listener : listeners_) listener->end_of_interrupt(vector);
}

void ApicBus::send_msi(GuestPhys address, std::uint32_t data) {
  if ((address.value >> 20) != 0xFEE) {
    log::warn("apic", "message interrupt to {:#x}, which is no local APIC: dropped", address.value);
    return;
  }
  // Redirection hint set: one of the destinations, lowest priority first (11.11.1). The same section has the
  // destination mode ignored without the hint, but processors take a message's mode as it comes, and systems
  // that number their local APICs in flat logical mode send every message so.
  const bool hint = (address.value & 8) != 0;
  const bool logical = (address.value & 4) != 0;
  Delivery delivery = static_cast<Delivery>((data >> 8) & 7);
  if (hint && delivery == Delivery::fixed) delivery = Delivery::lowest_priority;
  send({.destination = static_cast<std::uint8_t>(address.value >> 12),
        .logical = logical,
        .delivery = delivery,
        .level_triggered = (data & 0x8000) != 0,
        .vector = static_cast<std::uint8_t>(data)});
}

}  // namespace hindsight::devices::intc
