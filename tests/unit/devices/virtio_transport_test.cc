// The PCI transport and the split virtqueue, with the entropy device as the simplest user.
#include <gtest/gtest.h>

#include "devices/virtio/virtio_entropy.h"
#include "tests/unit/devices/conformance.h"
#include "tests/unit/devices/virtio_driver.h"

namespace hindsight::tests {
namespace port = engine::port;
namespace {

using devices::virtio::kFeatureVersion1;
using devices::virtio::kNotifyOffset;
using devices::virtio::VirtioEntropy;

struct EntropyMachine : PciWorld {
  VirtioEntropy device{pci, memory, host};
};

struct Entropy {
  explicit Entropy(DeviceWorld& world)
      : bus(world.bus, world.irqs, world.msi), host(bus), device(bus, world.memory, world.host) {}
  devices::pci::PciBus bus;
  devices::pci::PciHost host;
  VirtioEntropy device;
};
DeviceUnderTest make_entropy(DeviceWorld& world) {
  auto entropy = std::make_shared<Entropy>(world);
  return {.owner = entropy,
          .state = {&entropy->host, &entropy->device},
          .ranges = {{&entropy->host, 8, IoSpace::ports}, {&entropy->device.transport(), 0x8000}}};
}
INSTANTIATE_TEST_SUITE_P(VirtioEntropy, DeviceConformance, testing::Values(DeviceFactory{make_entropy}));

struct VirtioTransport : testing::Test {
  VirtioTransport() {
    world.host.on_sample = [](port::Channel, std::uint64_t, std::span<std::byte> out) {
      for (std::byte& byte : out) byte = std::byte{0xA5};
    };
  }
  EntropyMachine world;
  VirtioDriver driver{world, devices::virtio::kEntropySlot};
};

TEST_F(VirtioTransport, OffersVersion1IndirectAndEventIndex) {
  EXPECT_EQ(driver.offered(),
            kFeatureVersion1 | VirtioDriver::kFeatureIndirect | VirtioDriver::kFeatureEventIndex);
}

TEST_F(VirtioTransport, RefusesADriverWithoutVersion1) { EXPECT_FALSE(driver.negotiate(0)); }

TEST_F(VirtioTransport, RefusesFeaturesItDidNotOffer) {
  EXPECT_FALSE(driver.negotiate(kFeatureVersion1 | 1));
}

TEST_F(VirtioTransport, AcceptsWhatItOffered) { EXPECT_TRUE(driver.negotiate(driver.offered())); }

TEST_F(VirtioTransport, DriverOkWithoutFeaturesOkDoesNotStartTheDevice) {
  driver.negotiate(0);
  driver.start();
  EXPECT_EQ(driver.status() & 4, 0);
}

TEST_F(VirtioTransport, CapabilitiesNameTheStructuresInBar0) {
  EXPECT_NE(driver.find_capability(9, 1), 0U);
  EXPECT_NE(driver.find_capability(9, 2), 0U);
  EXPECT_NE(driver.find_capability(9, 3), 0U);
  EXPECT_EQ(driver.find_capability(9, 4), 0U) << "the entropy device has no configuration";
  EXPECT_NE(driver.find_capability(9, 5), 0U);
  const unsigned notify = driver.find_capability(9, 2);
  EXPECT_EQ(world.config_read(3, notify + 8), kNotifyOffset);
  EXPECT_EQ(world.config_read(3, notify + 16), 4U);
}

TEST_F(VirtioTransport, QueueThatDoesNotExistHasSizeZero) {
  driver.write(22, 2, 1);
  EXPECT_EQ(driver.read(24, 2), 0U);
}

TEST_F(VirtioTransport, QueueSizeTakesOnlyPowersOfTwoUpToTheMaximum) {
  driver.write(24, 2, 3);
  EXPECT_EQ(driver.read(24, 2), 64U);
  driver.write(24, 2, 128);
  EXPECT_EQ(driver.read(24, 2), 64U);
  driver.write(24, 2, 16);
  EXPECT_EQ(driver.read(24, 2), 16U);
}

TEST_F(VirtioTransport, ConfigurationWindowReachesTheBar) {
  const unsigned window = driver.find_capability(9, 5);
  world.config_write(3, window + 4, 0, 1);
  world.config_write(3, window + 8, 18);
  world.config_write(3, window + 12, 2);
  EXPECT_EQ(world.config_read(3, window + 16) & 0xFFFF, 1U) << "num_queues";
  world.config_write(3, window + 8, 20);
  world.config_write(3, window + 12, 1);
  world.config_write(3, window + 16, 1);
  EXPECT_EQ(driver.status(), 1);
}

TEST_F(VirtioTransport, FillsABufferAndReportsItsLength) {
  driver.bring_up(1);
  driver.submit(0, {{0x40000, 100, true}});
  EXPECT_EQ(driver.used_index(0), 1);
  EXPECT_EQ(driver.used_length(0, 0), 100U);
  EXPECT_EQ(world.look<std::uint8_t>(0x40063), 0xA5);
  EXPECT_EQ(world.look<std::uint8_t>(0x40064), 0);
}

TEST_F(VirtioTransport, BuffersOfferedBeforeDriverOkAreProcessedThen) {
  driver.negotiate(kFeatureVersion1);
  driver.set_up_queue(0);
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 0);
  driver.start();
  EXPECT_EQ(driver.used_index(0), 1);
}

TEST_F(VirtioTransport, DoesNothingWithoutBusMastering) {
  driver.bring_up(1);
  world.config_write(3, 4, 2, 2);
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 0);
}

