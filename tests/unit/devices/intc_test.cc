#include "devices/core/ticks.h"
#include "devices/intc/apic_bus.h"
#include "devices/intc/io_apic.h"
#include "devices/intc/local_apic.h"
#include "devices/intc/pic8259.h"
#include "tests/unit/devices/conformance.h"

namespace hindsight::tests {
namespace {

using devices::intc::ApicBus;
using devices::intc::IoApic;
using devices::intc::LocalApic;
using devices::intc::PicPair;

DeviceUnderTest make_pic(DeviceWorld&) {
  auto pic = std::make_shared<PicPair>();
  return {.owner = pic,
          .state = {pic.get()},
          .ranges = {{&pic->master_ports(), 2, IoSpace::ports},
                     {&pic->slave_ports(), 2, IoSpace::ports},
                     {&pic->elcr_ports(), 2, IoSpace::ports}},
          .stimulate = [pic](std::uint64_t random) {
            if (random % 4 == 0 && pic->pending()) {
              (void)pic->acknowledge();
            } else {
              pic->set_input((random >> 8) % 16, ((random >> 16) & 1) != 0);
            }
          }};
}

/// The whole chain: PIC, I/O APIC and local APIC.
struct Chain {
  explicit Chain(DeviceWorld& world)
      : io_apic(bus), apic(0, LocalApic::Rates{}, world.time, world.time, bus, pic) {
    pic.on_output([this](bool level) { apic.set_lint0(level); });
  }
  ApicBus bus;
  PicPair pic;
  IoApic io_apic;
  LocalApic apic;

