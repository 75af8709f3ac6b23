#include "devices/pci/pci_host.h"

namespace hindsight::devices::pci {
namespace {

// The 82441FX (440FX) host bridge: every x86 kernel knows it and asks nothing of it.
constexpr Identity kIdentity{.vendor = 0x8086, .device = 0x1237, .class_code = 0x060000, .revision = 2};

constexpr std::uint32_t kEnable = 0x80000000;
constexpr std::uint32_t kAddressBits = 0x80FFFFFC;

std::uint64_t all_ones(unsigned size) {
  return size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * size) - 1;
}

}  // namespace

PciHost::PciHost(PciBus& bus, engine::port::IoHandler* extra)
    : bus_(bus), extra_(extra), function_(bus, 0, kIdentity) {
  bus_.attach(0, *this);
}

PciHost::~PciHost() { bus_.detach(0); }

// Whether a data access reaches a function of bus 0.
bool PciHost::selects(std::uint64_t offset, unsigned size) const {
  const bool bus0_function0 = (address_ & 0x00FF0700) == 0;
  return (address_ & kEnable) != 0 && bus0_function0 && offset >= 4 && offset + size <= 8;
}

std::uint64_t PciHost::read(std::uint64_t offset, unsigned size) {
  if (offset < 4) {
    if (offset == 0 && size == 4) return address_;
    return extra_ != nullptr ? extra_->read(offset, size) : all_ones(size);
  }
  if (!selects(offset, size)) return all_ones(size);
  return bus_.config_read(address_ >> 11 & 0x1F, (address_ & 0xFC) + static_cast<unsigned>(offset - 4), size);
}

std::uint64_t PciHost::peek(std::uint64_t offset, unsigned size) const {
  if (offset < 4) {
    if (offset == 0 && size == 4) return address_;
    return extra_ != nullptr ? extra_->peek(offset, size) : all_ones(size);
  }
  if (!selects(offset, size)) return all_ones(size);
  return bus_.config_peek(address_ >> 11 & 0x1F, (address_ & 0xFC) + static_cast<unsigned>(offset - 4), size);
}

void PciHost::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (offset < 4) {
    if (offset == 0 && size == 4) {
      address_ = static_cast<std::uint32_t>(value) & kAddressBits;
    } else if (extra_ != nullptr) {
      extra_->write(offset, size, value);
    }
    return;
  }
  if (!selects(offset, size)) return;
  bus_.config_write(address_ >> 11 & 0x1F, (address_ & 0xFC) + static_cast<unsigned>(offset - 4), size,
                    static_cast<std::uint32_t>(value));
}

void PciHost::reset() {
  address_ = 0;
  function_.reset();
}

void PciHost::save(traces::schema::PciHostState::Builder out) const {
  out.setConfigAddress(address_);
  function_.save(out.initFunction());
}

void PciHost::load(traces::schema::PciHostState::Reader in) {
  address_ = in.getConfigAddress() & kAddressBits;
  function_.load(in.getFunction(), false);
}

}  // namespace hindsight::devices::pci
