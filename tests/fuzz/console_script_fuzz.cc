// Any bytes as a console script: parsed or refused with one line, and what was parsed runs to its end or
// waits, whatever the guest prints. The script ends at the first zero byte; what follows it is the guest's
// output.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "devices/hostio/script.h"
#include "engine/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hindsight;
  const std::span<const std::uint8_t> input(data, size);
  const std::size_t length = static_cast<std::size_t>(std::ranges::find(input, 0) - input.begin());
  const std::string_view text(reinterpret_cast<const char*>(data), length);
  auto script = devices::hostio::parse_script("script", text);
  if (!script) {
    CHECK(script.failure().message.starts_with("script:"), "{}", script.failure().message);
    return 0;
  }
  devices::hostio::ScriptedConsole console(std::move(*script));
  std::vector<std::byte> typed;
  VirtualTime now{0};
  for (std::span<const std::byte> printed = std::as_bytes(input.subspan(length)); !printed.empty();) {
    const std::size_t part = std::min<std::size_t>(printed.size(), 7);
    console.output(now, printed.first(part));
    console.receive(now, typed);
    printed = printed.subspan(part);
    now = now + std::uint64_t{1'000'000};
  }
  CHECK(console.finished() == !console.waiting_for().has_value());
  return 0;
}
