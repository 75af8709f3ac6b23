#include <gtest/gtest.h>

#include "devices/virtio/virtio_entropy.h"
#include "tests/unit/devices/conformance.h"
#include "tests/unit/devices/virtio_driver.h"

namespace hindsight::tests {
namespace {

using devices::pci::PciBus;
using devices::pci::PciHost;
using devices::virtio::VirtioEntropy;

struct HostBridge {
  explicit HostBridge(DeviceWorld& world) : bus(world.bus, world.irqs, world.msi), host(bus) {}
  PciBus bus;
  PciHost host;
};

DeviceUnderTest make_host_bridge(DeviceWorld& world) {
  auto bridge = std::make_shared<HostBridge>(world);
  return {.owner = bridge, .state = {&bridge->host}, .ranges = {{&bridge->host, 8, IoSpace::ports}}};
}
INSTANTIATE_TEST_SUITE_P(PciHost, DeviceConformance, testing::Values(DeviceFactory{make_host_bridge}));

/// One device with a BAR of 32 KiB and INTA#, in slot 3.
struct Pci : testing::Test {
  static constexpr unsigned kSlot = 3;
  PciWorld world;
  VirtioEntropy device{world.pci, world.memory, world.host, kSlot};
};

TEST_F(Pci, EmptySlotReadsAllOnes) {
  EXPECT_EQ(world.config_read(7, 0), 0xFFFFFFFF);
  EXPECT_EQ(world.config_read(7, 0x0E, 1), 0xFFU);
}

TEST_F(Pci, HostBridgeIsAtSlotZero) {
  EXPECT_EQ(world.config_read(0, 0), 0x12378086U);
  EXPECT_EQ(world.config_read(0, 8) >> 8, 0x060000U);
}

TEST_F(Pci, OtherBusesAndFunctionsAreEmpty) {
  world.bus.out(0xCF8, 0x80010000, 4);
  EXPECT_EQ(world.bus.in(0xCFC, 4), 0xFFFFFFFF);
  world.bus.out(0xCF8, 0x80000100, 4);
  EXPECT_EQ(world.bus.in(0xCFC, 4), 0xFFFFFFFF);
}

TEST_F(Pci, DataPortIsDeadWhileTheEnableBitIsClear) {
  world.bus.out(0xCF8, 0, 4);
  EXPECT_EQ(world.bus.in(0xCFC, 4), 0xFFFFFFFF);
}

TEST_F(Pci, AddressPortKeepsOnlyItsDefinedBitsAndOnlyTakesFourBytes) {
  world.bus.out(0xCF8, 0xFFFFFFFF, 4);
  EXPECT_EQ(world.bus.in(0xCF8, 4), 0x80FFFFFCU);
  world.bus.out(0xCF8, 0, 1);
  EXPECT_EQ(world.bus.in(0xCF8, 4), 0x80FFFFFCU);
}

TEST_F(Pci, IdentityRegistersCannotBeWritten) {
  const std::uint32_t identity = world.config_read(kSlot, 0);
  world.config_write(kSlot, 0, 0);
  EXPECT_EQ(world.config_read(kSlot, 0), identity);
  EXPECT_EQ(identity, 0x10441AF4U);
}

TEST_F(Pci, BarIsAssignedInTheWindowAndMapped) {
  const std::uint32_t bar = world.config_read(kSlot, 0x10);
  EXPECT_GE(bar, 0xE0000000U);
  EXPECT_EQ(world.bus.mmio.at(bar).size, 0x8000U);
}

TEST_F(Pci, BarSizingGivesTheSizeAndUnmaps) {
  world.config_write(kSlot, 0x10, 0xFFFFFFFF);
  EXPECT_EQ(world.config_read(kSlot, 0x10), 0xFFFF8000U);
  EXPECT_TRUE(world.bus.mmio.empty());
}

TEST_F(Pci, BarMovesWhereTheGuestPutsIt) {
  world.config_write(kSlot, 0x10, 0xE1000000);
  EXPECT_EQ(world.bus.mmio.size(), 1U);
  EXPECT_EQ(world.bus.mmio.count(0xE1000000), 1U);
}

TEST_F(Pci, BarOutsideTheWindowIsNotDecoded) {
  world.config_write(kSlot, 0x10, 0xBFFF8000);  // over RAM
  EXPECT_TRUE(world.bus.mmio.empty());
  world.config_write(kSlot, 0x10, 0xFEC00000);  // over the I/O APIC
  EXPECT_TRUE(world.bus.mmio.empty());
}

TEST_F(Pci, MemoryDecodingFollowsTheCommandRegister) {
  world.config_write(kSlot, 4, 0, 2);
  EXPECT_TRUE(world.bus.mmio.empty());
  world.config_write(kSlot, 4, 2, 2);
  EXPECT_EQ(world.bus.mmio.size(), 1U);
}

TEST_F(Pci, OverlappingBarsAreDecodedInSlotOrderWhateverTheOrderOfWrites) {
  VirtioEntropy other(world.pci, world.memory, world.host, 5);
  world.config_write(5, 0x10, 0xE2000000);
  EXPECT_EQ(world.bus.mmio.at(0xE2000000).handler, &other.transport());
  world.config_write(kSlot, 0x10, 0xE2000000);
  EXPECT_EQ(world.bus.mmio.at(0xE2000000).handler, &device.transport());
  world.config_write(kSlot, 0x10, 0xE3000000);
  EXPECT_EQ(world.bus.mmio.at(0xE2000000).handler, &other.transport());
}

TEST_F(Pci, InterruptLineIsTheOneTheRoutingTableNames) {
  EXPECT_EQ(world.config_read(kSlot, 0x3D, 1), 1U);
  EXPECT_EQ(world.config_read(kSlot, 0x3C, 1), 16U + kSlot);
}

TEST_F(Pci, SharedLineStaysHighUntilEveryPinIsLow) {
  world.pci.set_intx(1, 0, true);
  world.pci.set_intx(9, 0, true);
  world.pci.set_intx(1, 0, false);
  EXPECT_TRUE(world.irqs.level(17));
  world.pci.set_intx(9, 0, false);
  EXPECT_FALSE(world.irqs.level(17));
}

TEST_F(Pci, ResetReturnsTheBarToItsAssignedAddress) {
  const std::uint32_t assigned = world.config_read(kSlot, 0x10);
  world.config_write(kSlot, 0x10, 0xE4000000);
  world.pci.reset();
  EXPECT_EQ(world.config_read(kSlot, 0x10), assigned);
  EXPECT_EQ(world.bus.mmio.count(assigned), 1U);
}

TEST_F(Pci, MaskedMsixVectorIsSentWhenUnmasked) {
  VirtioDriver driver(world, kSlot);
  driver.bring_up(1);
  driver.use_msix(1);
  const std::uint64_t row = devices::virtio::kMsixTableOffset + 16;
  driver.write(row + 12, 4, 1);
  driver.submit(0, {{0x40000, 16, true}});
  EXPECT_TRUE(world.msi.sent.empty());
  EXPECT_EQ(driver.read(devices::virtio::kMsixPendingOffset, 8), 2U);
  driver.write(row + 12, 4, 0);
  ASSERT_EQ(world.msi.sent.size(), 1U);
  EXPECT_EQ(world.msi.sent[0].address, GuestPhys(0xFEE00000));
  EXPECT_EQ(world.msi.sent[0].data, 0x41U);
  EXPECT_EQ(driver.read(devices::virtio::kMsixPendingOffset, 8), 0U);
}

TEST_F(Pci, FunctionMaskHoldsEveryVector) {
  VirtioDriver driver(world, kSlot);
  driver.bring_up(1);
  driver.use_msix(1);
  world.config_write(kSlot, driver.msix_capability() + 2, 0xC000, 2);
  driver.submit(0, {{0x40000, 16, true}});
  EXPECT_TRUE(world.msi.sent.empty());
  world.config_write(kSlot, driver.msix_capability() + 2, 0x8000, 2);
  EXPECT_EQ(world.msi.sent.size(), 1U);
}

TEST_F(Pci, InterruptDisableBitHoldsThePinLow) {
  VirtioDriver driver(world, kSlot);
  driver.bring_up(1);
  world.config_write(kSlot, 4, 0x406, 2);
  driver.submit(0, {{0x40000, 16, true}});
  EXPECT_FALSE(world.irqs.level(16 + kSlot));
  EXPECT_NE(world.config_read(kSlot, 6, 2) & 8U, 0U) << "the status register still shows the request";
  world.config_write(kSlot, 4, 6, 2);
  EXPECT_TRUE(world.irqs.level(16 + kSlot));
}

}  // namespace
}  // namespace hindsight::tests
