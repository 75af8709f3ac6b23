#include "devices/pci/pci_bus.h"

#include <algorithm>
#include <bit>

#include "engine/base/check.h"

namespace hindsight::devices::pci {
namespace {

constexpr std::uint32_t all_ones(unsigned size) { return size >= 4 ? 0xFFFFFFFFu : (1u << (8 * size)) - 1; }

bool overlap(const MemoryBar& a, const MemoryBar& b) {
  return a.base.value < b.base.value + b.size && b.base.value < a.base.value + a.size;
}

bool same(const MemoryBar& a, const MemoryBar& b) {
  return a.base == b.base && a.size == b.size && a.handler == b.handler;
}

}  // namespace

PciBus::PciBus(engine::port::IoBus& io, engine::port::IrqSink& irq, engine::port::MsiSink& msi,
               MemoryWindow window, IntxRouting routing)
    : io_(io), irq_(irq), msi_(msi), window_(window), routing_(routing), next_free_(window.first) {
  CHECK(std::has_single_bit(routing.line_count), "{} INTx lines", routing.line_count);
}

PciBus::~PciBus() {
  for (const MemoryBar& bar : mapped_) io_.unmap_mmio(bar.base);
}

void PciBus::attach(unsigned slot, PciDevice& device) {
  CHECK(slot < kSlots && slots_[slot] == nullptr, "slot {}", slot);
  slots_[slot] = &device;
  update_mappings();
}

void PciBus::detach(unsigned slot) {
  CHECK(slot < kSlots && slots_[slot] != nullptr, "slot {}", slot);
  for (unsigned pin = 0; pin < 4; ++pin) set_intx(slot, pin, false);
  slots_[slot] = nullptr;
  update_mappings();
}

GuestPhys PciBus::assign(std::uint64_t size) {
  CHECK(std::has_single_bit(size), "BAR size {:#x}", size);
  const GuestPhys base((next_free_.value + size - 1) & ~(size - 1));
  CHECK(base + size <= window_.end, "the PCI window is full");
  next_free_ = base + size;
  return base;
}

std::uint32_t PciBus::config_read(unsigned slot, unsigned offset, unsigned size) {
  if (slot >= kSlots || slots_[slot] == nullptr) return all_ones(size);
  return slots_[slot]->config_read(offset, size);
}

void PciBus::config_write(unsigned slot, unsigned offset, unsigned size, std::uint32_t value) {
  if (slot < kSlots && slots_[slot] != nullptr) slots_[slot]->config_write(offset, size, value);
}

std::uint32_t PciBus::config_peek(unsigned slot, unsigned offset, unsigned size) const {
  if (slot >= kSlots || slots_[slot] == nullptr) return all_ones(size);
  return slots_[slot]->config_peek(offset, size);
}

void PciBus::update_mappings() {
  std::vector<MemoryBar> wanted;
  for (const PciDevice* device : slots_) {
    if (device == nullptr) continue;
    for (const MemoryBar& bar : device->memory_bars()) {
      // The guest writes any base it likes (sizing writes all ones): only what lies in the window and on
      // nobody else's range may reach the bus, which refuses overlaps.
      const bool inside =
          bar.base >= window_.base && bar.base < window_.end && bar.size <= window_.end - bar.base;
      if (!bar.decoded || !inside) continue;
      const bool clash = std::any_of(wanted.begin(), wanted.end(),
                                     [&](const MemoryBar& other) { return overlap(bar, other); });
      if (!clash) wanted.push_back(bar);
    }
  }
  const auto contains = [](const std::vector<MemoryBar>& list, const MemoryBar& bar) {
    return std::any_of(list.begin(), list.end(), [&](const MemoryBar& other) { return same(bar, other); });
  };
  for (const MemoryBar& bar : mapped_)
    if (!contains(wanted, bar)) io_.unmap_mmio(bar.base);
  for (const MemoryBar& bar : wanted)
    if (!contains(mapped_, bar)) io_.map_mmio(bar.name, bar.base, bar.size, *bar.handler);
  mapped_ = std::move(wanted);
}

std::uint32_t PciBus::line_of(unsigned slot, unsigned pin) const {
  return routing_.first_line + ((slot + pin) & (routing_.line_count - 1));
}

void PciBus::set_intx(unsigned slot, unsigned pin, bool level) {
  CHECK(slot < kSlots && pin < 4);
  const auto bit = static_cast<std::uint8_t>(1u << pin);
  pins_[slot] = static_cast<std::uint8_t>(level ? pins_[slot] | bit : pins_[slot] & ~bit);
  const std::uint32_t line = line_of(slot, pin);
  bool any = false;
  for (unsigned s = 0; s < kSlots; ++s)
    for (unsigned p = 0; p < 4; ++p) any = any || ((pins_[s] >> p & 1) != 0 && line_of(s, p) == line);
  irq_.set_irq(IrqLine(line), any);
}

void PciBus::reset() {
  for (PciDevice* device : slots_)
    if (device != nullptr) device->reset();
}

}  // namespace hindsight::devices::pci
