#include "devices/intc/io_apic.h"

#include "devices/core/access.h"
#include "engine/base/log.h"

namespace hindsight::devices::intc {

namespace {

// Redirection table entries (82093AA, 3.2.4).
constexpr std::uint64_t kRemoteIrr = 1U << 14;
constexpr std::uint64_t kLevel = 1U << 15;
constexpr std::uint64_t kMasked = 1U << 16;
constexpr std::uint64_t kDeliveryStatus = 1U << 12;
constexpr std::uint64_t kReadOnly = kRemoteIrr | kDeliveryStatus;
constexpr std::uint64_t kWritable = 0xFF0000000001FFFF & ~kReadOnly;

constexpr std::uint32_t kVersion = 0x20 | ((IoApic::kLines - 1) << 16);
constexpr std::uint64_t kIoRegSel = 0x00, kIoWin = 0x10, kEoi = 0x40;
constexpr std::uint32_t kLineMask = (1U << IoApic::kLines) - 1;

}  // namespace

IoApic::IoApic(ApicBus& bus) : bus_(bus) {
  bus_.attach(static_cast<EoiListener&>(*this));
  reset();
}

void IoApic::reset() {
  id_ = 0;
  ioregsel_ = 0;
  redirection_.fill(kMasked);
}

void IoApic::set_input(unsigned line, bool level) {
  if (line >= kLines) return;
  const std::uint32_t mask = 1U << line;
  const bool rose = level && (lines_ & mask) == 0;
  lines_ = level ? lines_ | mask : lines_ & ~mask;
  if ((redirection_[line] & kLevel) != 0) {
    evaluate_level(line);
  } else if (rose && (redirection_[line] & kMasked) == 0) {
    deliver(line);
  }
}

void IoApic::evaluate_level(unsigned line) {
  std::uint64_t& entry = redirection_[line];
  if (((lines_ >> line) & 1) == 0 || (entry & (kMasked | kRemoteIrr)) != 0) return;
  entry |= kRemoteIrr;
  deliver(line);
}

void IoApic::deliver(unsigned line) {
  const std::uint64_t entry = redirection_[line];
  const Delivery delivery = static_cast<Delivery>((entry >> 8) & 7);
  if (delivery != Delivery::fixed && delivery != Delivery::lowest_priority) {
    log::warn("ioapic", "input {} asks for delivery mode {}, which is not implemented", line,
              (entry >> 8) & 7);
    return;
  }
  bus_.send({.destination = static_cast<std::uint8_t>(entry >> 56),
             .logical = (entry & 0x800) != 0,
             .delivery = delivery,
             .level_triggered = (entry & kLevel) != 0,
             .vector = static_cast<std::uint8_t>(entry)});
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
  for (unsigned line = 0; line < kLines; ++line) {
    std::uint64_t& entry = redirection_[line];
    if ((entry & kLevel) == 0 || static_cast<std::uint8_t>(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    evaluate_level(line);
  }
}

std::uint32_t IoApic::read_register(std::uint64_t offset) const {
  if (offset == kIoRegSel) return ioregsel_;
  if (offset != kIoWin) return 0;
  if (ioregsel_ == 0 || ioregsel_ == 2) return id_;  // 2: the arbitration ID, loaded with the ID
  if (ioregsel_ == 1) return kVersion;
  const std::uint32_t index = ioregsel_ - 0x10;
  if (ioregsel_ < 0x10 || index >= 2 * kLines) return 0;
  return static_cast<std::uint32_t>(redirection_[index / 2] >> (32 * (index & 1)));
}

void IoApic::write_register(std::uint64_t offset, std::uint32_t value) {
  if (offset == kIoRegSel) {
    ioregsel_ = value & 0xFF;
  } else if (offset == kEoi) {
    end_of_interrupt(static_cast<std::uint8_t>(value));
  } else if (offset == kIoWin) {
    if (ioregsel_ == 0) id_ = value & 0x0F000000;
    const std::uint32_t index = ioregsel_ - 0x10;
    if (ioregsel_ >= 0x10 && index < 2 * kLines) write_redirection(index / 2, (index & 1) != 0, value);
  }
}

void IoApic::write_redirection(unsigned line, bool high, std::uint32_t value) {
  std::uint64_t& entry = redirection_[line];
  const unsigned shift = high ? 32 : 0;
  const std::uint64_t writable = kWritable & (std::uint64_t{0xFFFFFFFF} << shift);
  entry = (entry & ~writable) | ((std::uint64_t{value} << shift) & writable);
  // Remote IRR means nothing for edges; drivers clear it by switching to edge and back.
  if ((entry & kLevel) == 0) {
    entry &= ~kRemoteIrr;
  } else {
    evaluate_level(line);
  }
}

void IoApic::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_dwords(offset, size, value,
                     [this](std::uint64_t at, std::uint32_t word) { write_register(at, word); });
}

std::uint64_t IoApic::peek(std::uint64_t offset, unsigned size) const {
  return core::read_dwords(offset, size, [this](std::uint64_t at) { return read_register(at); });
}

void IoApic::save(traces::schema::IoApicState::Builder out) const {
  out.setId(id_);
  out.setIoregsel(ioregsel_);
  auto list = out.initRedirection(kLines);
  for (unsigned line = 0; line < kLines; ++line) list.set(line, redirection_[line]);
  out.setLines(lines_);
}

void IoApic::load(traces::schema::IoApicState::Reader in) {
  id_ = in.getId() & 0x0F000000;
  ioregsel_ = in.getIoregsel() & 0xFF;
  const auto list = in.getRedirection();
  for (unsigned line = 0; line < kLines; ++line) {
    redirection_[line] = line < list.size() ? list[line] & (kWritable | kRemoteIrr) : kMasked;
  }
  lines_ = in.getLines() & kLineMask;
}

}  // namespace hindsight::devices::intc
