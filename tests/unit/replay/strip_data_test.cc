// What stands in for user data.
#include <gtest/gtest.h>

#include <string>

#include "replay/strip/user_data.h"

namespace hindsight::replay::strip {
namespace {

using traces::store::Bytes;

Bytes bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
std::string text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(StripData, TextKeepsItsBlanksLinesAndControls) {
  EXPECT_EQ(text_of(text_filler(bytes_of("my Pass-word\t1\r\n\x1b[A\x04"))), "xx xxxxxxxxx\tx\r\n\x1bxx\x04");
}

TEST(StripData, BinaryDataBecomesZerosAndTextInItStaysText) {
  const std::string text(64, 'a'), binary = std::string(63, 'b') + '\x01',
                                   end = "end" + std::string(61, '\0');
  EXPECT_EQ(text_of(data_filler(bytes_of(text + binary + end))),
            std::string(64, 'x') + std::string(64, '\0') + "xxx" + std::string(61, '\0'));
}

/// An Ethernet frame with a datagram from 10.0.2.2 to 10.0.2.15 that carries `payload`.
Bytes datagram(const std::string& payload, bool with_checksum) {
  const std::size_t size = 8 + payload.size();
  std::string frame(12, '\x52');
  frame += std::string("\x08\x00\x45\x00", 4);
  frame += std::string{static_cast<char>((20 + size) >> 8), static_cast<char>(20 + size)};
  frame += std::string("\x00\x01\x00\x00\x40\x11\x00\x00\x0a\x00\x02\x02\x0a\x00\x02\x0f", 16);
  frame += std::string("\x00\x35\x10\x00", 4);
  frame += std::string{static_cast<char>(size >> 8), static_cast<char>(size)};
  frame += std::string("\x00\x00", 2) + payload;
  Bytes bytes = bytes_of(frame);
  if (!with_checksum) return bytes;
  // RFC 768: over addresses, protocol, length, header and payload.
  std::uint32_t sum = 17 + static_cast<std::uint32_t>(size);
  for (std::size_t at = 26; at < bytes.size(); at += 2)
    sum += std::to_integer<std::uint32_t>(bytes[at]) << 8 |
           (at + 1 < bytes.size() ? std::to_integer<std::uint32_t>(bytes[at + 1]) : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  bytes[40] = static_cast<std::byte>(~sum >> 8);
  bytes[41] = static_cast<std::byte>(~sum);
  return bytes;
}

TEST(StripData, TheChecksumOfADatagramIsRightForItsNewPayload) {
  const Bytes before = datagram("hello, user", true);
  ASSERT_EQ(payload_of_frame(before), 42u);
  Bytes now = datagram("xxxxx, xxxx", true);
  const Bytes right = now;
  now[40] = before[40];
  now[41] = before[41];
  adjust_checksum(before, now);
  EXPECT_EQ(now, right);
}

TEST(StripData, ADatagramWithoutAChecksumGetsNone) {
  Bytes now = datagram("xxxxx, xxxx", false);
  adjust_checksum(datagram("hello, user", false), now);
  EXPECT_EQ(now, datagram("xxxxx, xxxx", false));
}

TEST(StripData, OtherFramesHaveNoPayloadToReplace) {
  Bytes arp = datagram("hello", false), fragment = arp, cut = arp;
  arp[13] = std::byte{6};
  fragment[20] = std::byte{0x20};
  cut.resize(30);
  EXPECT_FALSE(payload_of_frame(arp));
  EXPECT_FALSE(payload_of_frame(fragment));
  EXPECT_FALSE(payload_of_frame(cut));
}

}  // namespace
}  // namespace hindsight::replay::strip
