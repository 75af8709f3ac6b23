#include <cstddef>
#include <cstdint>

#include "tests/fuzz/device_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hindsight::tests::fuzz::virtqueue({data, size});
  return 0;
}
