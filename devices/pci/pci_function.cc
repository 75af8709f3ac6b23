#include "devices/pci/pci_function.h"

#include <bit>

#include "engine/base/check.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::pci {
namespace {

// Offsets in a type 0 header (PCI Local Bus 3.0, figure 6-1).
constexpr unsigned kCommand = 0x04;
constexpr unsigned kStatus = 0x06;
constexpr unsigned kBar0 = 0x10;
constexpr unsigned kInterruptLine = 0x3C;

constexpr std::uint8_t kStatusCapabilities = 0x10;
constexpr std::uint8_t kStatusInterrupt = 0x08;
constexpr std::uint8_t kCapabilityMsix = 0x11;
constexpr std::uint8_t kMsixEnable = 0x80;        // high byte of message control
constexpr std::uint8_t kMsixFunctionMask = 0x40;  // likewise

std::uint32_t load_bytes(std::span<const std::uint8_t> bytes, unsigned offset, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= static_cast<std::uint32_t>(bytes[(offset + i) & 0xFF]) << (8 * i);
  return value;
}

}  // namespace

PciFunction::PciFunction(PciBus& bus, unsigned slot, const Identity& identity)
    : bus_(bus), slot_(slot), has_intx_(identity.intx) {
  set_register(0x00, identity.vendor | static_cast<std::uint32_t>(identity.device) << 16, 0);
  // Firmware leaves memory decoding on for the devices whose BARs it has assigned.
  set_register(kCommand, kCommandMemory, kCommandMemory | kCommandMaster | kCommandIntxDisable);
  set_register(0x08, identity.revision | identity.class_code << 8, 0);
  set_register(0x0C, 0, 0x0000FFFF);  // cache line size and latency timer: kept, without effect
  set_register(0x2C, identity.subsystem_vendor | static_cast<std::uint32_t>(identity.subsystem) << 16, 0);
  if (has_intx_) {
    set_register(kInterruptLine, bus.line_of(slot, 0) | 1u << 8, 0xFF);
  }
}

void PciFunction::set_register(unsigned offset, std::uint32_t value, std::uint32_t writable) {
  store_little_endian(std::span(initial_).subspan(offset, 4), value);
  store_little_endian(std::span(config_).subspan(offset, 4), value);
  store_little_endian(std::span(writable_).subspan(offset, 4), writable);
}

void PciFunction::add_bar(unsigned index, std::string_view name, std::uint64_t size,
                          engine::port::IoHandler& handler) {
  CHECK(index < 6 && std::has_single_bit(size) && size >= kPageSize && size <= 0x80000000, "BAR {}", index);
  const GuestPhys base = bus_.assign(size);
  const unsigned offset = kBar0 + 4 * index;
  set_register(offset, static_cast<std::uint32_t>(base.value), ~static_cast<std::uint32_t>(size - 1));
  bars_.push_back({name, base, size, &handler, true});
  bar_offsets_.push_back(offset);
}

unsigned PciFunction::add_capability(std::uint8_t id, std::span<const std::uint8_t> body,
                                     std::span<const std::uint8_t> writable) {
  const unsigned offset = next_capability_;
  CHECK(offset + 2 + body.size() <= 256, "capabilities do not fit");
  CHECK(writable.empty() || writable.size() == body.size());
  initial_[last_link_] = config_[last_link_] = static_cast<std::uint8_t>(offset);
  initial_[kStatus] = config_[kStatus] = config_[kStatus] | kStatusCapabilities;
  initial_[offset] = config_[offset] = id;
  for (unsigned i = 0; i < body.size(); ++i) {
    initial_[offset + 2 + i] = config_[offset + 2 + i] = body[i];
    if (!writable.empty()) writable_[offset + 2 + i] = writable[i];
  }
  last_link_ = offset + 1;
  next_capability_ = (offset + 2 + static_cast<unsigned>(body.size()) + 3) & ~3u;
  return offset;
}

void PciFunction::add_msix(unsigned vectors, unsigned bar, std::uint32_t table_offset,
                           std::uint32_t pending_offset) {
  CHECK(vectors >= 1 && vectors <= 64, "{} vectors", vectors);
  std::array<std::uint8_t, 10> body{};
  body[0] = static_cast<std::uint8_t>(vectors - 1);
  store_little_endian(std::span(body).subspan(2, 4), table_offset | bar);
  store_little_endian(std::span(body).subspan(6, 4), pending_offset | bar);
  std::array<std::uint8_t, 10> writable{};
  writable[1] = kMsixEnable | kMsixFunctionMask;
  msix_capability_ = add_capability(kCapabilityMsix, body, writable);
  msix_.assign(vectors, MsixVector{});
}

std::uint16_t PciFunction::command() const {
  return static_cast<std::uint16_t>(config_[kCommand] | config_[kCommand + 1] << 8);
}

std::uint32_t PciFunction::config_read(unsigned offset, unsigned size) const {
  return load_bytes(config_, offset, size);
}

void PciFunction::config_write(unsigned offset, unsigned size, std::uint32_t value) {
  for (unsigned i = 0; i < size; ++i) {
    const unsigned at = (offset + i) & 0xFF;
    const auto byte = static_cast<std::uint8_t>(value >> (8 * i));
    config_[at] = static_cast<std::uint8_t>((config_[at] & ~writable_[at]) | (byte & writable_[at]));
  }
  refresh();
}