TEST_F(VirtioTransport, PinRisesOnCompletionAndFallsWhenIsrIsRead) {
  driver.bring_up(1);
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_TRUE(world.irqs.level(19));
  EXPECT_EQ(driver.isr(), 1);
  EXPECT_FALSE(world.irqs.level(19));
  EXPECT_EQ(driver.isr(), 0);
}

TEST_F(VirtioTransport, NoInterruptFlagIsHonoured) {
  driver.bring_up(1);
  world.poke<std::uint16_t>(VirtioDriver::available(0), 1);
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 1);
  EXPECT_FALSE(world.irqs.level(19));
}

TEST_F(VirtioTransport, UsedEventDelaysTheInterruptUntilItsEntry) {
  driver.bring_up(1, VirtioDriver::kFeatureEventIndex);
  world.poke<std::uint16_t>(VirtioDriver::used_event(0), 2);
  driver.submit(0, {{0x40000, 4, true}});
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_FALSE(world.irqs.level(19));
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_TRUE(world.irqs.level(19));
}

TEST_F(VirtioTransport, AvailableEventAsksForTheNextEntry) {
  driver.bring_up(1, VirtioDriver::kFeatureEventIndex);
  driver.submit(0, {{0x40000, 4, true}});
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(world.look<std::uint16_t>(VirtioDriver::available_event(0)), 2);
}

TEST_F(VirtioTransport, IndirectTableIsFollowed) {
  driver.bring_up(1, VirtioDriver::kFeatureIndirect);
  driver.put_chain(0x50000, 0, {{0x40000, 4, true}, {0x41000, 4, true}});
  driver.put_descriptor(VirtioDriver::descriptors(0), 0, 0x50000, 32, 4, 0);
  driver.offer(0, 0);
  driver.notify(0);
  EXPECT_EQ(driver.used_length(0, 0), 8U);
  EXPECT_EQ(world.look<std::uint8_t>(0x41003), 0xA5);
}

TEST_F(VirtioTransport, IndirectTableWithoutTheFeatureBreaksTheDevice) {
  driver.bring_up(1);
  driver.put_chain(0x50000, 0, {{0x40000, 4, true}});
  driver.put_descriptor(VirtioDriver::descriptors(0), 0, 0x50000, 16, 4, 0);
  driver.offer(0, 0);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, NestedIndirectTableBreaksTheDevice) {
  driver.bring_up(1, VirtioDriver::kFeatureIndirect);
  driver.put_descriptor(0x50000, 0, 0x50000, 16, 4, 0);
  driver.put_descriptor(VirtioDriver::descriptors(0), 0, 0x50000, 16, 4, 0);
  driver.offer(0, 0);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, ChainThatLoopsBreaksTheDevice) {
  driver.bring_up(1);
  driver.put_descriptor(VirtioDriver::descriptors(0), 0, 0x40000, 4, 3, 1);
  driver.put_descriptor(VirtioDriver::descriptors(0), 1, 0x40000, 4, 3, 0);
  driver.offer(0, 0);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_EQ(driver.used_index(0), 0);
}

