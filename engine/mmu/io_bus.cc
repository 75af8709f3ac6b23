#include "engine/mmu/io_bus.h"

#include "engine/base/log.h"

namespace hindsight::engine::mmu {
namespace {

constexpr std::uint64_t all_ones(unsigned size) {
  return size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (size * 8)) - 1;
}

}  // namespace

void IoBus::map(Space& space, std::string_view name, std::uint64_t base, std::uint64_t size,
                port::IoHandler& handler) {
  const auto next = space.lower_bound(base);
  const bool overlaps_next = next != space.end() && size > next->first - base;
  const bool overlaps_previous =
      next != space.begin() && std::prev(next)->second.size > base - std::prev(next)->first;
  if (overlaps_next || overlaps_previous) {
    log::warn("bus", "{} at {:#x} overlaps {}: not mapped", name, base,
              (overlaps_next ? next : std::prev(next))->second.name);
    return;
  }
  space.emplace(base, Range{std::string(name), size, &handler});
}

void IoBus::map_mmio(std::string_view name, GuestPhys base, std::uint64_t size, port::IoHandler& handler) {
  map(mmio_, name, base.value, size, handler);
}
void IoBus::unmap_mmio(GuestPhys base) { mmio_.erase(base.value); }
void IoBus::map_ports(std::string_view name, std::uint16_t base, std::uint16_t count,
                      port::IoHandler& handler) {
  map(ports_, name, base, count, handler);
}
void IoBus::unmap_ports(std::uint16_t base) { ports_.erase(base); }

IoBus::Hit IoBus::find(const Space& space, std::uint64_t address, unsigned size) {
  auto it = space.upper_bound(address);
  if (it == space.begin()) return {nullptr, 0, nullptr};
  --it;
  const std::uint64_t offset = address - it->first;
  if (offset >= it->second.size || size > it->second.size - offset) return {nullptr, 0, nullptr};
  return {it->second.handler, offset, &it->second.name};
}

void IoBus::tell(const Hit& hit, bool port, std::uint64_t address, unsigned size, bool write,
                 std::uint64_t value) const {
  if (observer_ == nullptr) return;
  port::DeviceAccess access;
  if (hit.name != nullptr) access.device = *hit.name;
  access.port = port;
  access.address = address;
  access.size = size;
  access.write = write;
  access.value = value;
  observer_->device_accessed(access);
}

std::uint64_t IoBus::read_mmio(GuestPhys address, unsigned size) {
  const Hit hit = find(mmio_, address.value, size);
  std::uint64_t value = all_ones(size);
  if (hit.handler != nullptr)
    value &= hit.handler->read(hit.offset, size);
  else
    log::debug("bus", "read of {} bytes at unmapped {:#x}", size, address.value);
  tell(hit, false, address.value, size, false, value);
  return value;
}

void IoBus::write_mmio(GuestPhys address, unsigned size, std::uint64_t value) {
  const Hit hit = find(mmio_, address.value, size);
  tell(hit, false, address.value, size, true, value & all_ones(size));
  if (hit.handler != nullptr)
    hit.handler->write(hit.offset, size, value & all_ones(size));
  else
    log::debug("bus", "write of {} bytes at unmapped {:#x}", size, address.value);
}

std::uint32_t IoBus::read_port(std::uint16_t port, unsigned size) {
  const Hit hit = find(ports_, port, size);
  std::uint64_t value = all_ones(size);
  if (hit.handler != nullptr)
    value &= hit.handler->read(hit.offset, size);
  else
    log::debug("bus", "read of {} bytes at unmapped port {:#x}", size, port);
  tell(hit, true, port, size, false, value);
  return static_cast<std::uint32_t>(value);
}

void IoBus::write_port(std::uint16_t port, unsigned size, std::uint32_t value) {
  const Hit hit = find(ports_, port, size);
  tell(hit, true, port, size, true, value & all_ones(size));
  if (hit.handler != nullptr)
    hit.handler->write(hit.offset, size, value & all_ones(size));
  else
    log::debug("bus", "write of {} bytes at unmapped port {:#x}", size, port);
}

}  // namespace hindsight::engine::mmu
