// Runs guest instructions on the host CPU, as the differential ladder's outermost rung: given register state
// and a memory window at a fixed address in, resulting state and fault out. x86-64 Linux hosts; one per
// process, one thread (it owns the fault signals while an instruction runs). Only unprivileged 64-bit code
// whose accesses stay within kZone belongs here: the code runs in this very process.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace hindsight::tests {

/// Addresses below 4 GiB, so that 32-bit addressing reaches them. The zone is reserved, nothing else lies in
/// it.
namespace native_layout {
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kCode = 0x3F00'0000;  ///< one page, filled with INT3 but for the instructions
constexpr std::uint64_t kStart = kCode + 0x800;
constexpr std::uint64_t kZone = 0x4000'0000, kZoneEnd = 0x5000'0000;
constexpr std::uint64_t kWindow = 0x4800'0000;  ///< kWritablePages read-write pages, then one read-only page
constexpr std::uint64_t kWritablePages = 2;
constexpr std::uint64_t kWindowBytes = (kWritablePages + 1) * kPage;
}  // namespace native_layout

struct NativeState {
  std::uint64_t gpr[16];  ///< in the order of the architecture's encoding
  std::uint64_t rip;
  std::uint64_t rflags;
  alignas(16) std::uint8_t fx[512];  ///< as FXSAVE64 lays it out (SDM vol. 1, 10.5.1)
};

struct NativeEnd {
  bool faulted;  ///< else the instructions completed and rip is where they went
  std::uint32_t vector, error_code;
  std::uint64_t address;  ///< CR2 of a page fault
};

class NativeRunner {
 public:
  NativeRunner();
  ~NativeRunner();
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  /// Empty if this host can run guest code natively, else why not.
  [[nodiscard]] const std::string& unavailable() const { return unavailable_; }
  /// The FS base of this thread, for the guest state to agree.
  [[nodiscard]] std::uint64_t fs_base() const;
  /// Runs `code` at kStart on `state` with the window holding `window` (kWindowBytes), and copies both back.
  NativeEnd run(std::span<const std::uint8_t> code, NativeState& state, std::span<std::byte> window);

 private:
  std::string unavailable_;
  std::uint8_t* signal_stack_ = nullptr;
};

}  // namespace hindsight::tests