// Brings everything that depends on configuration space in line with it.
void PciFunction::refresh() {
  const bool decoded = (command() & kCommandMemory) != 0;
  bool changed = false;
  for (std::size_t i = 0; i < bars_.size(); ++i) {
    const GuestPhys base(load_bytes(config_, bar_offsets_[i], 4) & ~std::uint32_t{0xF});
    changed = changed || bars_[i].base != base || bars_[i].decoded != decoded;
    bars_[i].base = base;
    bars_[i].decoded = decoded;
  }
  if (changed) bus_.update_mappings();
  set_interrupt(interrupt_);
  deliver_pending();
}

void PciFunction::reset() {
  config_ = initial_;
  for (MsixVector& vector : msix_) vector = MsixVector{};
  interrupt_ = false;
  refresh();
}

bool PciFunction::msix_enabled() const {
  return msix_capability_ != 0 && (config_[msix_capability_ + 3] & kMsixEnable) != 0;
}

void PciFunction::set_interrupt(bool level) {
  interrupt_ = level;
  if (!has_intx_) return;
  config_[kStatus] = static_cast<std::uint8_t>(level ? config_[kStatus] | kStatusInterrupt
                                                     : config_[kStatus] & ~kStatusInterrupt);
  bus_.set_intx(slot_, 0, level && !msix_enabled() && (command() & kCommandIntxDisable) == 0);
}

bool PciFunction::masked(const MsixVector& vector) const {
  return (vector.words[3] & 1) != 0 || (config_[msix_capability_ + 3] & kMsixFunctionMask) != 0 ||
         !bus_master();
}

void PciFunction::send_msix(unsigned vector) {
  if (!msix_enabled() || vector >= msix_.size()) return;
  msix_[vector].pending = true;
  deliver_pending();
}

void PciFunction::deliver_pending() {
  if (!msix_enabled()) return;
  for (MsixVector& vector : msix_) {
    if (!vector.pending || masked(vector)) continue;
    vector.pending = false;
    const GuestPhys address(static_cast<std::uint64_t>(vector.words[1]) << 32 | (vector.words[0] & ~3u));
    bus_.send_msi(address, vector.words[2]);
  }
}

std::uint64_t PciFunction::msix_table_read(std::uint64_t offset, unsigned size) const {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const std::uint64_t at = offset + i;
    if (at / 16 >= msix_.size()) break;
    const std::uint32_t word = msix_[at / 16].words[at / 4 % 4];
    value |= static_cast<std::uint64_t>(word >> (8 * (at % 4)) & 0xFF) << (8 * i);
  }
  return value;
}

void PciFunction::msix_table_write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  // Only aligned accesses of 4 or 8 bytes are defined (PCI Local Bus 3.0, 6.8.2).
  if ((size != 4 && size != 8) || offset % size != 0) return;
  for (unsigned i = 0; i < size; i += 4) {
    const std::uint64_t at = offset + i;
    if (at / 16 >= msix_.size()) return;
    auto word = static_cast<std::uint32_t>(value >> (8 * i));
    if (at / 4 % 4 == 3) word &= 1;  // vector control: only the mask bit exists
    msix_[at / 16].words[at / 4 % 4] = word;
  }
  deliver_pending();
}

std::uint64_t PciFunction::msix_pending_read(std::uint64_t offset, unsigned size) const {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < msix_.size(); ++i) bits |= static_cast<std::uint64_t>(msix_[i].pending) << i;
  if (offset >= 8) return 0;
  bits >>= 8 * offset;
  return size >= 8 ? bits : bits & ((std::uint64_t{1} << (8 * size)) - 1);
}

void PciFunction::save(traces::schema::PciFunctionState::Builder out) const {
  auto config = out.initConfig(64);
  for (unsigned i = 0; i < 64; ++i) config.set(i, load_bytes(config_, 4 * i, 4));
  auto vectors = out.initMsix(static_cast<unsigned>(msix_.size()));
  for (unsigned i = 0; i < msix_.size(); ++i) {
    vectors[i].setAddressLow(msix_[i].words[0]);
    vectors[i].setAddressHigh(msix_[i].words[1]);
    vectors[i].setData(msix_[i].words[2]);
    vectors[i].setControl(msix_[i].words[3]);
    vectors[i].setPending(msix_[i].pending);
  }
}

void PciFunction::load(traces::schema::PciFunctionState::Reader in, bool interrupt) {
  config_ = initial_;
  const auto config = in.getConfig();
  for (unsigned i = 0; i < 256 && i / 4 < config.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(config[i / 4] >> (8 * (i % 4)));
    config_[i] = static_cast<std::uint8_t>((config_[i] & ~writable_[i]) | (byte & writable_[i]));
  }
  const auto vectors = in.getMsix();
  for (unsigned i = 0; i < msix_.size(); ++i) {
    msix_[i] = MsixVector{};
    if (i >= vectors.size()) continue;
    msix_[i].words = {vectors[i].getAddressLow(), vectors[i].getAddressHigh(), vectors[i].getData(),
                      vectors[i].getControl() & 1};
    // A vector that is pending although it could be sent was not saved by us: sending it here would raise an
    // interrupt that the saved machine did not have.
    msix_[i].pending = vectors[i].getPending() && msix_enabled() && masked(msix_[i]);
  }
  interrupt_ = interrupt;
  refresh();
}

}  // namespace hindsight::devices::pci