  void apic_write(std::uint64_t offset, std::uint32_t value) { apic.write(offset, 4, value); }
  [[nodiscard]] std::uint32_t apic_read(std::uint64_t offset) {
    return static_cast<std::uint32_t>(apic.read(offset, 4));
  }
  void redirect(unsigned line, std::uint64_t entry) {
    io_apic.write(0, 4, 0x11 + 2 * line);
    io_apic.write(0x10, 4, entry >> 32);
    io_apic.write(0, 4, 0x10 + 2 * line);
    io_apic.write(0x10, 4, entry & 0xFFFFFFFF);
  }
  [[nodiscard]] std::uint64_t redirection_low(unsigned line) {
    io_apic.write(0, 4, 0x10 + 2 * line);
    return io_apic.read(0x10, 4);
  }
};

DeviceUnderTest make_chain(DeviceWorld& world) {
  auto chain = std::make_shared<Chain>(world);
  chain->apic.enter_virtual_wire_mode();
  return {.owner = chain,
          .state = {&chain->pic, &chain->io_apic, &chain->apic},
          .ranges = {{&chain->pic.master_ports(), 2, IoSpace::ports},
                     {&chain->io_apic, 0x44, IoSpace::mmio},
                     {&chain->apic, 0x400, IoSpace::mmio}},
          .stimulate = [chain](std::uint64_t random) {
            switch (random % 8) {
              case 0:
                chain->pic.set_input((random >> 8) % 16, (random >> 16) & 1);
                break;
              case 1:
                chain->io_apic.set_input((random >> 8) % 32, (random >> 16) & 1);
                break;
              case 2:
                chain->apic_write(0x320, static_cast<std::uint32_t>(random >> 32));
                break;
              case 3:
                chain->apic_write(0x380, static_cast<std::uint32_t>(random >> 40));
                break;
              case 4:
                chain->apic.set_tsc_deadline(random >> 40);
                break;
              case 5:
                chain->bus.send_msi(GuestPhys(0xFEE00000 | ((random >> 8) & 0xFFFFF)),
                                    static_cast<std::uint32_t>(random >> 32) & 0xC1FF);
                break;
              case 6:
                chain->apic_write(0xF0, 0x1FF);
                break;
              default:
                if (chain->apic.pending()) (void)chain->apic.acknowledge();
                break;
            }
          }};
}

INSTANTIATE_TEST_SUITE_P(Pic8259, DeviceConformance, testing::Values(DeviceFactory{make_pic}));
INSTANTIATE_TEST_SUITE_P(ApicChain, DeviceConformance, testing::Values(DeviceFactory{make_chain}));

void program_pic(PicPair& pic) {
  const auto out = [](engine::port::IoHandler& ports, std::uint64_t offset, std::uint8_t value) {
    ports.write(offset, 1, value);
  };
  out(pic.master_ports(), 0, 0x11);
  out(pic.master_ports(), 1, 0x30);
  out(pic.master_ports(), 1, 0x04);
  out(pic.master_ports(), 1, 0x01);
  out(pic.slave_ports(), 0, 0x11);
  out(pic.slave_ports(), 1, 0x38);
  out(pic.slave_ports(), 1, 0x02);
  out(pic.slave_ports(), 1, 0x01);
}

TEST(Pic8259, DeliversTheVectorOfAnEdgeOnceAndAgainAfterTheNextEdge) {
  PicPair pic;
  program_pic(pic);
  pic.set_input(4, true);
  ASSERT_TRUE(pic.pending());
  EXPECT_EQ(pic.acknowledge(), 0x34);
  EXPECT_FALSE(pic.pending());
  pic.master_ports().write(0, 1, 0x20);
  EXPECT_FALSE(pic.pending()) << "the line is still up, but no edge came";
  pic.set_input(4, false);
  pic.set_input(4, true);
  EXPECT_TRUE(pic.pending());
}

TEST(Pic8259, SlaveRequestComesThroughTheCascade) {
  PicPair pic;
  program_pic(pic);
  pic.set_input(8, true);
  ASSERT_TRUE(pic.pending());
  EXPECT_EQ(pic.acknowledge(), 0x38);
  pic.master_ports().write(0, 1, 0x0B);
  pic.slave_ports().write(0, 1, 0x0B);
  EXPECT_EQ(pic.master_ports().read(0, 1), 0x04u);
  EXPECT_EQ(pic.slave_ports().read(0, 1), 0x01u);
}

TEST(Pic8259, RequestInServiceHoldsBackLowerPriorityUntilEndOfInterrupt) {
  PicPair pic;
  program_pic(pic);
  pic.set_input(3, true);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  pic.set_input(5, true);
  EXPECT_FALSE(pic.pending());
  pic.set_input(1, true);
  EXPECT_TRUE(pic.pending()) << "a higher priority nests";
  EXPECT_EQ(pic.acknowledge(), 0x31);
  pic.master_ports().write(0, 1, 0x61);
  pic.master_ports().write(0, 1, 0x63);
  EXPECT_EQ(pic.acknowledge(), 0x35);
}

TEST(Pic8259, LevelTriggeredInputAsksAsLongAsItIsUp) {
  PicPair pic;
  program_pic(pic);
  pic.elcr_ports().write(1, 1, 0x0C);
  EXPECT_EQ(pic.elcr_ports().read(0, 2), 0x0C00u);
  pic.set_input(11, true);
  EXPECT_EQ(pic.acknowledge(), 0x3B);
  pic.slave_ports().write(0, 1, 0x20);
  pic.master_ports().write(0, 1, 0x20);
  EXPECT_TRUE(pic.pending());
  pic.set_input(11, false);
  EXPECT_FALSE(pic.pending());
}

TEST(Pic8259, MaskRegisterHoldsBackAndReadsBack) {
  PicPair pic;
  program_pic(pic);
  pic.master_ports().write(1, 1, 0xFB);
  pic.set_input(0, true);
  EXPECT_FALSE(pic.pending());
  EXPECT_EQ(pic.master_ports().read(1, 1), 0xFBu);
}

TEST(LocalApic, VersionSaysIntegratedApicWithSixLvtEntries) {
  DeviceWorld world;
  Chain chain(world);
  EXPECT_EQ(chain.apic_read(0x30), 0x00050014u);
}

TEST(LocalApic, MessageInterruptIsDeliveredByPriorityAndEndsWithEoi) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.bus.send_msi(GuestPhys(0xFEE00000), 0x41);
  chain.bus.send_msi(GuestPhys(0xFEE00000), 0x61);
  ASSERT_TRUE(chain.apic.pending());
  EXPECT_EQ(chain.apic.acknowledge(), 0x61);
  EXPECT_FALSE(chain.apic.pending()) << "0x41 waits for the EOI of 0x61";
  EXPECT_EQ(chain.apic_read(0xA0), 0x60u);
  chain.apic_write(0xB0, 0);
  EXPECT_EQ(chain.apic.acknowledge(), 0x41);
}

TEST(LocalApic, MessageInterruptWithoutRedirectionHintStillHasItsLogicalDestination) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0xD0, 0x01000000);
  chain.bus.send_msi(GuestPhys(0xFEE01004), 0x41);  // logical destination 1; no APIC has the physical ID 1
  ASSERT_TRUE(chain.apic.pending());
  EXPECT_EQ(chain.apic.acknowledge(), 0x41);
}

