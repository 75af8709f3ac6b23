#include "debugger/source/unwinding.h"

#include <dwarf.h>

#include <cstdlib>
#include <memory>

namespace hindsight::debugger::source {
namespace {

using Rules = std::unique_ptr<Dwarf_Frame, decltype(&std::free)>;

Rules rules_at(DwarfFile& file, LinkAddress pc) { return {file.call_frame(pc), &std::free}; }

/// A register's value in the caller.
std::optional<std::uint64_t> restored(const FrameView& frame, Dwarf_Frame* rules, unsigned number) {
  Dwarf_Op room[3];
  Dwarf_Op* expression = nullptr;
  std::size_t length = 0;
  if (dwarf_frame_register(rules, static_cast<int>(number), room, &expression, &length) != 0)
    return std::nullopt;
  if (length == 0) return expression == nullptr ? frame.registers[number] : std::nullopt;  // same, or lost
  const auto found = evaluate(frame, {expression, length});
  if (!found) return std::nullopt;
  if (found->kind == Piece::Kind::constant) return found->value;
  if (found->kind != Piece::Kind::memory) return std::nullopt;
  std::uint64_t value = 0;
  if (!frame.read(GuestVirt{found->value}, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Caller> caller_of(const FrameView& frame) {
  const Rules rules = rules_at(frame.file, frame.pc);
  if (!rules) return std::nullopt;
  Caller caller{};
  for (unsigned number = 0; number < caller.registers.size(); ++number)
    caller.registers[number] = restored(frame, rules.get(), number);
  if (!caller.registers[kReturnAddress] || !caller.registers[kStackPointer]) return std::nullopt;
  // The stack grows down: who called lies above.
  if (*caller.registers[kStackPointer] <= frame.registers[kStackPointer].value_or(0)) return std::nullopt;
  caller.pc = GuestVirt{*caller.registers[kReturnAddress]};
  if (caller.pc == GuestVirt{}) return std::nullopt;
  return caller;
}

std::optional<FrameRule> frame_rule(DwarfFile& file, LinkAddress pc) {
  const Rules rules = rules_at(file, pc);
  Dwarf_Op* expression = nullptr;
  std::size_t length = 0;
  if (!rules || dwarf_frame_cfa(rules.get(), &expression, &length) != 0 || length != 1) return std::nullopt;
  if (expression->atom >= DW_OP_breg0 && expression->atom <= DW_OP_breg15)
    return FrameRule{static_cast<unsigned>(expression->atom - DW_OP_breg0), expression->number};
  if (expression->atom == DW_OP_bregx && expression->number < kReturnAddress)
    return FrameRule{static_cast<unsigned>(expression->number), expression->number2};
  return std::nullopt;
}

}  // namespace hindsight::debugger::source
