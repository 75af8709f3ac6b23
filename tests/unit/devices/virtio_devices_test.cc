// What the block, network and console devices do with their requests.
#include <gtest/gtest.h>

#include "devices/virtio/virtio_block.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_net.h"
#include "tests/unit/devices/conformance.h"
#include "tests/unit/devices/virtio_driver.h"

namespace hindsight::tests {
namespace port = engine::port;
namespace {

using devices::virtio::BlockOptions;
using devices::virtio::VirtioBlock;
using devices::virtio::VirtioConsole;
using devices::virtio::VirtioNet;
using port::Channel;

constexpr std::uint64_t kHeader = 0x40000;
constexpr std::uint64_t kData = 0x50000;
constexpr std::uint64_t kStatus = 0x4F000;

/// Byte n of the base image's sector s is s + n.
void sample_base(Channel channel, std::uint64_t sector, std::span<std::byte> out) {
  if (channel != Channel::disk0) return;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(sector + i / 512 + i % 512);
}

struct BlockMachine {
  explicit BlockMachine(DeviceWorld& world)
      : bus(world.bus, world.irqs, world.msi), device(bus, world.memory, world.host, {.sectors = 1000}) {}
  devices::pci::PciBus bus;
  VirtioBlock device;
};
DeviceUnderTest make_block(DeviceWorld& world) {
  auto machine = std::make_shared<BlockMachine>(world);
  return {.owner = machine, .state = {&machine->device}, .ranges = {{&machine->device.transport(), 0x8000}}};
}
INSTANTIATE_TEST_SUITE_P(VirtioBlock, DeviceConformance, testing::Values(DeviceFactory{make_block}));

struct NetMachine {
  explicit NetMachine(DeviceWorld& world)
      : bus(world.bus, world.irqs, world.msi), device(bus, world.memory, world.host) {}
  devices::pci::PciBus bus;
  VirtioNet device;
};
DeviceUnderTest make_net(DeviceWorld& world) {
  auto machine = std::make_shared<NetMachine>(world);
  return {
      .owner = machine,
      .state = {&machine->device},
      .ranges = {{&machine->device.transport(), 0x8000}},
      .stimulate = [machine](std::uint64_t random) {
        machine->device.input(std::vector<std::byte>(random % 2000, static_cast<std::byte>(random >> 32)));
      }};
}
INSTANTIATE_TEST_SUITE_P(VirtioNet, DeviceConformance, testing::Values(DeviceFactory{make_net}));

struct ConsoleMachine {
  explicit ConsoleMachine(DeviceWorld& world)
      : bus(world.bus, world.irqs, world.msi), device(bus, world.memory, world.host) {}
  devices::pci::PciBus bus;
  VirtioConsole device;
};
DeviceUnderTest make_console(DeviceWorld& world) {
  auto machine = std::make_shared<ConsoleMachine>(world);
  return {.owner = machine,
          .state = {&machine->device},
          .ranges = {{&machine->device.transport(), 0x8000}},
          .stimulate = [machine](std::uint64_t random) {
            machine->device.input(std::vector<std::byte>(random % 100, static_cast<std::byte>(random >> 32)));
          }};
}
INSTANTIATE_TEST_SUITE_P(VirtioConsole, DeviceConformance, testing::Values(DeviceFactory{make_console}));

struct Block : testing::Test {
  explicit Block(const BlockOptions& options = {.sectors = 100, .serial = "disk-1"})
      : device(world.pci, world.memory, world.host, options) {
    world.host.on_sample = sample_base;
    driver.bring_up(1);
  }
  /// One request with `size` bytes of data at kData; returns its status.
  int request(std::uint32_t type, std::uint64_t sector, std::uint32_t size, bool device_writes) {
    world.poke<std::uint32_t>(kHeader, type);
    world.poke<std::uint32_t>(kHeader + 4, 0);
    world.poke<std::uint64_t>(kHeader + 8, sector);
    world.poke<std::uint8_t>(kStatus, 0xEE);
    std::vector<VirtioDriver::Buffer> chain{{kHeader, 16, false}};
    if (size != 0) chain.push_back({kData, size, device_writes});
    chain.push_back({kStatus, 1, true});
    driver.submit(0, chain);
    return world.look<std::uint8_t>(kStatus);
  }
  int read(std::uint64_t sector, std::uint32_t size) { return request(0, sector, size, true); }
  int write(std::uint64_t sector, std::uint32_t size, std::uint8_t fill) {
    std::fill_n(world.memory.bytes.begin() + kData, size, fill);
    return request(1, sector, size, false);
  }
  std::uint8_t data(std::uint64_t at) { return world.look<std::uint8_t>(kData + at); }

