#include "devices/timer/acpi_pm.h"
#include "devices/timer/hpet.h"
#include "devices/timer/pit8254.h"
#include "devices/timer/rtc.h"
#include "tests/unit/devices/conformance.h"

namespace hindsight::tests {
namespace {

using devices::timer::AcpiPm;
using devices::timer::Hpet;
using devices::timer::HpetOutputs;
using devices::timer::Pit8254;
using devices::timer::Rtc;
using support::FakeIrqs;

/// Routes everything to lines of the fake: legacy timers to 0 and 8 + 100, flags to 99.
struct FakeHpetOutputs final : HpetOutputs {
  explicit FakeHpetOutputs(FakeIrqs& sink) : irqs(sink) {}
  void set_legacy_replacement(bool on) override { irqs.set_irq(IrqLine(99), on); }
  void set_legacy(unsigned timer, bool level) override { irqs.set_irq(IrqLine(100 + 8 * timer), level); }
  void set_routed(unsigned line, bool level) override { irqs.set_irq(IrqLine(line), level); }
  FakeIrqs& irqs;
};

struct HpetSetup {
  explicit HpetSetup(DeviceWorld& world) : outputs(world.irqs), hpet(world.time, world.time, outputs) {}
  FakeHpetOutputs outputs;
  Hpet hpet;
};

struct PitSetup {
  explicit PitSetup(DeviceWorld& world)
      : pit(world.time, world.time, [&world](bool level) { world.irqs.set_irq(IrqLine(0), level); }) {
    pit.map(world.bus);
  }
  Pit8254 pit;
};

struct RtcSetup {
  explicit RtcSetup(DeviceWorld& world)
      : rtc(world.time, world.time, [&world](bool level) { world.irqs.set_irq(IrqLine(8), level); }) {
    world.bus.map_ports("rtc", Rtc::kPortBase, Rtc::kPortCount, rtc);
    rtc.power_on(world.host);
  }
  Rtc rtc;
};

struct PmSetup {
  explicit PmSetup(DeviceWorld& world)
      : pm(world.time, world.time, world.power,
           [&world](bool level) { world.irqs.set_irq(IrqLine(9), level); }) {
    world.bus.map_ports("acpi_pm", AcpiPm::kPortBase, AcpiPm::kPortCount, pm);
    world.bus.map_ports("reset", 0xCF8, 4, pm.reset_port());
  }
  AcpiPm pm;
};

DeviceUnderTest make_hpet(DeviceWorld& world) {
  auto setup = std::make_shared<HpetSetup>(world);
  return {.owner = setup,
          .state = {&setup->hpet},
          .ranges = {{&setup->hpet, 0x180, IoSpace::mmio}},
          .stimulate = [setup](std::uint64_t random) { setup->hpet.write(0x10, 8, random % 4); }};
}

DeviceUnderTest make_pit(DeviceWorld& world) {
  auto setup = std::make_shared<PitSetup>(world);
  return {.owner = setup,
          .state = {&setup->pit},
          .ranges = {{&setup->pit, 4, IoSpace::ports}, {&setup->pit.port_b(), 1, IoSpace::ports}}};
}

DeviceUnderTest make_rtc(DeviceWorld& world) {
  auto setup = std::make_shared<RtcSetup>(world);
  return {.owner = setup,
          .state = {&setup->rtc},
          .ranges = {{&setup->rtc, 2, IoSpace::ports}},
          .stimulate = [setup](std::uint64_t random) {
            setup->rtc.write(0, 1, (random >> 8) % 14);
            if ((random & 1) != 0) setup->rtc.write(1, 1, (random >> 16) & 0x77);
          }};
}

DeviceUnderTest make_pm(DeviceWorld& world) {
  auto setup = std::make_shared<PmSetup>(world);
  return {.owner = setup,
          .state = {&setup->pm},
          .ranges = {{&setup->pm, AcpiPm::kPortCount, IoSpace::ports},
                     {&setup->pm.reset_port(), 4, IoSpace::ports}}};
}

INSTANTIATE_TEST_SUITE_P(Hpet, DeviceConformance, testing::Values(DeviceFactory{make_hpet}));
INSTANTIATE_TEST_SUITE_P(Pit8254, DeviceConformance, testing::Values(DeviceFactory{make_pit}));
INSTANTIATE_TEST_SUITE_P(Rtc, DeviceConformance, testing::Values(DeviceFactory{make_rtc}));
INSTANTIATE_TEST_SUITE_P(AcpiPm, DeviceConformance, testing::Values(DeviceFactory{make_pm}));

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(Pit8254, RateGeneratorInterruptsAHundredTimesASecond) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0x34);
  world.bus.out(0x40, 11932 & 0xFF);
  world.bus.out(0x40, 11932 >> 8);
  world.irqs.rises.clear();
  world.time.advance(kSecond);
  EXPECT_EQ(world.irqs.rises[0], 99u) << "1193182 / 11932 is a little below 100";
}

