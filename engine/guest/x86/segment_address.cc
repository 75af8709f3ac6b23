#include "engine/guest/x86/segment_address.h"

#include "engine/guest/x86/lift.h"

namespace hindsight::engine::guest::x86 {
namespace {

bool rights_allow(const Segment& segment, bool write) {
  if ((segment.attributes & attribute::kP) == 0) return false;  // also a null selector
  if ((segment.attributes & attribute::kCode) != 0)
    return !write && (segment.attributes & attribute::kReadable) != 0;
  return !write || (segment.attributes & attribute::kWritable) != 0;
}

bool limit_allows(const Segment& segment, std::uint64_t first, std::uint64_t last) {
  const bool data = (segment.attributes & attribute::kCode) == 0;
  if (data && (segment.attributes & attribute::kExpandDown) != 0) {
    const std::uint64_t top = (segment.attributes & attribute::kDb) != 0 ? 0xFFFFFFFFu : 0xFFFFu;
    return first > segment.limit && last <= top;
  }
  return last <= segment.limit;
}

std::uint64_t segment_address_helper(ir::CoreState* core, std::uint64_t offset, std::uint64_t access,
                                     std::uint64_t) {
  return segment_address(*static_cast<CpuState*>(core), offset, SegmentAccess::unpack(access)).value_or(0);
}

}  // namespace

std::optional<std::uint64_t> try_segment_address(const CpuState& state, std::uint64_t offset,
                                                 SegmentAccess access) {
  const Segment& segment = state.segment[access.segment];
  const std::uint64_t last = offset + access.bytes - 1;
  // A wrapping access to a segment of the full 4 GiB is allowed (SDM vol. 3, 5.3: implementation-specific).
  const bool whole = segment.limit == 0xFFFFFFFFu && (segment.attributes & attribute::kExpandDown) == 0;
  if (!rights_allow(segment, access.write) || (!whole && !limit_allows(segment, offset, last))) return {};
  return static_cast<std::uint32_t>(segment.base + offset);
}

std::optional<std::uint64_t> segment_address(CpuState& state, std::uint64_t offset, SegmentAccess access) {
  const auto linear = try_segment_address(state, offset, access);
  if (!linear) ir::raise(&state, access.segment == kSs ? exception::kSs : exception::kGp, 0);
  return linear;
}

const ir::HelperInfo kSegmentAddressHelper = {"segment_address", segment_address_helper, ir::kMayTrap};

}  // namespace hindsight::engine::guest::x86
