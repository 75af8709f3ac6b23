#include "debugger/symbols/debug_frame.h"

#include <algorithm>
#include <array>

#include "debugger/symbols/byte_writer.h"

namespace hindsight::debugger::symbols {
namespace {

using Base = OrcEntry::Base;
using Kind = OrcEntry::Kind;

// Register numbers (System V ABI) and operations (DWARF 4, 7.23 and 7.7.1).
constexpr unsigned kRdx = 1, kRdi = 5, kRbp = 6, kRsp = 7, kR10 = 10, kR13 = 13, kReturn = 16;
constexpr unsigned kAdvance = 0x40, kOffset = 0x80;
constexpr unsigned kAdvance1 = 0x02, kAdvance2 = 0x03, kAdvance4 = 0x04, kUndefined = 0x07, kSameValue = 0x08,
                   kDefCfa = 0x0c, kDefCfaExpression = 0x0f, kExpression = 0x10, kOffsetExtendedSf = 0x11,
                   kDefCfaSf = 0x12;
constexpr unsigned kOpDeref = 0x06, kOpConsts = 0x11, kOpPlus = 0x22, kOpBreg = 0x70;
constexpr std::int64_t kDataAlignment = -8;
constexpr std::uint64_t kNoCie = 0xFFFF'FFFF;
/// A description's rows are run from its start each time: keep the way short.
constexpr std::uint64_t kLongest = 64 << 10;

/// What is common to a description's rows: what the caller's registers are.
enum Common { kCalled, kWholeFrame, kCpuFrame, kUserFrame, kCommons };

Common common_of(const OrcPlace& place, std::span<const Range> from_user) {
  if (place.entry.kind == Kind::frame) return kCpuFrame;
  if (place.entry.kind != Kind::registers) return kCalled;
  const bool user =
      std::ranges::any_of(from_user, [&](const Range& range) { return range.contains(place.from); });
  return user ? kUserFrame : kWholeFrame;
}

/// An interrupted instruction has not been executed: its address is not a return address. DWARF calls that a
/// signal frame.
bool is_signal(Common common) { return common == kWholeFrame || common == kCpuFrame; }

void put_saved_at(ByteWriter& out, unsigned reg, std::int64_t offset) {
  out.put_u8(kOffsetExtendedSf);
  out.put_unsigned(reg);
  out.put_signed(offset / kDataAlignment);
}

/// A length in front of what `content` holds.
void put_block(ByteWriter& out, const ByteWriter& content) {
  out.put_unsigned(content.size());
  out.append(content.bytes());
}

void put_breg(ByteWriter& out, unsigned reg, std::int64_t offset) {
  out.put_u8(kOpBreg + reg);
  out.put_signed(offset);
}

void put_common_rules(ByteWriter& out, Common common) {
  out.put_u8(kDefCfa);
  out.put_unsigned(kRsp);
  out.put_unsigned(8);
  if (common == kWholeFrame || common == kUserFrame) {
    // struct pt_regs, by DWARF's numbers.
    constexpr std::array<unsigned, 15> kSaved{15, 14, 13, 12, 6, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5};
    for (std::size_t i = 0; i < kSaved.size(); ++i)
      put_saved_at(out, kSaved[i], static_cast<std::int64_t>(i) * 8);
    put_saved_at(out, kReturn, 128);
    put_saved_at(out, kRsp, 152);
  } else if (common == kCpuFrame) {
    put_saved_at(out, kReturn, 0);
    put_saved_at(out, kRsp, 24);
    for (unsigned reg = 0; reg < 16; ++reg) {
      if (reg == kRsp) continue;
      out.put_u8(kSameValue);
      out.put_unsigned(reg);
    }
  } else {
    out.put_u8(kOffset | kReturn);
    out.put_unsigned(1);
    // ORC does not tell where callees saved registers.
    for (unsigned reg = 0; reg < 16; ++reg) {
      if (reg == kRsp) continue;
      out.put_u8(reg == kRbp ? kSameValue : kUndefined);
      out.put_unsigned(reg);
    }
  }
}

/// Fills in the length of what began at `start`.
void close(ByteWriter& out, std::size_t start) {
  out.pad_to(8);
  // Padding are no-operations, which are zero.
  out.patch(start, static_cast<std::uint32_t>(out.size() - start - 4));
}

std::size_t put_common(ByteWriter& out, Common common) {
  const std::size_t start = out.size();
  out.put_u32(0);
  out.put_u32(kNoCie);
  out.put_u8(1);
  out.put_text(is_signal(common) ? "zS" : "");
  out.put_unsigned(1);
  out.put_signed(kDataAlignment);
  out.put_u8(kReturn);
  if (is_signal(common)) out.put_unsigned(0);
  put_common_rules(out, common);
  close(out, start);
  return start;
}

class Description {
 public:
  Description(ByteWriter& out, std::size_t cie, Common common, GuestVirt from)
      : out_(out), start_(out.size()), common_(common), from_(from), at_(from) {
    out_.put_u32(0);
    out_.put_u32(cie);
    out_.put_u64(from.value);
    out_.put_u64(0);
    if (is_signal(common)) out_.put_unsigned(0);
  }
  [[nodiscard]] Common common() const { return common_; }
  [[nodiscard]] GuestVirt from() const { return from_; }

