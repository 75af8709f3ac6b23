#include "engine/guest/x86/system_segments.h"

#include <cstring>

namespace hindsight::engine::guest::x86 {
namespace {

constexpr std::uint16_t kIndexMask = 0xFFFC;  // of a selector, as error codes give it

/// The checks of loading DS, ES, FS or GS (SDM vol. 2, MOV).
bool check_data_segment(CpuState& state, std::uint16_t selector, const Descriptor& d) {
  const unsigned rpl = selector & kRplMask;
  if (!d.is_readable()) return fail(state, exception::kGp, selector & kIndexMask);
  if (!d.is_conforming() && (rpl > d.dpl() || state.cpl > d.dpl()))
    return fail(state, exception::kGp, selector & kIndexMask);
  if (!d.present()) return fail(state, exception::kNp, selector & kIndexMask);
  return true;
}

/// A system segment with its 64-bit base in long mode.
bool load_system_segment(CpuState& state, std::uint16_t selector, const Descriptor& d, Segment& out) {
  out = d.segment(selector);
  if (!in_long_mode(state)) return true;
  std::uint64_t high = 0;
  if (!read_descriptor_high(state, selector, d, high)) return false;
  out.base |= high << 32;
  if (!is_canonical(out.base)) return fail(state, exception::kGp, selector & kIndexMask);
  return true;
}

}  // namespace

void set_rflags(CpuState& state, std::uint64_t value) {
  state.flags = ir::pack_flags(static_cast<std::uint32_t>(value));
  state.rflags_system = (value & ~std::uint64_t{ir::eflags::kAll}) | flag::kFixed;
}

std::uint32_t Descriptor::limit() const {
  const auto field = static_cast<std::uint32_t>((raw & 0xFFFF) | (raw >> 32 & 0xF0000));
  return (raw >> 55 & 1) != 0 ? field << 12 | 0xFFF : field;
}

bool read_descriptor(CpuState& state, std::uint16_t selector, Descriptor& out, std::uint32_t vector,
                     std::uint32_t ext) {
  const bool local = (selector & 4) != 0;
  const std::uint64_t base = local ? state.ldtr.base : state.gdtr.base;
  const std::uint32_t limit = local ? state.ldtr.limit : state.gdtr.limit;
  const std::uint32_t offset = selector & 0xFFF8u;
  const bool no_ldt = local && (state.ldtr.attributes & attribute::kP) == 0;
  if (no_ldt || offset + 7 > limit) return fail(state, vector, (selector & kIndexMask) | ext);
  out.address = base + offset;
  out.raw = load_memory(state, out.address, 8, ir::kAccessSupervisor);
  return !trapped(state);
}

bool read_descriptor_high(CpuState& state, std::uint16_t selector, const Descriptor& low,
                          std::uint64_t& high) {
  const std::uint32_t limit = (selector & 4) != 0 ? state.ldtr.limit : state.gdtr.limit;
  if ((selector & 0xFFF8u) + 15 > limit) return fail(state, exception::kGp, selector & kIndexMask);
  high = load_memory(state, low.address + 8, 8, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  // Type of the upper half must be 0 (SDM vol. 3, 7.2.3).
  if ((high >> 40 & 31) != 0) return fail(state, exception::kGp, selector & kIndexMask);
  high &= 0xFFFFFFFFu;
  return true;
}

bool mark_accessed(CpuState& state, Descriptor& descriptor) {
  constexpr std::uint64_t kBit = std::uint64_t{attribute::kAccessed} << 40;
  if ((descriptor.raw & kBit) != 0) return true;
  descriptor.raw |= kBit;
  state.memory->store(&state, descriptor.address + 5, descriptor.raw >> 40 & 0xFF, 1, ir::kAccessSupervisor);
  return !trapped(state);
}

bool segment_covers(const Segment& segment, std::uint64_t offset, std::uint32_t size) {
  if ((segment.attributes & attribute::kP) == 0) return false;
  const std::uint64_t last = offset + size - 1;
  const bool expand_down =
      (segment.attributes & (attribute::kCode | attribute::kExpandDown)) == attribute::kExpandDown;
  if (!expand_down) return last <= segment.limit;
  const std::uint64_t top = (segment.attributes & attribute::kDb) != 0 ? 0xFFFFFFFFu : 0xFFFFu;
  return offset > segment.limit && last <= top;
}

bool load_segment(CpuState& state, unsigned index, std::uint16_t selector) {
  Segment& target = state.segment[index];
  if (!is_protected(state)) {
    target.selector = selector;
    target.base = std::uint64_t{selector} << 4;
    return true;
  }
  if (index == kSs) {
    if (is_null(selector)) {
      if (!in_code64(state) || state.cpl == 3 || (selector & kRplMask) != state.cpl)
        return fail(state, exception::kGp, 0);
      target = null_segment(selector);
      return true;
    }
    Segment segment;
    if (!check_stack_segment(state, selector, state.cpl, exception::kGp, 0, segment)) return false;
    target = segment;
    return true;
  }
  if (is_null(selector)) {
    target = null_segment(selector);
    return true;
  }
  Descriptor descriptor;
  if (!read_descriptor(state, selector, descriptor)) return false;
  if (!check_data_segment(state, selector, descriptor)) return false;
  if (!mark_accessed(state, descriptor)) return false;
  target = descriptor.segment(selector);
  return true;
}

bool check_stack_segment(CpuState& state, std::uint16_t selector, unsigned cpl, std::uint32_t vector,
                         std::uint32_t ext, Segment& out) {
  if (is_null(selector)) return fail(state, vector, ext);
  Descriptor descriptor;
  if (!read_descriptor(state, selector, descriptor, vector, ext)) return false;
  const std::uint32_t error = (selector & kIndexMask) | ext;
  if ((selector & kRplMask) != cpl || descriptor.dpl() != cpl || !descriptor.is_writable_data())
    return fail(state, vector, error);
  if (!descriptor.present()) return fail(state, exception::kSs, error);
  if (!mark_accessed(state, descriptor)) return false;
  out = descriptor.segment(selector);
  return true;
}

void drop_inner_segments(CpuState& state) {
  for (const unsigned index : {kEs, kDs, kFs, kGs}) {
    Segment& segment = state.segment[index];
    const bool conforming = (segment.attributes & (attribute::kCode | attribute::kConforming)) ==
                            (attribute::kCode | attribute::kConforming);
    // An unusable segment stays as it is: 64-bit code may have set its base by MSR.
    const bool usable = (segment.attributes & attribute::kP) != 0;
    if (usable && !conforming && dpl_of(segment.attributes) < state.cpl) segment = null_segment(0);
  }
}

bool load_ldtr(CpuState& state, std::uint16_t selector) {
  if (is_null(selector)) {
    state.ldtr = null_segment(selector);
    return true;
  }
  if ((selector & 4) != 0) return fail(state, exception::kGp, selector & kIndexMask);
  Descriptor descriptor;
  if (!read_descriptor(state, selector, descriptor)) return false;
  if (descriptor.is_segment() || descriptor.type() != system_type::kLdt)
    return fail(state, exception::kGp, selector & kIndexMask);
  if (!descriptor.present()) return fail(state, exception::kNp, selector & kIndexMask);
  Segment segment;
  if (!load_system_segment(state, selector, descriptor, segment)) return false;
  state.ldtr = segment;
  return true;
}

bool load_tr(CpuState& state, std::uint16_t selector) {
  if (is_null(selector)) return fail(state, exception::kGp, 0);
  if ((selector & 4) != 0) return fail(state, exception::kGp, selector & kIndexMask);
  Descriptor descriptor;
  if (!read_descriptor(state, selector, descriptor)) return false;
  const bool available = descriptor.type() == system_type::kTss ||
                         (descriptor.type() == system_type::kTss16 && !in_long_mode(state));
  if (descriptor.is_segment() || !available) return fail(state, exception::kGp, selector & kIndexMask);
  if (!descriptor.present()) return fail(state, exception::kNp, selector & kIndexMask);
  Segment segment;
  if (!load_system_segment(state, selector, descriptor, segment)) return false;
  descriptor.raw |= std::uint64_t{2} << 40;  // busy
  state.memory->store(&state, descriptor.address + 5, descriptor.raw >> 40 & 0xFF, 1, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  segment.attributes = descriptor.attributes();
  state.tr = segment;
  return true;
}

Segment flat_code(std::uint16_t selector, unsigned dpl, bool code64) {
  using namespace attribute;
  const auto attributes = static_cast<std::uint16_t>(kAccessed | kReadable | kCode | kS | dpl << kDplShift |
                                                     kP | kG | (code64 ? kL : kDb));
  return {0, 0xFFFFFFFFu, selector, attributes};
}

Segment flat_data(std::uint16_t selector, unsigned dpl) {
  using namespace attribute;
  const auto attributes =
      static_cast<std::uint16_t>(kAccessed | kWritable | kS | dpl << kDplShift | kP | kG | kDb);
  return {0, 0xFFFFFFFFu, selector, attributes};
}

Stack current_stack(const CpuState& state) {
  if (in_code64(state)) return {0, state.gpr[kRsp], ~std::uint64_t{0}, ir::kAccessStack, nullptr};
  const Segment& ss = state.segment[kSs];
  const std::uint64_t mask = (ss.attributes & attribute::kDb) != 0 ? 0xFFFFFFFFu : 0xFFFFu;
  return {ss.base, state.gpr[kRsp] & mask, mask, ir::kAccessStack, &ss};
}

void set_stack_pointer(CpuState& state, const Stack& stack) {
  if (stack.mask == 0xFFFF) {
    state.gpr[kRsp] = (state.gpr[kRsp] & ~stack.mask) | (stack.sp & stack.mask);
  } else {
    state.gpr[kRsp] = stack.sp & stack.mask;
  }
}

namespace {

/// Linear address of a stack slot, limit checked.
bool stack_address(CpuState& state, const Stack& stack, std::uint64_t offset, std::uint32_t size,
                   std::uint64_t& linear) {
  offset &= stack.mask;
  linear = stack.base + offset;
  if (stack.segment == nullptr) return true;
  linear &= 0xFFFFFFFFu;
  return segment_covers(*stack.segment, offset, size) || fail(state, exception::kSs, stack.fault);
}

/// Host memory of a whole frame, if it lies in one plain page. A trap may be set.
std::byte* frame_span(CpuState& state, const Stack& stack, std::uint64_t low, std::uint64_t bytes,
                      bool write) {
  if (stack.segment != nullptr && !segment_covers(*stack.segment, low, static_cast<std::uint32_t>(bytes)))
    return nullptr;
  std::uint64_t linear = stack.base + low;
  if (stack.segment != nullptr) linear &= 0xFFFFFFFFu;
  if ((linear & kPageMask) + bytes > kPageSize) return nullptr;
  std::uint64_t length = 0;
  std::byte* host = state.memory->span(&state, linear, write, stack.access, &length);
  return host != nullptr && length >= bytes ? host : nullptr;
}

}  // namespace

bool Frame::commit(CpuState& state, Stack& stack) const {
  const std::uint64_t bytes = std::uint64_t{count_} * size_;
  const std::uint64_t low = (stack.sp - bytes) & stack.mask;
  if (std::byte* host = frame_span(state, stack, low, bytes, true)) {
    for (unsigned i = 0; i < count_; ++i) std::memcpy(host + (count_ - 1 - i) * size_, &values_[i], size_);
    stack.sp = low;
    return true;
  }
  if (trapped(state)) return false;
  std::uint64_t linear = 0;
  for (unsigned i = 0; i < count_; ++i) {
    if (!stack_address(state, stack, stack.sp - (i + 1) * size_, size_, linear)) return false;
    state.memory->probe_write(&state, linear, size_, stack.access);
    if (trapped(state)) return false;
  }
  for (unsigned i = 0; i < count_; ++i) {
    if (!stack_address(state, stack, stack.sp - (i + 1) * size_, size_, linear)) return false;
    state.memory->store(&state, linear, values_[i], size_, stack.access);
    if (trapped(state)) return false;
  }
  stack.sp = low;
  return true;
}

bool read_frame(CpuState& state, const Stack& stack, std::uint32_t size, unsigned count, std::uint64_t* out) {
  const std::uint64_t bytes = std::uint64_t{count} * size;
  if (const std::byte* host = frame_span(state, stack, stack.sp & stack.mask, bytes, false)) {
    for (unsigned i = 0; i < count; ++i) {
      out[i] = 0;
      std::memcpy(&out[i], host + i * size, size);
    }
    return true;
  }
  if (trapped(state)) return false;
  for (unsigned i = 0; i < count; ++i) {
    std::uint64_t linear = 0;
    if (!stack_address(state, stack, stack.sp + i * size, size, linear)) return false;
    out[i] = load_memory(state, linear, size, stack.access);
    if (trapped(state)) return false;
  }
  return true;
}

}  // namespace hindsight::engine::guest::x86
