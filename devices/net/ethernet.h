// What network devices share: addresses and the bounds of a frame (IEEE 802.3, without the FCS). Plain
// values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hindsight::devices::net {

using MacAddress = std::array<std::uint8_t, 6>;

/// Locally administered, unicast.
constexpr MacAddress kDefaultMac{0x02, 0x48, 0x53, 0x00, 0x00, 0x01};

constexpr std::size_t kHeaderSize = 14;
/// A 1500-byte payload behind a header with one VLAN tag.
constexpr std::size_t kMaxFrame = kHeaderSize + 4 + 1500;

}  // namespace hindsight::devices::net