  void add(const OrcPlace& place) {
    ByteWriter row;
    const OrcEntry entry = effective(place.entry);
    put_cfa(row, entry);
    put_frame_pointer(row, entry);
    put_return(row, place.entry);
    entry_ = entry;
    if (row.size() == 0) return;
    advance(place.from - at_);
    at_ = place.from;
    out_.append(row.bytes());
  }
  void finish(GuestVirt end) {
    out_.patch(start_ + 16, end - from_);
    close(out_, start_);
  }

 private:
  /// Of code without a caller only the place on the stack is said.
  static OrcEntry effective(const OrcEntry& entry) {
    if (entry.kind != Kind::unknown && entry.kind != Kind::bottom) return entry;
    return {8, 0, Base::sp, Base::undefined, Kind::call};
  }

  void advance(std::uint64_t by) {
    if (by == 0) return;
    if (by < 0x40) {
      out_.put_u8(kAdvance | static_cast<unsigned>(by));
    } else if (by < 0x100) {
      out_.put_u8(kAdvance1);
      out_.put_u8(static_cast<unsigned>(by));
    } else if (by < 0x10000) {
      out_.put_u8(kAdvance2);
      out_.put(static_cast<std::uint16_t>(by));
    } else {
      out_.put_u8(kAdvance4);
      out_.put_u32(by);
    }
  }

  void put_cfa(ByteWriter& row, const OrcEntry& entry) const {
    if (entry.sp_base == entry_.sp_base && entry.sp_offset == entry_.sp_offset) return;
    ByteWriter expression;
    switch (entry.sp_base) {
      case Base::bp_indirect:
        put_breg(expression, kRbp, entry.sp_offset);
        expression.put_u8(kOpDeref);
        break;
      case Base::sp_indirect:
        put_breg(expression, kRsp, 0);
        expression.put_u8(kOpDeref);
        expression.put_u8(kOpConsts);
        expression.put_signed(entry.sp_offset);
        expression.put_u8(kOpPlus);
        break;
      default:
        return put_plain_cfa(row, entry);
    }
    row.put_u8(kDefCfaExpression);
    put_block(row, expression);
  }

  static void put_plain_cfa(ByteWriter& row, const OrcEntry& entry) {
    unsigned reg = kRsp;
    std::int64_t offset = entry.sp_offset;
    switch (entry.sp_base) {
      case Base::bp:
        reg = kRbp;
        break;
      case Base::dx:
        reg = kRdx, offset = 0;
        break;
      case Base::di:
        reg = kRdi, offset = 0;
        break;
      case Base::r10:
        reg = kR10, offset = 0;
        break;
      case Base::r13:
        reg = kR13, offset = 0;
        break;
      default:
        break;
    }
    row.put_u8(offset >= 0 ? kDefCfa : kDefCfaSf);
    row.put_unsigned(reg);
    if (offset >= 0) {
      row.put_unsigned(static_cast<std::uint64_t>(offset));
    } else {
      row.put_signed(offset / kDataAlignment);
    }
  }

  void put_frame_pointer(ByteWriter& row, const OrcEntry& entry) const {
    if (entry.bp_base == entry_.bp_base && entry.bp_offset == entry_.bp_offset) return;
    if (entry.bp_base == Base::previous_sp) {
      put_saved_at(row, kRbp, entry.bp_offset);
    } else if (entry.bp_base == Base::bp) {
      ByteWriter expression;
      put_breg(expression, kRbp, entry.bp_offset);
      row.put_u8(kExpression);
      row.put_unsigned(kRbp);
      put_block(row, expression);
    } else if (entry_.bp_base != Base::undefined) {
      if (common_ == kWholeFrame || common_ == kUserFrame) return put_saved_at(row, kRbp, 32);
      row.put_u8(kSameValue);
      row.put_unsigned(kRbp);
    }
  }

  void put_return(ByteWriter& row, const OrcEntry& entry) {
    const bool outermost = entry.kind == Kind::unknown || entry.kind == Kind::bottom;
    if (outermost == outermost_) return;
    outermost_ = outermost;
    if (outermost) {
      row.put_u8(kUndefined);
      row.put_unsigned(kReturn);
    } else {
      row.put_u8(kOffset | kReturn);
      row.put_unsigned(1);
    }
  }

  ByteWriter& out_;
  std::size_t start_;
  Common common_;
  GuestVirt from_, at_;
  OrcEntry entry_{8, 0, Base::sp, Base::undefined, Kind::call};  ///< what the rules say by now
  bool outermost_ = false;
};

}  // namespace

std::vector<std::byte> write_debug_frame(std::span<const FrameRegion> regions,
                                         std::span<const GuestVirt> functions,
                                         std::span<const Range> from_user) {
  ByteWriter out;
  std::array<std::size_t, kCommons> commons{};
  for (const Common common : {kCalled, kWholeFrame, kCpuFrame, kUserFrame})
    commons[common] = put_common(out, common);
  for (const FrameRegion& region : regions) {
    std::optional<Description> open;
    GuestVirt until{};
    for (const OrcPlace& place : region.places) {
      if (place.from >= region.end) break;
      const Common common = common_of(place, from_user);
      if (open && (common != open->common() || place.from >= until || place.from - open->from() > kLongest)) {
        open->finish(place.from);
        open.reset();
      }
      if (!open) {
        open.emplace(out, commons[common], common, place.from);
        const auto next = std::ranges::upper_bound(functions, place.from);
        until = next == functions.end() ? GuestVirt::max() : *next;
      }
      open->add(place);
    }
    if (open) open->finish(region.end);
  }
  return out.take();
}

}  // namespace hindsight::debugger::symbols
