// Any bytes as a kernel: loaded or refused with one line, never a crash. The first byte chooses a magic
// number to start from, so that the parsers are reached.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "devices/firmware/linux_boot.h"
#include "devices/firmware/memory_map.h"
#include "engine/base/check.h"
#include "tests/support/device_world.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hindsight;
  if (size < 2) return 0;
  std::vector<std::uint8_t> file(data + 1, data + size);
  const auto put = [&file](std::size_t at, std::initializer_list<std::uint8_t> bytes) {
    if (file.size() < at + bytes.size()) file.resize(at + bytes.size());
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
  };
  if (data[0] % 4 == 1) put(0, {0x7F, 'E', 'L', 'F', 2, 1});
  if (data[0] % 4 == 2) put(0, {0x7F, 'E', 'L', 'F', 1, 1});
  if (data[0] % 4 == 3) {
    put(0x1FE, {0x55, 0xAA});
    put(0x202, {'H', 'd', 'r', 'S'});
    put(0x206, {0x0F, 0x02});
    put(0x211, {0x01});
    put(0x236, {0x01});
    file.resize(file.size() + 4096);
  }
  constexpr std::uint64_t kRam = std::uint64_t{4} << 20;
  tests::support::FakeMemory memory(kRam);
  const auto boot = devices::firmware::load_linux({std::as_bytes(std::span(file)), {}, "console=ttyS0"}, kRam,
                                                  GuestPhys(devices::firmware::kTablesBase), memory);
  if (!boot) CHECK(boot.failure().message.find('\n') == std::string::npos);
  return 0;
}
