// What every device must pass, whatever it is. A test file names its device once:
//
//   DeviceUnderTest make_uart(DeviceWorld& world) {
//     auto uart = std::make_shared<Uart16550>(…, world.time, world.time, world.irqs, …);
//     return {.owner = uart, .state = {uart.get()}, .ranges = {{uart.get(), 8, IoSpace::ports}}};
//   }
//   INSTANTIATE_TEST_SUITE_P(Uart16550, DeviceConformance, testing::Values(DeviceFactory{make_uart}));
//
// Include this header in one source file of a test program. One test thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/device_exercise.h"

namespace hindsight::tests {

using support::DeviceFactory;
using support::DeviceUnderTest;
using support::DeviceWorld;
using support::IoSpace;

class DeviceConformance : public testing::TestWithParam<DeviceFactory> {
 protected:
  DeviceConformance() : device(GetParam().make(world)) {}
  DeviceWorld world;
  DeviceUnderTest device;
};

TEST_P(DeviceConformance, SavedTwiceGivesIdenticalBytes) {
  support::Exercise exercise(world, device, 1);
  exercise.run(200);
  EXPECT_EQ(support::save(device), support::save(device));
}

TEST_P(DeviceConformance, PeekChangesNothing) {
  support::Exercise exercise(world, device, 2);
  for (int round = 0; round < 200; ++round) {
    exercise.run(3);
    const std::vector<std::uint8_t> before = support::save(device);
    exercise.peek_everywhere();
    ASSERT_EQ(before, support::save(device)) << "after round " << round;
  }
}

TEST_P(DeviceConformance, PeekShowsWhatReadReturns) {
  support::Exercise exercise(world, device, 3);
  exercise.run(50);
  for (int round = 0; round < 500; ++round) {
    const support::Access access = exercise.random_access();
    const std::uint64_t peeked = access.handler->peek(access.offset, access.size);
    ASSERT_EQ(peeked, access.handler->read(access.offset, access.size))
        << "offset " << access.offset << " size " << access.size;
    exercise.run(2);
  }
}

TEST_P(DeviceConformance, RestoredStateSavesEqual) {
  for (unsigned seed = 10; seed < 20; ++seed) {
    support::Exercise exercise(world, device, seed);
    exercise.run(100);
    const VirtualTime saved_at = world.time.now();
    const std::vector<std::uint8_t> saved = support::save(device);
    exercise.run(100);
    world.time.set(saved_at);
    support::load(device, saved);
    ASSERT_EQ(saved, support::save(device)) << "seed " << seed;
  }
}

TEST_P(DeviceConformance, RestoredDeviceGoesOnAsTheOriginalDid) {
  support::Exercise warm_up(world, device, 30);
  warm_up.run(150);
  const VirtualTime saved_at = world.time.now();
  const std::vector<std::uint8_t> saved = support::save(device);
  support::Exercise original(world, device, 31);
  original.run(300);
  const std::vector<std::uint8_t> end_of_original = support::save(device);

  world.time.set(saved_at);
  support::load(device, saved);
  support::Exercise again(world, device, 31);
  again.run(300);
  EXPECT_EQ(original.digest(), again.digest()) << "the values read differ";
  EXPECT_EQ(end_of_original, support::save(device));
}

TEST_P(DeviceConformance, StateOfAnotherInstanceLoads) {
  DeviceWorld other_world;
  DeviceUnderTest other = GetParam().make(other_world);
  support::Exercise exercise(world, device, 40);
  exercise.run(200);
  other_world.time.set(world.time.now());
  support::load(other, support::save(device));
  EXPECT_EQ(support::save(device), support::save(other));
}

TEST_P(DeviceConformance, GarbageStateIsTakenWithoutCrashing) {
  for (unsigned seed = 50; seed < 60; ++seed) {
    support::Exercise exercise(world, device, seed);
    exercise.load_garbage();
    exercise.run(100);
    const std::vector<std::uint8_t> saved = support::save(device);
    support::load(device, saved);
    EXPECT_EQ(saved, support::save(device)) << "a loaded state must be a fixed point, seed " << seed;
  }
}

TEST_P(DeviceConformance, RandomAccessesOfAllSizesNeverCrash) {
  support::Exercise exercise(world, device, 60);
  exercise.run(5000);
}

}  // namespace hindsight::tests