TEST(Pit8254, SquareWaveInterruptsOnceAPeriod) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0x36);
  world.bus.out(0x40, 0);
  world.bus.out(0x40, 0);
  world.irqs.rises.clear();
  world.time.advance(kSecond);
  EXPECT_EQ(world.irqs.rises[0], 18u);
}

TEST(Pit8254, InterruptOnTerminalCountRaisesTheLineOnce) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0x30);
  world.bus.out(0x40, 0xA9);
  EXPECT_FALSE(world.irqs.level(0)) << "low from the control word on";
  world.bus.out(0x40, 0x04);  // 1193 clocks: about 1 ms
  world.time.advance(999'847);
  EXPECT_FALSE(world.irqs.level(0));
  world.time.advance(1);
  EXPECT_TRUE(world.irqs.level(0));
  world.time.advance(kSecond);
  EXPECT_EQ(world.irqs.rises[0], 1u);
}

TEST(Pit8254, LatchedCountStandsWhileTheCounterGoesOn) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0x34);
  world.bus.out(0x40, 0xE8);
  world.bus.out(0x40, 0x03);   // 1000
  world.time.advance(83'810);  // 100 clocks
  world.bus.out(0x43, 0x00);
  world.time.advance(83'810);
  EXPECT_EQ(world.bus.in(0x40) | (world.bus.in(0x40) << 8), 900u);
  EXPECT_EQ(world.bus.in(0x40) | (world.bus.in(0x40) << 8), 800u);
}

TEST(Pit8254, ReadBackLatchesStatusBeforeCount) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0xB6);
  world.bus.out(0x43, 0xC8);  // count and status of channel 2
  EXPECT_EQ(world.bus.in(0x42), 0xF6u) << "output high, null count, LSB/MSB, mode 3";
}

TEST(Pit8254, GateOfPortBRunsChannel2AndItsOutputIsReadThere) {
  DeviceWorld world;
  PitSetup setup(world);
  world.bus.out(0x43, 0xB0);
  world.bus.out(0x42, 100);
  world.bus.out(0x42, 0);
  world.time.advance(kMillisecond);
  EXPECT_EQ(world.bus.in(0x61) & 0x20, 0u) << "the gate is closed";
  world.bus.out(0x61, 1);
  world.time.advance(kMillisecond);
  EXPECT_EQ(world.bus.in(0x61) & 0x21, 0x21u);
}

