// Segmentation of data accesses outside 64-bit mode: offset to linear address with the limit and rights of
// the segment (SDM vol. 3, 5.3 and 5.5). Called by translated code through its helper and by string
// instructions. The run loop's thread only. A function of the state.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86 {

/// What is accessed, as passed to the helper in one argument.
struct SegmentAccess {
  unsigned segment;  ///< SegmentIndex
  unsigned bytes;
  bool write;

  [[nodiscard]] constexpr std::uint64_t pack() const {
    return segment | (write ? 0x80u : 0u) | std::uint64_t{bytes} << 8;
  }
  static constexpr SegmentAccess unpack(std::uint64_t v) {
    return {static_cast<unsigned>(v & 7), static_cast<unsigned>(v >> 8), (v & 0x80) != 0};
  }
};

/// The linear address of `access.bytes` bytes at `offset`, or nothing if the segment does not allow it.
[[nodiscard]] std::optional<std::uint64_t> try_segment_address(const CpuState& state, std::uint64_t offset,
                                                               SegmentAccess access);
/// The same; sets the trap (#SS(0) for the stack segment, else #GP(0)) and returns nothing on failure.
[[nodiscard]] std::optional<std::uint64_t> segment_address(CpuState& state, std::uint64_t offset,
                                                           SegmentAccess access);

/// (offset, packed SegmentAccess) to linear address; may trap.
extern const ir::HelperInfo kSegmentAddressHelper;

}  // namespace hindsight::engine::guest::x86