TEST_F(VirtioTransport, NextBeyondTheTableBreaksTheDevice) {
  driver.bring_up(1);
  driver.put_descriptor(VirtioDriver::descriptors(0), 0, 0x40000, 4, 3, 8);
  driver.offer(0, 0);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, HeadBeyondTheTableBreaksTheDevice) {
  driver.bring_up(1);
  driver.offer(0, 8);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, AvailableIndexMoreThanAQueueAheadBreaksTheDevice) {
  driver.bring_up(1);
  world.poke<std::uint16_t>(VirtioDriver::available(0) + 2, 9);
  driver.notify(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, ReadableBufferAfterAWritableOneBreaksTheDevice) {
  driver.bring_up(1);
  driver.submit(0, {{0x40000, 4, true}, {0x41000, 4, false}});
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, BufferOutsideMemoryBreaksTheDevice) {
  driver.bring_up(1);
  driver.submit(0, {{0xFFFFFFFFFFFFFFF0, 32, true}});
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, QueueOutsideMemoryOrMisalignedIsNotEnabled) {
  driver.negotiate(kFeatureVersion1);
  driver.write(32, 8, 0x10008);
  driver.write(40, 8, 0x12000);
  driver.write(48, 8, 0x14000);
  driver.write(28, 2, 1);
  EXPECT_EQ(driver.read(28, 2), 0U);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioTransport, BrokenDeviceInterruptsOnceAndIsSilentUntilReset) {
  driver.bring_up(1);
  driver.offer(0, 8);
  driver.notify(0);
  EXPECT_EQ(driver.isr(), 2) << "a configuration change";
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 0);
  world.poke<std::uint32_t>(VirtioDriver::available(0), 0);
  driver.bring_up(1);
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 1);
}

TEST_F(VirtioTransport, UsedRingOverTheAvailableIndexEndsAfterOneQueueOfRequests) {
  // Each completion then looks like one more request: the device must not go on for ever.
  driver.negotiate(kFeatureVersion1);
  driver.write(24, 2, VirtioDriver::kQueueSize);
  driver.write(32, 8, VirtioDriver::descriptors(0));
  driver.write(40, 8, 0x12000);
  driver.write(48, 8, 0x12000);
  driver.write(28, 2, 1);
  driver.start();
  driver.put_chain(VirtioDriver::descriptors(0), 0, {{0x12002, 2, true}});
  world.poke<std::uint16_t>(0x12002, 1);
  driver.notify(0);
  EXPECT_LE(world.host.samples, VirtioDriver::kQueueSize);
}

TEST_F(VirtioTransport, ResetForgetsQueuesAndStatus) {
  driver.bring_up(1);
  driver.write(20, 1, 0);
  EXPECT_EQ(driver.status(), 0);
  driver.write(22, 2, 0);
  EXPECT_EQ(driver.read(28, 2), 0U);
  EXPECT_EQ(driver.read(32, 8), 0U);
  EXPECT_EQ(driver.read(24, 2), 64U);
}

TEST_F(VirtioTransport, VectorBeyondTheTableReadsBackAsNone) {
  driver.write(16, 2, 2);
  EXPECT_EQ(driver.read(16, 2), 0xFFFFU);
  driver.write(16, 2, 1);
  EXPECT_EQ(driver.read(16, 2), 1U);
}

TEST_F(VirtioTransport, MsixCompletionLeavesThePinLow) {
  driver.bring_up(1);
  driver.use_msix(1);
  driver.submit(0, {{0x40000, 4, true}});
  ASSERT_EQ(world.msi.sent.size(), 1U);
  EXPECT_EQ(world.msi.sent[0].data, 0x41U);
  EXPECT_FALSE(world.irqs.level(19));
}

TEST_F(VirtioTransport, RestoredDeviceGoesOnWhereTheQueueStood) {
  driver.bring_up(1, VirtioDriver::kFeatureEventIndex);
  driver.submit(0, {{0x40000, 4, true}});
  const DeviceUnderTest saved{.owner = nullptr, .state = {&world.device}, .ranges = {}};
  const std::vector<std::uint8_t> state = support::save(saved);
  driver.write(20, 1, 0);
  support::load(saved, state);
  EXPECT_TRUE(world.irqs.level(19)) << "the unread interrupt is driven again";
  driver.submit(0, {{0x40000, 4, true}});
  EXPECT_EQ(driver.used_index(0), 2);
}

}  // namespace
}  // namespace hindsight::tests