TEST(Pit8254, RefreshBitOfPortBTogglesEvery15Microseconds) {
  DeviceWorld world;
  PitSetup setup(world);
  const std::uint64_t before = world.bus.in(0x61) & 0x10;
  world.time.advance(15'085);
  EXPECT_NE(world.bus.in(0x61) & 0x10, before);
}

TEST(Hpet, CapabilitiesSayThreeTimersAndTenNanoseconds) {
  DeviceWorld world;
  HpetSetup setup(world);
  EXPECT_EQ(setup.hpet.read(4, 4), 10'000'000u);
  EXPECT_EQ(setup.hpet.read(0, 4), 0x8086A201u);
}

TEST(Hpet, CounterRunsAt100MHzWhileEnabled) {
  DeviceWorld world;
  HpetSetup setup(world);
  world.time.advance(kMillisecond);
  EXPECT_EQ(setup.hpet.read(0xF0, 8), 0u);
  setup.hpet.write(0x10, 4, 1);
  world.time.advance(kMillisecond);
  EXPECT_EQ(setup.hpet.read(0xF0, 8), 100'000u);
  setup.hpet.write(0x10, 4, 0);
  world.time.advance(kMillisecond);
  EXPECT_EQ(setup.hpet.read(0xF0, 8), 100'000u);
}

TEST(Hpet, OneShotComparatorInterruptsAtItsMatch) {
  DeviceWorld world;
  HpetSetup setup(world);
  setup.hpet.write(0x100, 4, 0x004 | (14 << 9));
  setup.hpet.write(0x108, 8, 5000);
  setup.hpet.write(0x10, 4, 1);
  world.time.advance(49'999);
  EXPECT_EQ(world.irqs.rises[14], 0u);
  world.time.advance(1);
  EXPECT_EQ(world.irqs.rises[14], 1u);
}

TEST(Hpet, PeriodicTimerUnderLegacyReplacementDrivesTheTimersLine) {
  DeviceWorld world;
  HpetSetup setup(world);
  setup.hpet.write(0x100, 4, 0x14C);  // enable, periodic, value set, 32 bits
  setup.hpet.write(0x108, 4, 1000);
  setup.hpet.write(0x108, 4, 2000);
  setup.hpet.write(0x10, 4, 3);
  EXPECT_TRUE(world.irqs.level(99));
  world.time.advance(10'000);
  EXPECT_EQ(world.irqs.rises[100], 1u);
  world.time.advance(200'000);
  EXPECT_EQ(world.irqs.rises[100], 11u);
}

TEST(Hpet, LevelTriggeredTimerHoldsItsLineUntilTheStatusIsCleared) {
  DeviceWorld world;
  HpetSetup setup(world);
  setup.hpet.write(0x140, 4, 0x006 | (15 << 9));
  setup.hpet.write(0x148, 8, 10);
  setup.hpet.write(0x10, 4, 1);
  world.time.advance(1000);
  EXPECT_TRUE(world.irqs.level(15));
  EXPECT_EQ(setup.hpet.read(0x20, 4), 4u);
  setup.hpet.write(0x20, 4, 4);
  EXPECT_FALSE(world.irqs.level(15));
}

std::uint64_t cmos(DeviceWorld& world, std::uint8_t index) {
  world.bus.out(0x70, index);
  return world.bus.in(0x71);
}

void set_cmos(DeviceWorld& world, std::uint8_t index, std::uint8_t value) {
  world.bus.out(0x70, index);
  world.bus.out(0x71, value);
}

TEST(Rtc, ShowsTheWallClockOfPowerOnInBcd) {
  DeviceWorld world;  // 2023-11-14 22:13:20 UTC, a Tuesday
  RtcSetup setup(world);
  EXPECT_EQ(world.host.samples, 1u);
  EXPECT_EQ(cmos(world, 0x32), 0x20u);
  EXPECT_EQ(cmos(world, 9), 0x23u);
  EXPECT_EQ(cmos(world, 8), 0x11u);
  EXPECT_EQ(cmos(world, 7), 0x14u);
  EXPECT_EQ(cmos(world, 6), 0x03u);
  EXPECT_EQ(cmos(world, 4), 0x22u);
  EXPECT_EQ(cmos(world, 2), 0x13u);
  EXPECT_EQ(cmos(world, 0), 0x20u);
}

TEST(Rtc, FollowsVirtualTimeOverMidnight) {
  DeviceWorld world;
  RtcSetup setup(world);
  world.time.advance(2 * 3600 * kSecond);
  EXPECT_EQ(cmos(world, 4), 0x00u);
  EXPECT_EQ(cmos(world, 7), 0x15u);
}

TEST(Rtc, TimeWrittenUnderSetIsTakenWhenSetIsReleased) {
  DeviceWorld world;
  RtcSetup setup(world);
  set_cmos(world, 11, 0x82);
  set_cmos(world, 0x32, 0x19);
  set_cmos(world, 9, 0x99);
  set_cmos(world, 8, 0x12);
  set_cmos(world, 7, 0x31);
  set_cmos(world, 4, 0x23);
  set_cmos(world, 2, 0x59);
  set_cmos(world, 0, 0x59);
  world.time.advance(10 * kSecond);
  EXPECT_EQ(cmos(world, 0), 0x59u) << "the clock stands while SET is on";
  set_cmos(world, 11, 0x02);
  world.time.advance(kSecond);
  EXPECT_EQ(cmos(world, 0x32), 0x20u);
  EXPECT_EQ(cmos(world, 9), 0x00u);
  EXPECT_EQ(cmos(world, 8), 0x01u);
}

TEST(Rtc, UpdateInProgressRisesJustBeforeTheSecondTurns) {
  DeviceWorld world;
  RtcSetup setup(world);
  world.time.advance(kSecond - 245'000);
  EXPECT_EQ(cmos(world, 10) & 0x80, 0u);
  world.time.advance(2'000);
  EXPECT_EQ(cmos(world, 10) & 0x80, 0x80u);
  world.time.advance(243'000);
  EXPECT_EQ(cmos(world, 10) & 0x80, 0u);
}

TEST(Rtc, PeriodicInterruptHoldsTheLineUntilRegisterCIsRead) {
  DeviceWorld world;
  RtcSetup setup(world);
  (void)cmos(world, 12);
  set_cmos(world, 11, 0x42);  // 1024 Hz
  EXPECT_FALSE(world.irqs.level(8));
  world.time.advance(kMillisecond);
  EXPECT_TRUE(world.irqs.level(8));
  EXPECT_EQ(cmos(world, 12), 0xC0u);
  EXPECT_FALSE(world.irqs.level(8));
  EXPECT_EQ(cmos(world, 12), 0x00u);
}

TEST(Rtc, AlarmInterruptsAtItsSecondOnly) {
  DeviceWorld world;
  RtcSetup setup(world);
  set_cmos(world, 5, 0x22);
  set_cmos(world, 3, 0x14);
  set_cmos(world, 1, 0x05);  // 45 seconds ahead
  (void)cmos(world, 12);
  set_cmos(world, 11, 0x22);
  world.time.advance(45 * kSecond - 1);
  EXPECT_FALSE(world.irqs.level(8));
  world.time.advance(1);
  EXPECT_TRUE(world.irqs.level(8));
  EXPECT_EQ(cmos(world, 12) & 0xA0, 0xA0u);
}

TEST(AcpiPm, TimerRunsAt3579545Hz) {
  DeviceWorld world;
  PmSetup setup(world);
  world.time.advance(kSecond);
  EXPECT_EQ(world.bus.in(0x608, 4), 3'579'545u);
}

TEST(AcpiPm, TimerStatusFollowsTheTopBitAndRaisesSciWhenEnabled) {
  DeviceWorld world;
  PmSetup setup(world);
  world.bus.out(0x602, 1, 2);
  world.time.advance(599 * kSecond);
  EXPECT_FALSE(world.irqs.level(9));
  world.time.advance(kSecond);
  EXPECT_TRUE(world.irqs.level(9));
  EXPECT_EQ(world.bus.in(0x600, 2), 1u);
  world.bus.out(0x600, 1, 2);
  EXPECT_FALSE(world.irqs.level(9));
}

TEST(AcpiPm, AcpiModeIsAlwaysOn) {
  DeviceWorld world;
  PmSetup setup(world);
  EXPECT_EQ(world.bus.in(0x604, 2), 1u);
  world.bus.out(0x604, 0, 2);
  EXPECT_EQ(world.bus.in(0x604, 2), 1u);
}

TEST(AcpiPm, SleepEnableWithTheSoftOffTypePowersOff) {
  DeviceWorld world;
  PmSetup setup(world);
  world.bus.out(0x604, 5 << 10, 2);
  EXPECT_TRUE(world.power.requests.empty());
  world.bus.out(0x604, (5 << 10) | (1 << 13), 2);
  EXPECT_EQ(world.power.requests, std::vector{engine::port::PowerEvent::power_off});
}

TEST(AcpiPm, ResetControlRegisterResetsOnARisingResetBit) {
  DeviceWorld world;
  PmSetup setup(world);
  world.bus.out(0xCF9, 0x02);
  EXPECT_TRUE(world.power.requests.empty());
  world.bus.out(0xCF9, 0x06);
  EXPECT_EQ(world.power.requests, std::vector{engine::port::PowerEvent::reset});
  EXPECT_EQ(world.bus.in(0xCF9), 0x06u);
}

}  // namespace
}  // namespace hindsight::tests
