// Any bytes, in any mode, decode and lift to a valid block that lies within what was given.
// Input: two bytes of mode bits, two of the offset in the page, then code.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/guest/x86/x86_guest.h"

using namespace hindsight;
namespace x86 = hindsight::engine::guest::x86;
namespace ir = hindsight::engine::ir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static x86::X86Guest guest;
  static const bool kQuiet = log::configure("x86:off").ok();
  if (size < 5 || !kQuiet) return 0;
  const std::uint64_t mode_bits = data[0] | std::uint64_t{data[1]} << 8;
  const std::uint32_t offset = (data[2] | std::uint32_t{data[3]} << 8) & kPageMask;
  const std::span<const std::uint8_t> code(data + 4,
                                           std::min<std::size_t>(size - 4, kPageSize - offset + 15));
  const ir::LiftRequest request{mode_bits << x86::mode::kShift,
                                kPageSize + offset,
                                code,
                                ir::Block::kMaxInsns,
                                false,
                                nullptr,
                                nullptr};
  ir::Block block;
  if (guest.lift(request, block) == ir::LiftOutcome::fetch_beyond) return 0;
  const std::string fault = ir::verify(block);
  CHECK(fault.empty(), "{}\n{}", fault, ir::print(block));
  CHECK(block.byte_length >= 1 && block.byte_length <= code.size(), "{} of {} bytes", block.byte_length,
        code.size());
  return 0;
}
