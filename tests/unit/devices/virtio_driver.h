// A virtio driver in a few lines, for tests: finds the device through configuration mechanism 1, sets up
// split queues in fake memory, and makes buffers available. It does what the specification tells a driver to,
// unless a test asks it not to. One test thread.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "devices/pci/pci_host.h"
#include "devices/virtio/virtio_pci.h"
#include "tests/support/device_world.h"

namespace hindsight::tests {

/// A machine with a bus and nothing on it but the host bridge.
struct PciWorld : support::DeviceWorld {
  PciWorld() { host_bridge.map(bus); }
  devices::pci::PciBus pci{bus, irqs, msi};
  devices::pci::PciHost host_bridge{pci};

  std::uint32_t config_read(unsigned slot, unsigned offset, unsigned size = 4) {
    bus.out(0xCF8, 0x80000000U | slot << 11 | (offset & 0xFCU), 4);
    return static_cast<std::uint32_t>(bus.in(static_cast<std::uint16_t>(0xCFC + (offset & 3U)), size));
  }
  void config_write(unsigned slot, unsigned offset, std::uint32_t value, unsigned size = 4) {
    bus.out(0xCF8, 0x80000000U | slot << 11 | (offset & 0xFCU), 4);
    bus.out(static_cast<std::uint16_t>(0xCFC + (offset & 3U)), value, size);
  }
  template <class T>
  void poke(std::uint64_t address, T value) {
    std::memcpy(memory.bytes.data() + address, &value, sizeof value);
  }
  template <class T>
  T look(std::uint64_t address) const {
    T value;
    std::memcpy(&value, memory.bytes.data() + address, sizeof value);
    return value;
  }
  std::string text(std::uint64_t address, std::size_t size) const {
    return {reinterpret_cast<const char*>(memory.bytes.data()) + address, size};
  }
  void put_text(std::uint64_t address, std::string_view value) {
    std::memcpy(memory.bytes.data() + address, value.data(), value.size());
  }
};

class VirtioDriver {
 public:
  struct Buffer {
    std::uint64_t address;
    std::uint32_t length;
    bool device_writes;
  };
  static constexpr std::uint16_t kQueueSize = 8;
  static constexpr std::uint64_t kFeatureIndirect = devices::virtio::kFeatureIndirect;
  static constexpr std::uint64_t kFeatureEventIndex = devices::virtio::kFeatureEventIndex;

  VirtioDriver(PciWorld& world, unsigned slot) : world_(world), slot_(slot) {
    world.config_write(slot, 4, 6, 2);  // memory space, bus master
    bar_ = world.config_read(slot, 0x10) & ~0xFU;
  }

  std::uint64_t read(std::uint64_t offset, unsigned size) {
    return world_.bus.read_mmio(bar_ + offset, size);
  }
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) {
    world_.bus.write_mmio(bar_ + offset, size, value);
  }
  std::uint8_t status() { return static_cast<std::uint8_t>(read(20, 1)); }
  bool needs_reset() { return (status() & devices::virtio::kStatusNeedsReset) != 0; }
  std::uint8_t isr() { return static_cast<std::uint8_t>(read(devices::virtio::kIsrOffset, 1)); }
  std::uint64_t config(std::uint64_t offset, unsigned size) {
    return read(devices::virtio::kDeviceOffset + offset, size);
  }
  std::uint64_t offered() {
    write(0, 4, 0);
    const std::uint64_t low = read(4, 4);
    write(0, 4, 1);
    return low | read(4, 4) << 32;
  }
  /// Reset to FEATURES_OK; returns whether the device took the features.
  bool negotiate(std::uint64_t features) {
    write(20, 1, 0);
    write(20, 1, 1);
    write(20, 1, 3);
    for (std::uint32_t half = 0; half < 2; ++half) {
      write(8, 4, half);
      write(12, 4, features >> (32 * half) & 0xFFFFFFFF);
    }
    write(20, 1, 11);
    features_ = features;
    return (status() & 8) != 0;
  }
  void set_up_queue(unsigned queue) {
    write(22, 2, queue);
    write(24, 2, kQueueSize);
    write64(32, descriptors(queue));
    write64(40, available(queue));
    write64(48, used(queue));
    write(28, 2, 1);
  }
  void start() { write(20, 1, 15); }
  /// Everything at once, for `queues` queues.
  void bring_up(unsigned queues, std::uint64_t features = 0) {
    negotiate(features | devices::virtio::kFeatureVersion1);
    for (unsigned queue = 0; queue < queues; ++queue) set_up_queue(queue);
    start();
  }

