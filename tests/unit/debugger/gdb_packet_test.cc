#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "debugger/gdb/packet.h"
#include "tests/support/gdb_wire.h"

namespace hindsight::debugger::gdb {

bool operator==(const Incoming& a, const Incoming& b) { return a.kind == b.kind && a.payload == b.payload; }
void PrintTo(const Incoming& event, std::ostream* out) {
  *out << static_cast<int>(event.kind) << " \"" << event.payload << '"';
}

namespace {

using Kind = Incoming::Kind;
using testing::ElementsAre;

std::vector<Incoming> read(std::string_view bytes) {
  PacketReader reader;
  reader.feed(bytes);
  std::vector<Incoming> events;
  while (auto event = reader.next()) events.push_back(*event);
  return events;
}

TEST(GdbPacket, ASoundPacketIsItsPayload) {
  EXPECT_THAT(read("$m10,4#2e"), ElementsAre(Incoming{Kind::packet, "m10,4"}));
}

TEST(GdbPacket, APacketMayComeByteByByte) {
  PacketReader reader;
  for (const char byte : std::string_view("$g#6")) reader.feed({&byte, 1});
  EXPECT_FALSE(reader.next());
  reader.feed("7");
  EXPECT_EQ(reader.next(), (Incoming{Kind::packet, "g"}));
}

TEST(GdbPacket, AWrongChecksumIsDamage) {
  EXPECT_THAT(read("$g#68"), ElementsAre(Incoming{Kind::damaged, ""}));
}

TEST(GdbPacket, AChecksumOfOtherCharactersIsDamage) {
  EXPECT_THAT(read("$g#zz$g#67"), ElementsAre(Incoming{Kind::damaged, ""}, Incoming{Kind::packet, "g"}));
}

TEST(GdbPacket, EscapesAreUndone) {
  EXPECT_THAT(read("$a}\x03}]b#1d"), ElementsAre(Incoming{Kind::packet, "a#}b"}));
}

TEST(GdbPacket, AnEscapeOfNothingIsDamage) {
  EXPECT_THAT(read("$a}#de"), ElementsAre(Incoming{Kind::damaged, ""}));
}

TEST(GdbPacket, AcknowledgementsAndTheInterruptStandBetweenPackets) {
  EXPECT_THAT(read("+$g#67-\x03"), ElementsAre(Incoming{Kind::ack, ""}, Incoming{Kind::packet, "g"},
                                               Incoming{Kind::nack, ""}, Incoming{Kind::interrupt, ""}));
}

TEST(GdbPacket, TheInterruptByteWithinAPacketIsData) {
  EXPECT_THAT(read("$a\x03#64"), ElementsAre(Incoming{Kind::packet, "a\x03"}));
}

TEST(GdbPacket, ADollarStartsAnew) {
  EXPECT_THAT(read("$mXX$g#67"), ElementsAre(Incoming{Kind::packet, "g"}));
}

TEST(GdbPacket, NoiseBetweenPacketsIsDropped) {
  EXPECT_THAT(read("hello\r\n$g#67zz"), ElementsAre(Incoming{Kind::packet, "g"}));
}

TEST(GdbPacket, APacketOfTheGreatestSizeIsTakenAndALongerOneIsNot) {
  const std::string most(kMaxRequest, 'a');
  PacketReader reader;
  reader.feed(frame(escape("")));
  reader.feed("$" + most + "#00");  // 65536 * 'a' is 0 modulo 256
  reader.feed("$" + most + "a#61");
  reader.feed("$g#67");
  EXPECT_EQ(reader.next(), (Incoming{Kind::packet, ""}));
  EXPECT_EQ(reader.next(), (Incoming{Kind::packet, most}));
  EXPECT_EQ(reader.next(), (Incoming{Kind::too_long, ""}));
  EXPECT_EQ(reader.next(), (Incoming{Kind::packet, "g"}));
}

TEST(GdbFrame, HasAChecksumOfTwoDigits) {
  EXPECT_EQ(frame("OK"), "$OK#9a");
  EXPECT_EQ(frame(""), "$#00");
}

TEST(GdbFrame, RunsOfFourAndMoreAreShortened) {
  EXPECT_EQ(frame("000"), "$000#90");
  EXPECT_EQ(frame("0000").substr(0, 4), "$0* ");
}

TEST(GdbFrame, NoCountLooksLikeTheEndOrTheStartOfAPacket) {
  // 7 and 8 zeros would have the counts '#' and '$' (GDB manual, E.1).
  EXPECT_EQ(frame("0000000"), "$0*\"0#ac");
  EXPECT_EQ(frame("00000000"), "$0*\"00#dc");
}

TEST(GdbFrame, RunsOfEveryLengthComeBackWhole) {
  for (std::size_t length = 0; length < 400; ++length) {
    const std::string run = "a" + std::string(length, '0') + "b";
    ASSERT_EQ(tests::payload_of(frame(run)), run) << length;
  }
}

TEST(GdbFrame, EscapedBinaryDataComesBackWhole) {
  std::string data;
  for (int i = 0; i < 256; ++i) data.append(static_cast<std::size_t>(i % 9 + 1), static_cast<char>(i));
  EXPECT_EQ(tests::payload_of(frame(escape(data))), data);
}

TEST(GdbHex, NumbersAndBytes) {
  EXPECT_EQ(parse_hex("ffff888000000000"), 0xffff888000000000);
  EXPECT_EQ(parse_hex(""), std::nullopt);
  EXPECT_EQ(parse_hex("10000000000000000"), std::nullopt);
  EXPECT_EQ(parse_hex("12g"), std::nullopt);
  EXPECT_EQ(from_hex("4a4B"), "JK");
  EXPECT_EQ(from_hex("4a4"), std::nullopt);
  EXPECT_EQ(to_hex("\xff\x01"), "ff01");
}

}  // namespace
}  // namespace hindsight::debugger::gdb
