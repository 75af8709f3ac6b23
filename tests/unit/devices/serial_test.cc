#include "devices/serial/uart16550.h"
#include "tests/unit/devices/conformance.h"

namespace hindsight::tests {
namespace {

using devices::serial::Uart16550;
using engine::port::Channel;

struct UartSetup {
  explicit UartSetup(DeviceWorld& outer)
      : world(outer),
        uart("serial0", Channel::serial0, outer.time, outer.time, outer.host,
             [&outer](bool level) { outer.irqs.set_irq(IrqLine(4), level); }) {
    world.bus.map_ports("serial0", 0x3F8, 8, uart);
  }
  void receive(std::string_view text) { uart.input(std::as_bytes(std::span(text))); }
  [[nodiscard]] std::uint64_t in(unsigned reg) {
    return world.bus.in(static_cast<std::uint16_t>(0x3F8 + reg));
  }
  void out(unsigned reg, std::uint8_t value) {
    world.bus.out(static_cast<std::uint16_t>(0x3F8 + reg), value);
  }

  DeviceWorld& world;
  Uart16550 uart;
};

DeviceUnderTest make_uart(DeviceWorld& world) {
  auto setup = std::make_shared<UartSetup>(world);
  return {.owner = setup,
          .state = {&setup->uart},
          .ranges = {{&setup->uart, 8, IoSpace::ports}},
          .stimulate = [setup](std::uint64_t random) {
            setup->receive(std::string(random % 40, static_cast<char>(random >> 8)));
          }};
}

INSTANTIATE_TEST_SUITE_P(Uart16550, DeviceConformance, testing::Values(DeviceFactory{make_uart}));

TEST(Uart16550, ReadOfEmptyFifoReturnsZeroAndClearsDataReady) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.receive("x");
  EXPECT_EQ(uart.in(5), 0x61u);
  EXPECT_EQ(uart.in(0), std::uint64_t{'x'});
  EXPECT_EQ(uart.in(5), 0x60u);
  EXPECT_EQ(uart.in(0), 0u);
}

TEST(Uart16550, TransmittedBytesLeaveAtOnceInOrder) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(0, 'h');
  uart.out(0, 'i');
  EXPECT_EQ(world.host.outputs[Channel::serial0], "hi");
  EXPECT_EQ(uart.in(5) & 0x60, 0x60u);
}

TEST(Uart16550, ThreInterruptIsRaisedByEnablingClearedByIirAndRaisedByTheNextWrite) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(4, 0x08);
  uart.out(1, 0x02);
  EXPECT_TRUE(world.irqs.level(4));
  EXPECT_EQ(uart.in(2), 0x02u);
  EXPECT_FALSE(world.irqs.level(4));
  EXPECT_EQ(uart.in(2), 0x01u);
  uart.out(0, 'a');
  EXPECT_TRUE(world.irqs.level(4));
  EXPECT_EQ(uart.in(2), 0x02u);
}

TEST(Uart16550, InterruptLineNeedsOut2) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(1, 0x01);
  uart.receive("x");
  EXPECT_EQ(uart.in(2), 0x04u);
  EXPECT_FALSE(world.irqs.level(4));
  uart.out(4, 0x08);
  EXPECT_TRUE(world.irqs.level(4));
}

TEST(Uart16550, FifoInterruptsAtItsTriggerLevelOrAfterFourIdleCharacters) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(3, 0x83);
  uart.out(0, 1);
  uart.out(1, 0);
  uart.out(3, 0x03);  // 115200 8n1: a character takes 86.8 microseconds
  uart.out(2, 0x41);  // trigger at four
  uart.out(4, 0x08);
  uart.out(1, 0x01);
  uart.receive("abc");
  EXPECT_EQ(uart.in(2), 0xC1u);
  world.time.advance(347'000);
  EXPECT_EQ(uart.in(2), 0xC1u);
  world.time.advance(1'000);
  EXPECT_EQ(uart.in(2), 0xCCu);
  EXPECT_TRUE(world.irqs.level(4));
  EXPECT_EQ(uart.in(0), std::uint64_t{'a'});
  EXPECT_EQ(uart.in(2), 0xC1u) << "reading ends the timeout";
  uart.receive("de");
  EXPECT_EQ(uart.in(2), 0xC4u);
}

TEST(Uart16550, BytesBeyondTheFifoFollowAsTheGuestReads) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(2, 0x01);
  uart.receive("0123456789abcdefXYZ");
  std::string got;
  for (int i = 0; i < 19; ++i) got.push_back(static_cast<char>(uart.in(0)));
  EXPECT_EQ(got, "0123456789abcdefXYZ");
  EXPECT_EQ(uart.in(5), 0x60u) << "nothing left and no overrun";
}

TEST(Uart16550, LoopbackReturnsWhatIsSentAndSendsNothing) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(4, 0x10);
  uart.out(0, 'q');
  EXPECT_EQ(uart.in(0), std::uint64_t{'q'});
  EXPECT_EQ(world.host.outputs[Channel::serial0], "");
  uart.out(4, 0x1A);
  EXPECT_EQ(uart.in(6) & 0xF0, 0x90u) << "RTS to CTS, OUT2 to DCD";
}

TEST(Uart16550, DivisorLatchIsReachedThroughDlab) {
  DeviceWorld world;
  UartSetup uart(world);
  uart.out(3, 0x80);
  uart.out(0, 0x34);
  uart.out(1, 0x12);
  EXPECT_EQ(uart.in(0), 0x34u);
  EXPECT_EQ(uart.in(1), 0x12u);
  uart.out(3, 0x00);
  EXPECT_EQ(uart.in(1), 0x00u) << "IER";
}

}  // namespace
}  // namespace hindsight::tests
