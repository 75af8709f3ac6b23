// Any bytes as a kernel: loaded or refused with one line, never a crash. The first byte chooses whether the
// rest is the file itself or edits of a sound one: each a 2-byte position and the byte to put there.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/firmware/linux_boot.h"
#include "devices/firmware/memory_map.h"
#include "engine/base/check.h"
#include "tests/support/device_world.h"
#include "tests/support/sample_kernels.h"

namespace hindsight::tests {
namespace {

// Where files have their headers and notes: edits beyond would be spent on what the loaders only copy.
constexpr std::size_t kInteresting = 0x480;

std::vector<std::byte> edited(std::vector<std::byte> file, std::span<const std::byte> edits) {
  for (; edits.size() >= 3; edits = edits.subspan(3)) {
    const std::size_t at = std::to_integer<std::size_t>(edits[0]) | std::to_integer<std::size_t>(edits[1])
                                                                        << 8;
    file[at % std::min(file.size(), kInteresting)] = edits[2];
  }
  return file;
}

std::vector<std::byte> kernel_of(unsigned choice, std::span<const std::byte> rest) {
  if (choice % 3 == 1) return edited(support::bzimage(), rest);
  if (choice % 3 == 2) return edited(support::pvh_elf(0x1000040), rest);
  return {rest.begin(), rest.end()};
}

}  // namespace
}  // namespace hindsight::tests

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hindsight;
  if (size < 2) return 0;
  const std::vector<std::byte> kernel =
      tests::kernel_of(data[0], std::as_bytes(std::span(data + 1, size - 1)));
  const std::vector<std::byte> initrd(data[0] >= 128 ? 5000 : 0);
  constexpr std::uint64_t kRam = std::uint64_t{32} << 20;
  // What the loaders write does not depend on what is there, so that one memory serves all inputs.
  static tests::support::FakeMemory memory(kRam);
  const auto boot = devices::firmware::load_linux({kernel, initrd, "console=ttyS0"}, kRam,
                                                  GuestPhys(devices::firmware::kTablesBase), memory);
  if (!boot) CHECK(boot.failure().message.find('\n') == std::string::npos);
  return 0;
}
