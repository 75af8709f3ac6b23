// The fuzz targets with pseudo-random bytes: they must at least hold in every ordinary build.
#include "tests/fuzz/device_fuzz.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace hindsight::tests {
namespace {

std::vector<std::uint8_t> random_bytes(std::mt19937& generator, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(generator());
  return bytes;
}

TEST(DeviceFuzz, VirtqueuesTakeRandomRings) {
  std::mt19937 generator(1);
  for (int round = 0; round < 300; ++round) fuzz::virtqueue(random_bytes(generator, 600));
}

TEST(DeviceFuzz, PciTakesRandomConfiguration) {
  std::mt19937 generator(2);
  for (int round = 0; round < 300; ++round) fuzz::pci_config(random_bytes(generator, 600));
}

}  // namespace
}  // namespace hindsight::tests
