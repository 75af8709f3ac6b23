// The walk itself; orc.cc has the tables.
#include <array>

#include "debugger/symbols/orc.h"

namespace hindsight::debugger::symbols {
namespace {

using Base = OrcEntry::Base;
using Kind = OrcEntry::Kind;

// struct pt_regs: fifteen registers, a number, and what the CPU pushes (SDM vol. 3, 6.14.2).
constexpr std::array<unsigned, 15> kSaved{15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7};
constexpr std::size_t kCpuFrame = 16;  // words before rip
constexpr std::size_t kRip = 0, kCs = 1, kRsp = 3, kCpuWords = 5;

class Walk {
 public:
  Walk(const Registers& registers, const MemoryView& memory, const Unwinder& unwinder)
      : unwinder_(unwinder), memory_(memory), registers_(registers) {
    known_.fill(true);
  }

  [[nodiscard]] Frame frame() const {
    std::uint16_t known = 0;
    for (std::size_t i = 0; i < known_.size(); ++i)
      known = static_cast<std::uint16_t>(known | unsigned{known_[i]} << i);
    return {GuestVirt{registers_.rip},
            GuestVirt{registers_[Registers::rsp]},
            interrupted_,
            entered_,
            guessed_,
            registers_.general,
            known};
  }

  /// To the caller; why not, if there is none.
  std::optional<Stack::End> step(bool first) {
    const OrcEntry entry = recipe(first);
    if (entry.kind == Kind::bottom) return Stack::End::bottom;
    if (entry.kind == Kind::unknown) return Stack::End::unknown;
    const std::uint64_t old_pc = registers_.rip, old_sp = registers_[Registers::rsp];
    const auto sp = stack_pointer(entry);
    if (!sp) return Stack::End::unreadable;
    if (const auto end = entry.kind == Kind::call ? called(*sp, entry) : interrupted(*sp, entry)) return end;
    entered_ = first && unwinder_.is_retpoline(GuestVirt{old_pc}) &&
               unwinder_.begins_at(memory_, GuestVirt{registers_.rip});
    if (registers_.rip == old_pc && registers_[Registers::rsp] == old_sp) return Stack::End::unreadable;
    return std::nullopt;
  }

 private:
  OrcEntry recipe(bool first) {
    // A call through a null pointer has pushed its return address and nothing else.
    guessed_ = false;
    if (registers_.rip == 0) return {8, 0, Base::sp, Base::undefined, Kind::call};
    if (const auto entry = unwinder_.entry_at(memory_, frame().lookup_pc(first))) return *entry;
    if (!kKernelHalf.contains(GuestVirt{registers_.rip})) return {};
    // Code made at run time keeps a frame pointer.
    guessed_ = true;
    return {16, -16, Base::bp, Base::previous_sp, Kind::call};
  }

  [[nodiscard]] std::optional<std::uint64_t> word(std::uint64_t address) const {
    return load<std::uint64_t>(memory_, GuestVirt{address});
  }
  [[nodiscard]] std::optional<std::uint64_t> value(Registers::Number number) const {
    if (!known_[number]) return std::nullopt;
    return registers_[number];
  }

  [[nodiscard]] std::optional<std::uint64_t> stack_pointer(const OrcEntry& entry) const {
    const auto offset = static_cast<std::uint64_t>(std::int64_t{entry.sp_offset});
    const auto plus = [&](std::optional<std::uint64_t> base) -> std::optional<std::uint64_t> {
      if (!base) return std::nullopt;
      return *base + offset;
    };
    switch (entry.sp_base) {
      case Base::sp:
        return plus(value(Registers::rsp));
      case Base::bp:
        return plus(value(Registers::rbp));
      case Base::sp_indirect:
        return plus(word(registers_[Registers::rsp]));
      case Base::bp_indirect: {
        const auto at = plus(value(Registers::rbp));
        return at ? word(*at) : std::nullopt;
      }
      case Base::dx:
        return value(Registers::rdx);
      case Base::di:
        return value(Registers::rdi);
      case Base::r10:
        return value(Registers::r10);
      case Base::r13:
        return value(Registers::r13);
      default:
        return std::nullopt;
    }
  }

  /// The caller's frame pointer: where the entry says, or as it was.
  bool take_frame_pointer(std::uint64_t sp, const OrcEntry& entry) {
    std::uint64_t at = static_cast<std::uint64_t>(std::int64_t{entry.bp_offset});
    if (entry.bp_base == Base::undefined) return true;
    if (entry.bp_base == Base::previous_sp) {
      at += sp;
    } else if (entry.bp_base == Base::bp && known_[Registers::rbp]) {
      at += registers_[Registers::rbp];
    } else {
      return false;
    }
    const auto saved = word(at);
    if (saved) registers_.general[Registers::rbp] = *saved;
    return saved.has_value();
  }

  std::optional<Stack::End> called(std::uint64_t sp, const OrcEntry& entry) {
    const auto pc = word(sp - 8);
    if (!pc || !take_frame_pointer(sp, entry)) return Stack::End::unreadable;
    // What a callee saved ORC does not tell.
    const bool bp_known = known_[Registers::rbp] || entry.bp_base != Base::undefined;
    known_.fill(false);
    known_[Registers::rsp] = true;
    known_[Registers::rbp] = bp_known;
    registers_.rip = *pc;
    registers_.general[Registers::rsp] = sp;
    interrupted_ = false;
    if (guessed_ && !kKernelHalf.contains(GuestVirt{*pc})) return Stack::End::unknown;
    return std::nullopt;
  }

  std::optional<Stack::End> interrupted(std::uint64_t sp, const OrcEntry& entry) {
    const bool whole = entry.kind == Kind::registers;
    const GuestVirt cpu_frame{sp + (whole ? kCpuFrame * 8 : 0)};
    const auto pushed = load_array<std::uint64_t>(memory_, cpu_frame, kCpuWords);
    if (pushed.empty()) return Stack::End::unreadable;
    if (whole) {
      const auto saved = load_array<std::uint64_t>(memory_, GuestVirt{sp}, kSaved.size());
      if (saved.empty()) return Stack::End::unreadable;
      for (std::size_t i = 0; i < kSaved.size(); ++i) registers_.general[kSaved[i]] = saved[i];
      known_.fill(true);
    }
    if (!take_frame_pointer(sp, entry)) return Stack::End::unreadable;
    registers_.rip = pushed[kRip];
    registers_.general[Registers::rsp] = pushed[kRsp];
    interrupted_ = true;
    if ((pushed[kCs] & 3) != 0) return Stack::End::user;
    return std::nullopt;
  }

  const Unwinder& unwinder_;
  const MemoryView& memory_;
  Registers registers_;
  std::array<bool, 16> known_{};
  bool interrupted_ = false, entered_ = false, guessed_ = false;
};

}  // namespace

Stack Unwinder::unwind(const Registers& registers, const MemoryView& memory, std::size_t most) const {
  Stack stack;
  Walk walk(registers, memory, *this);
  if (registers.cpl != 0) {
    stack.end = Stack::End::user;
    stack.user = walk.frame();
    return stack;
  }
  while (stack.frames.size() < most) {
    stack.frames.push_back(walk.frame());
    const auto end = walk.step(stack.frames.size() == 1);
    if (!end) continue;
    stack.end = *end;
    if (*end == Stack::End::user) stack.user = walk.frame();
    return stack;
  }
  stack.end = Stack::End::limit;
  return stack;
}

}  // namespace hindsight::debugger::symbols