  PciWorld world;
  VirtioBlock device;
  VirtioDriver driver{world, devices::virtio::kBlockSlot};
};

TEST_F(Block, ConfigurationShowsTheCapacity) { EXPECT_EQ(driver.config(0, 8), 100U); }

TEST_F(Block, ReadsTheBaseImage) {
  EXPECT_EQ(read(5, 1024), 0);
  EXPECT_EQ(data(0), 5);
  EXPECT_EQ(data(3), 8);
  EXPECT_EQ(data(512), 6);
  EXPECT_EQ(driver.used_length(0, 0), 1025U);
}

TEST_F(Block, ReadsBackWhatWasWrittenAndTheRestOfItsPageFromTheBase) {
  EXPECT_EQ(write(9, 512, 0x77), 0);
  EXPECT_EQ(read(8, 1536), 0);
  EXPECT_EQ(data(0), 8);
  EXPECT_EQ(data(512), 0x77);
  EXPECT_EQ(data(1023), 0x77);
  EXPECT_EQ(data(1024), 10);
}

TEST_F(Block, ReadAcrossWrittenPagesJoinsOverlayAndBase) {
  write(8, 4096, 0x11);
  EXPECT_EQ(read(7, 512 * 10), 0);
  EXPECT_EQ(data(0), 7);
  EXPECT_EQ(data(512), 0x11);
  EXPECT_EQ(data(512 * 9 - 1), 0x11);
  EXPECT_EQ(data(512 * 9), 16);
}

TEST_F(Block, WholePageWriteDoesNotSampleTheBase) {
  write(8, 4096, 1);
  EXPECT_EQ(world.host.samples, 0U);
  write(17, 512, 1);
  EXPECT_EQ(world.host.samples, 1U);
}

TEST_F(Block, EveryWriteIsSentOutWithItsSector) {
  write(9, 512, 0x77);
  EXPECT_EQ(world.host.outputs[Channel::disk0],
            std::string("\x09\0\0\0\0\0\0\0", 8) + std::string(512, 0x77));
}

TEST_F(Block, DataMayBeCutAnywhere) {
  world.poke<std::uint32_t>(kHeader, 0);
  world.poke<std::uint64_t>(kHeader + 8, 3);
  driver.submit(0, {{kHeader, 5, false},
                    {kHeader + 5, 11, false},
                    {kData, 1, true},
                    {kData + 1, 510, true},
                    {kData + 511, 2, true}});
  EXPECT_FALSE(driver.needs_reset());
  EXPECT_EQ(data(0), 3);
  EXPECT_EQ(data(511), static_cast<std::uint8_t>(3 + 511));
  EXPECT_EQ(data(512), 0) << "the status byte";
}

TEST_F(Block, RequestBeyondTheEndFailsAndTouchesNothing) {
  EXPECT_EQ(read(99, 1024), 1);
  EXPECT_EQ(read(0xFFFFFFFFFFFFFFFF, 512), 1);
  EXPECT_EQ(write(100, 512, 1), 1);
  EXPECT_EQ(world.host.outputs.count(Channel::disk0), 0U);
}

TEST_F(Block, PartOfASectorFails) { EXPECT_EQ(read(0, 511), 1); }

TEST_F(Block, FlushSucceeds) { EXPECT_EQ(request(4, 0, 0, false), 0); }

TEST_F(Block, IdentifierIsTheSerialNumber) {
  EXPECT_EQ(request(8, 0, 20, true), 0);
  EXPECT_EQ(world.text(kData, 7), std::string("disk-1\0", 7));
}

TEST_F(Block, UnknownRequestIsUnsupported) { EXPECT_EQ(request(99, 0, 512, true), 2); }

TEST_F(Block, WriteZeroesClearsExactlyItsRange) {
  write(0, 8192, 0x55);
  world.poke<std::uint64_t>(kData, 7);
  world.poke<std::uint32_t>(kData + 8, 9);
  world.poke<std::uint32_t>(kData + 12, 0);
  EXPECT_EQ(request(13, 0, 16, false), 0);
  read(0, 8704);
  EXPECT_EQ(data(512 * 7 - 1), 0x55);
  EXPECT_EQ(data(512 * 7), 0);
  EXPECT_EQ(data(512 * 16 - 1), 0);
  EXPECT_EQ(data(512 * 16), 16) << "the base";
}

TEST_F(Block, DiscardBeyondTheEndFails) {
  world.poke<std::uint64_t>(kData, 99);
  world.poke<std::uint32_t>(kData + 8, 2);
  world.poke<std::uint32_t>(kData + 12, 0);
  EXPECT_EQ(request(11, 0, 16, false), 1);
}

TEST_F(Block, RequestWithoutRoomForAStatusBreaksTheDevice) {
  driver.submit(0, {{kHeader, 16, false}});
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(Block, ShortHeaderBreaksTheDevice) {
  driver.submit(0, {{kHeader, 15, false}, {kStatus, 1, true}});
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(Block, OverlaySurvivesSaveAndRestore) {
  write(9, 512, 0x77);
  const DeviceUnderTest part{.owner = nullptr, .state = {&device}, .ranges = {}};
  const std::vector<std::uint8_t> saved = support::save(part);
  write(9, 512, 0x33);
  support::load(part, saved);
  // The driver's rings are in memory and went on; take them back as a snapshot would.
  world.poke<std::uint16_t>(VirtioDriver::available(0) + 2, 1);
  read(9, 512);
  EXPECT_EQ(data(0), 0x77);
}

TEST_F(Block, DeviceResetKeepsTheDisk) {
  write(9, 512, 0x77);
  world.pci.reset();
  world.config_write(devices::virtio::kBlockSlot, 4, 6, 2);
  world.poke<std::uint32_t>(VirtioDriver::available(0), 0);
  driver.bring_up(1);
  read(9, 512);
  EXPECT_EQ(data(0), 0x77);
}

struct ReadOnlyBlock : Block {
  ReadOnlyBlock() : Block({.sectors = 100, .read_only = true}) {}
};

TEST_F(ReadOnlyBlock, SaysSoAndRefusesWrites) {
  EXPECT_NE(driver.offered() & 0x20, 0U);
  EXPECT_EQ(write(0, 512, 1), 1);
  EXPECT_EQ(read(0, 512), 0);
  EXPECT_EQ(data(1), 1);
}

struct Net : testing::Test {
  Net() { driver.bring_up(2); }
  static std::vector<std::byte> frame(std::size_t size, int fill) {
    return std::vector<std::byte>(size, static_cast<std::byte>(fill));
  }
  void offer_receive_buffer(unsigned index, std::uint32_t size = 2048) {
    driver.submit(0, {{0x40000 + 0x1000 * index, size, true}}, index);
  }
  PciWorld world;
  VirtioNet device{world.pci, world.memory, world.host, {2, 0, 0, 0, 0, 9}};
  VirtioDriver driver{world, devices::virtio::kNetSlot};
};

TEST_F(Net, ConfigurationShowsTheAddressAndLinkUp) {
  EXPECT_EQ(driver.config(0, 1), 2U);
  EXPECT_EQ(driver.config(5, 1), 9U);
  EXPECT_EQ(driver.config(6, 2), 1U);
}

TEST_F(Net, TransmitsTheFrameBehindTheHeader) {
  world.put_text(kData, std::string(60, 'x'));
  driver.submit(1, {{kHeader, 12, false}, {kData, 60, false}});
  EXPECT_EQ(world.host.outputs[Channel::net0], std::string(60, 'x'));
  EXPECT_EQ(driver.used_index(1), 1);
}

TEST_F(Net, FrameBeyondTheLongestIsDroppedButCompleted) {
  driver.submit(1, {{kHeader, 12, false}, {kData, 1600, false}});
  EXPECT_EQ(world.host.outputs.count(Channel::net0), 0U);
  EXPECT_EQ(driver.used_index(1), 1);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(Net, TransmitWithoutAWholeHeaderBreaksTheDevice) {
  driver.submit(1, {{kHeader, 11, false}});
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(Net, ReceivedFrameFollowsAHeaderThatCountsOneBuffer) {
  offer_receive_buffer(0);
  device.input(frame(64, 0x5A));
  EXPECT_EQ(driver.used_length(0, 0), 76U);
  EXPECT_EQ(world.look<std::uint16_t>(0x40000 + 10), 1);
  EXPECT_EQ(world.look<std::uint8_t>(0x40000 + 12), 0x5A);
  EXPECT_TRUE(world.irqs.level(18));
}

TEST_F(Net, FramesWaitForBuffersInOrder) {
  device.input(frame(64, 1));
  device.input(frame(65, 2));
  offer_receive_buffer(0);
  offer_receive_buffer(1);
  EXPECT_EQ(driver.used_length(0, 0), 76U);
  EXPECT_EQ(driver.used_length(0, 1), 77U);
}

TEST_F(Net, FrameThatDoesNotFitItsBufferIsLost) {
  offer_receive_buffer(0, 20);
  device.input(frame(64, 1));
  EXPECT_EQ(driver.used_length(0, 0), 0U);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(Net, QueueOfWaitingFramesIsBounded) {
  for (std::size_t i = 0; i < VirtioNet::kMaxWaiting + 10; ++i) device.input(frame(64, 1));
  capnp::MallocMessageBuilder message;
  auto state = message.initRoot<traces::schema::VirtioNetState>();
  device.save(state);
  EXPECT_EQ(state.getReceived().size(), VirtioNet::kMaxWaiting);
}

TEST_F(Net, FramesAreDroppedWhileTheDriverIsNotThere) {
  driver.write(20, 1, 0);
  device.input(frame(64, 1));
  capnp::MallocMessageBuilder message;
  auto state = message.initRoot<traces::schema::VirtioNetState>();
  device.save(state);
  EXPECT_EQ(state.getReceived().size(), 0U);
}

struct Console : testing::Test {
  Console() { driver.bring_up(2); }
  static std::vector<std::byte> bytes(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
  }
  PciWorld world;
  VirtioConsole device{world.pci, world.memory, world.host};
  VirtioDriver driver{world, devices::virtio::kConsoleSlot};
};

TEST_F(Console, SendsWhatTheGuestWrites) {
  world.put_text(kData, "hello");
  driver.submit(1, {{kData, 2, false}, {kData + 2, 3, false}});
  EXPECT_EQ(world.host.outputs[Channel::virtio_console], "hello");
}

TEST_F(Console, InputGoesIntoTheBufferThatWaits) {
  driver.submit(0, {{kData, 16, true}});
  device.input(bytes("ls\n"));
  EXPECT_EQ(driver.used_length(0, 0), 3U);
  EXPECT_EQ(world.text(kData, 3), "ls\n");
  EXPECT_TRUE(world.irqs.level(20));
}

TEST_F(Console, InputLongerThanABufferWaitsForTheNext) {
  driver.submit(0, {{kData, 4, true}});
  device.input(bytes("abcdefg"));
  driver.submit(0, {{kData, 4, true}});
  EXPECT_EQ(driver.used_length(0, 0), 4U);
  EXPECT_EQ(driver.used_length(0, 1), 3U);
  EXPECT_EQ(world.text(kData, 3), "efg");
}

TEST_F(Console, WaitingInputIsBounded) {
  device.input(std::vector<std::byte>(VirtioConsole::kMaxWaiting + 5));
  capnp::MallocMessageBuilder message;
  auto state = message.initRoot<traces::schema::VirtioConsoleState>();
  device.save(state);
  EXPECT_EQ(state.getReceived().size(), VirtioConsole::kMaxWaiting);
}

}  // namespace
}  // namespace hindsight::tests