TEST(LocalApic, TaskPriorityHoldsBackVectorsOfItsClassAndBelow) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic.set_cr8(4);
  EXPECT_EQ(chain.apic_read(0x80), 0x40u);
  chain.bus.send_msi(GuestPhys(0xFEE00000), 0x4F);
  EXPECT_FALSE(chain.apic.pending());
  chain.bus.send_msi(GuestPhys(0xFEE00000), 0x50);
  EXPECT_EQ(chain.apic.acknowledge(), 0x50);
}

TEST(LocalApic, SelfIpiThroughTheInterruptCommandRegister) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x300, 0x000400F2);
  EXPECT_EQ(chain.apic.acknowledge(), 0xF2);
}

TEST(LocalApic, OneShotTimerFiresOnceAtItsDeadline) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x3E0, 0x3);  // divide by 16
  chain.apic_write(0x320, 0x30);
  chain.apic_write(0x380, 1000);
  world.time.advance(15'999);
  EXPECT_EQ(chain.apic_read(0x390), 1u);
  EXPECT_FALSE(chain.apic.pending());
  world.time.advance(1);
  EXPECT_EQ(chain.apic_read(0x390), 0u);
  EXPECT_EQ(chain.apic.acknowledge(), 0x30);
  chain.apic_write(0xB0, 0);
  world.time.advance(1'000'000);
  EXPECT_FALSE(chain.apic.pending());
}

TEST(LocalApic, PeriodicTimerKeepsItsPhase) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x3E0, 0xB);  // divide by 1
  chain.apic_write(0x320, 0x20030);
  chain.apic_write(0x380, 700);
  for (unsigned run = 1; run <= 5; ++run) {
    EXPECT_EQ(world.time.next_deadline().value, 700u * run);
    world.time.advance(700);
    ASSERT_TRUE(chain.apic.pending()) << run;
    EXPECT_EQ(chain.apic.acknowledge(), 0x30);
    chain.apic_write(0xB0, 0);
  }
}

TEST(LocalApic, MaskedTimerCountsButAsksForNoWakeUp) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x3E0, 0xB);
  chain.apic_write(0x320, 0x10030);
  chain.apic_write(0x380, 0xFFFFFFFF);
  EXPECT_EQ(world.time.next_deadline(), VirtualTime::max());
  world.time.advance(0xF);
  EXPECT_EQ(chain.apic_read(0x390), 0xFFFFFFF0u);
}

TEST(LocalApic, TscDeadlineFiresWhenTheCounterReachesItAndDisarms) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x320, 0x40031);
  chain.apic.set_tsc_deadline(5000);
  world.time.advance(4999);
  EXPECT_FALSE(chain.apic.pending());
  EXPECT_EQ(chain.apic.tsc_deadline(), 5000u);
  world.time.advance(1);
  EXPECT_EQ(chain.apic.acknowledge(), 0x31);
  EXPECT_EQ(chain.apic.tsc_deadline(), 0u);
}

