// The bodies of the device fuzz targets: each takes any bytes, uses its devices as an ill-meaning guest
// would, and CHECKs that their state stays one that loads to itself.
// One call at a time.
#pragma once

#include <cstdint>
#include <span>

namespace hindsight::tests::fuzz {

/// Rings and buffers full of the input's bytes, for each virtio device.
void virtqueue(std::span<const std::uint8_t> input);
/// Configuration space and BARs, by ports and memory accesses.
void pci_config(std::span<const std::uint8_t> input);

}  // namespace hindsight::tests::fuzz
