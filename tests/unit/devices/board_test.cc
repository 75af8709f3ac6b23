#include "devices/board/pc.h"
#include "tests/unit/devices/conformance.h"

namespace hindsight::tests {
namespace {

using devices::board::Pc;

constexpr std::uint64_t kRam = std::uint64_t{64} << 20;

struct PcSetup {
  explicit PcSetup(DeviceWorld& world)
      : pc({world.bus, world.time, world.time, world.memory, world.host, world.power}, {.ram_size = kRam}) {
    pc.power_on();
  }
  Pc pc;
};

DeviceUnderTest make_pc(DeviceWorld& world) {
  auto setup = std::make_shared<PcSetup>(world);
  DeviceUnderTest device{.owner = setup, .state = setup->pc.parts(), .ranges = {}};
  for (const auto& [base, range] : world.bus.ports) {
    device.ranges.push_back({range.handler, range.size, IoSpace::ports});
  }
  for (const auto& [base, range] : world.bus.mmio) {
    device.ranges.push_back({range.handler, std::min<std::uint64_t>(range.size, 0x400), IoSpace::mmio});
  }
  device.stimulate = [setup](std::uint64_t random) {
    engine::port::LocalApicPort& apic = setup->pc.local_apic();
    if (random % 3 == 0 && apic.pending()) (void)apic.acknowledge();
    if (random % 3 == 1) setup->pc.irqs().set_irq(IrqLine(16 + (random >> 8) % 8), (random >> 16) & 1);
    if (random % 3 == 2) {
      const std::byte byte{static_cast<unsigned char>(random >> 8)};
      setup->pc.input(engine::port::Channel::serial0)->input({&byte, 1});
    }
  };
  return device;
}

INSTANTIATE_TEST_SUITE_P(Pc, DeviceConformance, testing::Values(DeviceFactory{make_pc}));

void program_pic(DeviceWorld& world) {
  for (const auto& [port, value] : std::vector<std::pair<std::uint16_t, std::uint8_t>>{{0x20, 0x11},
                                                                                       {0x21, 0x30},
                                                                                       {0x21, 0x04},
                                                                                       {0x21, 0x01},
                                                                                       {0xA0, 0x11},
                                                                                       {0xA1, 0x38},
                                                                                       {0xA1, 0x02},
                                                                                       {0xA1, 0x01}}) {
    world.bus.out(port, value);
  }
}

TEST(Pc, PitInterruptReachesTheCpuThroughPicAndVirtualWire) {
  DeviceWorld world;
  PcSetup setup(world);
  program_pic(world);
  world.bus.out(0x43, 0x34);
  world.bus.out(0x40, 0xA9);
  world.bus.out(0x40, 0x04);
  while (setup.pc.local_apic().pending()) {
    (void)setup.pc.local_apic().acknowledge();
    world.bus.out(0x20, 0x20);
  }
  world.time.advance(1'100'000);
  ASSERT_TRUE(setup.pc.local_apic().pending());
  EXPECT_EQ(setup.pc.local_apic().acknowledge(), 0x30);
}

void redirect(DeviceWorld& world, unsigned line, std::uint32_t low) {
  world.bus.write_mmio(0xFEC00000, 4, 0x10 + 2 * line);
  world.bus.write_mmio(0xFEC00010, 4, low);
}

TEST(Pc, PitInterruptReachesIoApicInput2) {
  DeviceWorld world;
  PcSetup setup(world);
  redirect(world, 2, 0x30);
  world.bus.out(0x43, 0x34);
  world.bus.out(0x40, 0xA9);
  world.bus.out(0x40, 0x04);
  world.time.advance(1'100'000);
  ASSERT_TRUE(setup.pc.local_apic().pending());
  EXPECT_EQ(setup.pc.local_apic().acknowledge(), 0x30);
}

TEST(Pc, HpetUnderLegacyReplacementTakesThePlaceOfThePit) {
  DeviceWorld world;
  PcSetup setup(world);
  redirect(world, 2, 0x31);
  world.bus.write_mmio(0xFED00108, 8, 1000);
  world.bus.write_mmio(0xFED00100, 4, 4);
  world.bus.write_mmio(0xFED00010, 4, 3);
  while (setup.pc.local_apic().pending()) {
    (void)setup.pc.local_apic().acknowledge();
    world.bus.write_mmio(0xFEE000B0, 4, 0);
  }
  world.bus.out(0x43, 0x34);
  world.bus.out(0x40, 0x02);
  world.bus.out(0x40, 0x00);
  world.time.advance(9'000);
  EXPECT_FALSE(setup.pc.local_apic().pending()) << "the PIT is disconnected";
  world.time.advance(1'000);
  EXPECT_TRUE(setup.pc.local_apic().pending());
}

TEST(Pc, PciLineReachesItsIoApicInputAndThePicInputItShares) {
  DeviceWorld world;
  PcSetup setup(world);
  program_pic(world);
  world.bus.out(0x21, 0xFB);
  world.bus.out(0xA1, 0xF7);
  setup.pc.irqs().set_irq(IrqLine(17), true);
  setup.pc.irqs().set_irq(IrqLine(19), true);
  setup.pc.irqs().set_irq(IrqLine(17), false);
  ASSERT_TRUE(setup.pc.local_apic().pending()) << "19 still holds input 11";
  setup.pc.irqs().set_irq(IrqLine(19), false);
  EXPECT_FALSE(setup.pc.local_apic().pending());
  redirect(world, 17, 0x8051);
  setup.pc.irqs().set_irq(IrqLine(17), true);
  world.bus.out(0xA1, 0xFF);
  EXPECT_EQ(setup.pc.local_apic().acknowledge(), 0x51);
}

TEST(Pc, CascadeLineCannotBeDriven) {
  DeviceWorld world;
  PcSetup setup(world);
  redirect(world, 2, 0x31);
  setup.pc.irqs().set_irq(IrqLine(2), true);
  EXPECT_FALSE(setup.pc.local_apic().pending());
  const DeviceUnderTest parts{.owner = nullptr, .state = setup.pc.parts(), .ranges = {}};
  const auto saved = support::save(parts);
  support::load(parts, saved);
  EXPECT_EQ(saved, support::save(parts)) << "the line was kept when saved and dropped when loaded";
}

TEST(Pc, ResetRegisterIsReachedBesideTheConfigurationAddress) {
  DeviceWorld world;
  PcSetup setup(world);
  world.bus.out(0xCF8, 0x80000000, 4);
  EXPECT_TRUE(world.power.requests.empty());
  world.bus.out(0xCF9, 0x06);
  EXPECT_EQ(world.power.requests, std::vector{engine::port::PowerEvent::reset});
}

TEST(Pc, AsksTheHostForTheTimeExactlyOnce) {
  DeviceWorld world;
  PcSetup setup(world);
  setup.pc.reset();
  world.time.advance(1'000'000'000);
  EXPECT_EQ(world.host.samples, 1u);
}

}  // namespace
}  // namespace hindsight::tests