  static std::uint64_t descriptors(unsigned queue) { return 0x10000 * (queue + 1); }
  static std::uint64_t available(unsigned queue) { return descriptors(queue) + 0x2000; }
  static std::uint64_t used(unsigned queue) { return descriptors(queue) + 0x4000; }
  static std::uint64_t used_event(unsigned queue) { return available(queue) + 4 + 2 * kQueueSize; }
  static std::uint64_t available_event(unsigned queue) { return used(queue) + 4 + 8 * kQueueSize; }

  void put_descriptor(std::uint64_t table, unsigned index, std::uint64_t address, std::uint32_t length,
                      std::uint16_t flags, std::uint16_t next) {
    world_.poke(table + 16 * index, address);
    world_.poke(table + 16 * index + 8, length);
    world_.poke(table + 16 * index + 12, flags);
    world_.poke(table + 16 * index + 14, next);
  }
  /// Writes a chain into `table` from row `first` on.
  void put_chain(std::uint64_t table, unsigned first, const std::vector<Buffer>& buffers) {
    for (unsigned i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const unsigned flags = (last ? 0U : 1U) | (buffers[i].device_writes ? 2U : 0U);
      put_descriptor(table, first + i, buffers[i].address, buffers[i].length,
                     static_cast<std::uint16_t>(flags), static_cast<std::uint16_t>(last ? 0 : first + i + 1));
    }
  }
  /// Puts `head` into the available ring.
  void offer(unsigned queue, std::uint16_t head) {
    const auto index = world_.look<std::uint16_t>(available(queue) + 2);
    world_.poke(available(queue) + 4 + 2 * (index % kQueueSize), head);
    world_.poke(available(queue) + 2, static_cast<std::uint16_t>(index + 1));
  }
  void notify(unsigned queue) { write(devices::virtio::kNotifyOffset + 4 * queue, 2, queue); }
  /// Offers one chain at descriptor `first` and notifies.
  void submit(unsigned queue, const std::vector<Buffer>& buffers, unsigned first = 0) {
    put_chain(descriptors(queue), first, buffers);
    offer(queue, static_cast<std::uint16_t>(first));
    notify(queue);
  }
  std::uint16_t used_index(unsigned queue) { return world_.look<std::uint16_t>(used(queue) + 2); }
  /// The length the device reported for the `nth` chain it returned.
  std::uint32_t used_length(unsigned queue, unsigned nth) {
    return world_.look<std::uint32_t>(used(queue) + 4 + 8 * (nth % kQueueSize) + 4);
  }
  /// Turns MSI-X on and routes configuration changes to vector 0 and queue n to vector n + 1.
  void use_msix(unsigned queues) {
    for (unsigned vector = 0; vector <= queues; ++vector) {
      const std::uint64_t row = devices::virtio::kMsixTableOffset + 16 * vector;
      write(row, 4, 0xFEE00000);
      write(row + 4, 4, 0);
      write(row + 8, 4, 0x40 + vector);
      write(row + 12, 4, 0);
    }
    world_.config_write(slot_, msix_capability() + 2, 0x8000, 2);
    write(16, 2, 0);
    for (unsigned queue = 0; queue < queues; ++queue) {
      write(22, 2, queue);
      write(26, 2, queue + 1);
    }
  }
  unsigned msix_capability() { return find_capability(0x11, 0); }
  /// The offset of the first capability with this id (and, for vendor capabilities, this virtio type); 0 if
  /// none.
  unsigned find_capability(std::uint32_t id, std::uint32_t type) {
    unsigned at = world_.config_read(slot_, 0x34, 1);
    for (; at != 0; at = world_.config_read(slot_, at + 1, 1))
      if (world_.config_read(slot_, at, 1) == id && (id != 9 || world_.config_read(slot_, at + 3, 1) == type))
        return at;
    return 0;
  }

 private:
  void write64(std::uint64_t offset, std::uint64_t value) {
    write(offset, 4, value & 0xFFFFFFFF);
    write(offset + 4, 4, value >> 32);
  }

  PciWorld& world_;
  unsigned slot_;
  std::uint64_t bar_ = 0;
  std::uint64_t features_ = 0;
};

}  // namespace hindsight::tests
