// Runs one integer instruction on the host's own CPU, from a given register file, and reads back what it did.
// For tests on x86-64 hosts; one thread; installs signal handlers for the time of a run.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace hindsight::tests {

struct HostRegisters {
  std::array<std::uint64_t, 16> gpr;
  std::uint64_t rflags;
};

enum class HostFault : std::uint8_t { none, divide, general, undefined };

class HostCpu {
 public:
  HostCpu();
  ~HostCpu();
  HostCpu(const HostCpu&) = delete;
  HostCpu& operator=(const HostCpu&) = delete;

  /// Memory that the instruction may access, below 4 GiB.
  [[nodiscard]] std::span<std::uint8_t> memory() const { return {memory_, kMemorySize}; }
  /// Executes `code`, which must not transfer control. On a fault the registers are left as they were.
  HostFault run(std::span<const std::uint8_t> code, HostRegisters& registers);

  static constexpr std::size_t kMemorySize = 3 * 4096;

 private:
  std::uint8_t* memory_;
  std::uint8_t* page_;  ///< code, and at kData the values that it loads and stores
};

}  // namespace hindsight::tests