TEST(LocalApic, PassesThePicThroughLint0InExtIntModeOnly) {
  DeviceWorld world;
  Chain chain(world);
  program_pic(chain.pic);
  chain.apic.enter_virtual_wire_mode();
  chain.pic.set_input(4, true);
  ASSERT_TRUE(chain.apic.pending());
  chain.apic_write(0x350, 0x10700);
  EXPECT_FALSE(chain.apic.pending());
  chain.apic_write(0x350, 0x700);
  EXPECT_EQ(chain.apic.acknowledge(), 0x34);
}

TEST(LocalApic, PassesThePicDirectlyWhileGloballyDisabled) {
  DeviceWorld world;
  Chain chain(world);
  program_pic(chain.pic);
  chain.apic.set_base_msr(0xFEE00000);
  EXPECT_EQ(chain.apic_read(0x30), 0xFFFFFFFFu);
  chain.pic.set_input(4, true);
  EXPECT_EQ(chain.apic.acknowledge(), 0x34);
}

TEST(LocalApic, IllegalVectorSetsTheErrorStatusAtItsNextWrite) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.apic_write(0x300, 0x00040005);
  EXPECT_EQ(chain.apic_read(0x280), 0u);
  chain.apic_write(0x280, 0);
  EXPECT_EQ(chain.apic_read(0x280), 0x20u);
}

TEST(IoApic, VersionHas24LinesAndAnEoiRegister) {
  DeviceWorld world;
  Chain chain(world);
  chain.io_apic.write(0, 4, 1);
  EXPECT_EQ(chain.io_apic.read(0x10, 4), 0x00170020u);
}

TEST(IoApic, EdgeIsDeliveredOnceAndLostWhileMasked) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.redirect(4, 0x10044);
  chain.io_apic.set_input(4, true);
  chain.io_apic.set_input(4, false);
  chain.redirect(4, 0x44);
  EXPECT_FALSE(chain.apic.pending());
  chain.io_apic.set_input(4, true);
  EXPECT_EQ(chain.apic.acknowledge(), 0x44);
}

TEST(IoApic, LevelIsDeliveredAgainAfterEoiWhileTheLineIsUp) {
  DeviceWorld world;
  Chain chain(world);
  chain.apic_write(0xF0, 0x1FF);
  chain.redirect(16, 0xA050);
  chain.io_apic.set_input(16, true);
  EXPECT_EQ(chain.apic.acknowledge(), 0x50);
  EXPECT_EQ(chain.redirection_low(16), 0xE050u) << "remote IRR is set";
  chain.apic_write(0xB0, 0);
  EXPECT_EQ(chain.apic.acknowledge(), 0x50);
  chain.io_apic.set_input(16, false);
  chain.apic_write(0xB0, 0);
  EXPECT_FALSE(chain.apic.pending());
  EXPECT_EQ(chain.redirection_low(16), 0xA050u);
}

TEST(Ticks, ConversionIsExactAndRoundsTowardsTheTickThatHasPassed) {
  using devices::core::ticks_at;
  using devices::core::time_of_tick;
  EXPECT_EQ(ticks_at(VirtualTime(1'000'000'000), 1'193'182), 1'193'182u);
  EXPECT_EQ(time_of_tick(1, 1'193'182).value, 839u);
  EXPECT_EQ(ticks_at(VirtualTime(838), 1'193'182), 0u);
  EXPECT_EQ(ticks_at(VirtualTime(839), 1'193'182), 1u);
  EXPECT_EQ(time_of_tick(~std::uint64_t{0}, 1'193'182), VirtualTime::max());
}

}  // namespace
}  // namespace hindsight::tests
