// Pseudo-random use of a device: accesses of all sizes and offsets, time passing, saving, loading. Driven by
// a seed (tests) or by a byte string (fuzzing), so that every run can be repeated. One test
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/port/stateful.h"
#include "tests/support/device_world.h"

namespace hindsight::tests::support {

enum class IoSpace { mmio, ports };

struct IoRange {
  port::IoHandler* handler;
  std::uint64_t size;
  IoSpace space = IoSpace::mmio;
};

struct DeviceUnderTest {
  /// Keeps the device and whatever else it needs alive.
  std::shared_ptr<void> owner;
  /// Saved and loaded in this order.
  std::vector<port::Stateful*> state;
  std::vector<IoRange> ranges;
  /// Optional: something from outside arrives (a byte, a frame, a line that changes).
  std::function<void(std::uint64_t random)> stimulate = {};
};

struct DeviceFactory {
  std::function<DeviceUnderTest(DeviceWorld&)> make;
};

/// The bytes of every part's state.
[[nodiscard]] std::vector<std::uint8_t> save(const DeviceUnderTest& device);
void load(const DeviceUnderTest& device, std::span<const std::uint8_t> saved);

struct Access {
  port::IoHandler* handler;
  std::uint64_t offset;
  unsigned size;
};

class Exercise {
 public:
  Exercise(DeviceWorld& world, DeviceUnderTest& device, std::uint64_t seed)
      : world_(world), device_(device), state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  /// Draws from `bytes` until they are used up, then from their hash.
  Exercise(DeviceWorld& world, DeviceUnderTest& device, std::span<const std::uint8_t> bytes)
      : world_(world), device_(device), state_(bytes.size() + 1), bytes_(bytes) {}

  /// Does `steps` things: a read, a write, a stimulus or some time passing.
  void run(unsigned steps);
  void step();
  /// Peeks every offset of small ranges and many of large ones, in every size.
  void peek_everywhere();
  /// An access within one of the device's ranges.
  Access random_access();
  /// Loads each part from a struct whose every field is random.
  void load_garbage();
  /// Of every value read so far.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  [[nodiscard]] bool exhausted() const { return bytes_.empty(); }

 private:
  std::uint64_t random();
  DeviceWorld& world_;
  DeviceUnderTest& device_;
  std::uint64_t state_;
  std::span<const std::uint8_t> bytes_;
  std::uint64_t digest_ = 0;
};

}  // namespace hindsight::tests::support
