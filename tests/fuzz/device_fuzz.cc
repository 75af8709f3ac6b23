#include "tests/fuzz/device_fuzz.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "devices/virtio/virtio_block.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_entropy.h"
#include "devices/virtio/virtio_net.h"
#include "engine/base/check.h"
#include "tests/support/device_exercise.h"
#include "tests/unit/devices/virtio_driver.h"

namespace hindsight::tests::fuzz {
namespace {

/// All four devices, in their slots.
struct FuzzMachine : PciWorld {
  devices::virtio::VirtioBlock block{pci, memory, host, {.sectors = 64}};
  devices::virtio::VirtioNet net{pci, memory, host};
  devices::virtio::VirtioEntropy entropy{pci, memory, host};
  devices::virtio::VirtioConsole console{pci, memory, host};

  support::DeviceUnderTest parts() {
    return {.owner = nullptr, .state = {&host_bridge, &block, &net, &entropy, &console}, .ranges = {}};
  }
  void check_state() {
    const support::DeviceUnderTest all = parts();
    const std::vector<std::uint8_t> saved = support::save(all);
    support::load(all, saved);
    CHECK(saved == support::save(all), "a saved state must load to itself");
  }
};

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint64_t take(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size && !bytes_.empty(); ++i, bytes_ = bytes_.subspan(1))
      value |= static_cast<std::uint64_t>(bytes_[0]) << (8 * i);
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

void step(FuzzMachine& machine, VirtioDriver& driver, Input& input) {
  const std::uint64_t operation = input.take(1);
  const auto queue = static_cast<unsigned>(operation >> 3 & 1);
  switch (operation & 7) {
    case 0: {  // a descriptor
      const std::uint64_t row = input.take(1) & 15;
      const std::uint64_t address = input.take(3);
      const auto length = static_cast<std::uint32_t>(input.take(2));
      const auto flags = static_cast<std::uint16_t>(input.take(1) & 7);
      const auto next = static_cast<std::uint16_t>(input.take(1) & 15);
      driver.put_descriptor(VirtioDriver::descriptors(queue), static_cast<unsigned>(row), address, length,
                            flags, next);
      break;
    }
    case 1:
      driver.offer(queue, static_cast<std::uint16_t>(input.take(1)));
      driver.notify(queue);
      break;
    case 2:
      driver.notify(queue);
      break;
    case 3: {  // anything in memory
      const std::uint64_t address = input.take(3) & 0x7FFFF;
      machine.poke(address, input.take(8));
      break;
    }
    case 4: {  // anything in the BAR
      const std::uint64_t offset = input.take(2) & 0x7FFF;
      const unsigned size = 1U << (input.take(1) & 3);
      driver.write(offset, size, input.take(size));
      break;
    }
    case 5: {
      const std::vector<std::byte> data(input.take(2) & 0x7FF);
      machine.net.input(data);
      machine.console.input(data);
      break;
    }
    case 6:
      driver.bring_up(queue + 1, input.take(1) << 28 & (std::uint64_t{3} << 28));
      break;
    default:
      driver.offer(queue, static_cast<std::uint16_t>(input.take(1) & 7));
      break;
  }
}

}  // namespace

void virtqueue(std::span<const std::uint8_t> bytes) {
  Input input(bytes);
  FuzzMachine machine;
  const auto slot = static_cast<unsigned>(devices::virtio::kBlockSlot + (input.take(1) & 3));
  VirtioDriver driver(machine, slot);
  driver.bring_up(2, input.take(1) << 28 & (std::uint64_t{3} << 28));
  while (!input.empty()) step(machine, driver, input);
  machine.check_state();
}

void pci_config(std::span<const std::uint8_t> bytes) {
  Input input(bytes);
  FuzzMachine machine;
  while (!input.empty()) {
    const std::uint64_t operation = input.take(1);
    const unsigned size = 1U << (operation >> 2 & 3) % 3;
    switch (operation & 3) {
      case 0:
        machine.bus.out(0xCF8, 0x80000000U | (input.take(2) & 0x3FFF), 4);
        break;
      case 1:
        machine.bus.out(static_cast<std::uint16_t>(0xCF8 + (operation >> 4 & 7)), input.take(size), size);
        break;
      case 2:
        machine.bus.in(static_cast<std::uint16_t>(0xCF8 + (operation >> 4 & 7)), size);
        break;
      default: {
        if (machine.bus.mmio.empty()) break;
        const auto range = std::next(machine.bus.mmio.begin(),
                                     static_cast<std::ptrdiff_t>((operation >> 4) % machine.bus.mmio.size()));
        const std::uint64_t address = range->first + input.take(2) % range->second.size;
        machine.bus.write_mmio(address, size, input.take(size));
        break;
      }
    }
  }
  machine.check_state();
}

}  // namespace hindsight::tests::fuzz
