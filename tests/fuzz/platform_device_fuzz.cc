// The whole PC board under any sequence of accesses, inputs and times, states loaded from garbage included.
// What it CHECKs: nothing crashes, peeking changes nothing, and a saved state loads to itself.
#include <cstddef>
#include <cstdint>

#include "devices/board/pc.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "tests/support/device_exercise.h"

namespace hindsight::tests {
namespace {

using support::DeviceUnderTest;
using support::IoSpace;

void platform_devices(std::span<const std::uint8_t> input) {
  (void)log::configure("off");
  support::DeviceWorld world;
  devices::board::Pc pc({world.bus, world.time, world.time, world.memory, world.host, world.power},
                        {.ram_size = std::uint64_t{64} << 20});
  pc.power_on();
  DeviceUnderTest device{.owner = nullptr, .state = pc.parts(), .ranges = {}};
  for (const auto& [base, range] : world.bus.ports) {
    device.ranges.push_back({range.handler, range.size, IoSpace::ports});
  }
  for (const auto& [base, range] : world.bus.mmio) {
    device.ranges.push_back({range.handler, range.size, IoSpace::mmio});
  }
  device.stimulate = [&pc](std::uint64_t random) {
    if (pc.local_apic().pending()) (void)pc.local_apic().acknowledge();
    pc.irqs().set_irq(IrqLine(static_cast<std::uint32_t>(random % 24)), ((random >> 8) & 1) != 0);
    const std::byte byte{static_cast<unsigned char>(random >> 16)};
    pc.input(engine::port::Channel::serial0)->input({&byte, 1});
  };
  const bool from_garbage = !input.empty() && (input[0] & 1) != 0;
  support::Exercise exercise(world, device, input);
  if (from_garbage) exercise.load_garbage();
  for (int steps = 0; steps < 2000 && !exercise.exhausted(); ++steps) exercise.step();
  const auto saved = support::save(device);
  exercise.peek_everywhere();
  CHECK(saved == support::save(device), "peeking changed a state");
  support::load(device, saved);
  CHECK(saved == support::save(device), "a saved state does not load to itself");
}

}  // namespace
}  // namespace hindsight::tests

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hindsight::tests::platform_devices({data, size});
  return 0;
}
