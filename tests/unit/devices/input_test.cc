#include "devices/input/i8042.h"
#include "tests/unit/devices/conformance.h"

namespace hindsight::tests {
namespace {

using devices::input::I8042;

struct KeyboardlessSetup {
  explicit KeyboardlessSetup(DeviceWorld& world)
      : controller(world.power, [&world](bool level) { world.irqs.set_irq(IrqLine(1), level); }) {
    controller.map(world.bus);
  }
  I8042 controller;
};

DeviceUnderTest make_i8042(DeviceWorld& world) {
  auto setup = std::make_shared<KeyboardlessSetup>(world);
  return {.owner = setup,
          .state = {&setup->controller},
          .ranges = {{&setup->controller, 1, IoSpace::ports},
                     {&setup->controller.command_port(), 1, IoSpace::ports}}};
}

INSTANTIATE_TEST_SUITE_P(I8042, DeviceConformance, testing::Values(DeviceFactory{make_i8042}));

TEST(I8042, SelfTestAnswers55) {
  DeviceWorld world;
  KeyboardlessSetup setup(world);
  world.bus.out(0x64, 0xAA);
  EXPECT_EQ(world.bus.in(0x64) & 1, 1u);
  EXPECT_EQ(world.bus.in(0x60), 0x55u);
  EXPECT_EQ(world.bus.in(0x64) & 1, 0u);
}

TEST(I8042, CommandByteIsReadAndWritten) {
  DeviceWorld world;
  KeyboardlessSetup setup(world);
  world.bus.out(0x64, 0x60);
  world.bus.out(0x60, 0x47);
  world.bus.out(0x64, 0x20);
  EXPECT_TRUE(world.irqs.level(1)) << "the answer interrupts, as the command byte asks";
  EXPECT_EQ(world.bus.in(0x60), 0x47u);
  EXPECT_FALSE(world.irqs.level(1));
}

TEST(I8042, KeyboardCommandTimesOutSinceNothingIsAttached) {
  DeviceWorld world;
  KeyboardlessSetup setup(world);
  world.bus.out(0x60, 0xF2);
  EXPECT_EQ(world.bus.in(0x64) & 0x41, 0x41u);
  EXPECT_EQ(world.bus.in(0x60), 0xFEu);
  EXPECT_EQ(world.bus.in(0x64) & 0x41, 0u);
}

TEST(I8042, CommandFeResetsTheMachine) {
  DeviceWorld world;
  KeyboardlessSetup setup(world);
  world.bus.out(0x64, 0xFE);
  EXPECT_EQ(world.power.requests, std::vector{engine::port::PowerEvent::reset});
}

}  // namespace
}  // namespace hindsight::tests
