#include "debugger/gdb/stepper.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

namespace hindsight::debugger::gdb {
namespace {

using session::Direction;
using session::Stop;
using session::StopKind;

bool arrived(const Result<Stop>& stop) { return stop && stop->kind == StopKind::arrived && !stop->hit; }

/// What an interrupt or exception pushes, and IRETQ pops: RIP, CS, RFLAGS, RSP, SS (SDM vol. 3, 6.14.2).
struct Frame {
  std::uint64_t pc, cs, flags, stack, ss;
  bool operator==(const Frame& other) const { return pc == other.pc && stack == other.stack; }
};

template <class Memory>
std::optional<Frame> frame_at(const Memory& memory, std::uint64_t address) {
  std::array<std::byte, sizeof(Frame)> bytes{};
  if (memory.read(GuestVirt(address), bytes) != bytes.size()) return std::nullopt;
  return std::bit_cast<Frame>(bytes);
}

bool at_iretq(const session::Session& session) {
  constexpr std::array kIretq{std::byte{0x48}, std::byte{0xcf}};
  std::array<std::byte, kIretq.size()> code{};
  return session.read(session.pc(), code) == code.size() && code == kIretq;
}

}  // namespace

Stepper::Stepper(session::Session& session, const StopPoints& points) : session_(session), points_(points) {
  const auto table = session.register_table();
  const auto found = std::ranges::find(table, "rsp", &session::RegisterInfo::name);
  stack_pointer_ = static_cast<std::size_t>(found - table.begin());
}

Result<Stop> Stepper::step(Direction direction) {
  if (into_interrupts) return session_.step(direction);
  return direction == Direction::forward ? forward() : backward();
}

Result<Stop> Stepper::forward() {
  for (;;) {
    const session::Position from = session_.now();
    auto stop = session_.step(Direction::forward);
    // Nothing but a delivery takes no instruction.
    if (!arrived(stop) || session_.now().icount != from.icount) return stop;
    if (stop = session_.step(Direction::backward); !stop) return stop;
    const GuestVirt pc = session_.pc();
    const std::uint64_t stack = session_.registers()[stack_pointer_][0];
    session::Condition interrupt;
    interrupt.delivery = {.interrupts = true, .exceptions = false};
    stop = with(std::move(interrupt), {}, [&] { return session_.step(Direction::forward); });
    if (!met_ || points_.breaks_at(session_.pc().value)) return stop;
    session::Condition back;
    back.breakpoint = {pc};
    stop = with(
        std::move(back),
        [this, stack](const session::View& view) { return view.register_value(stack_pointer_)[0] == stack; },
        [&] { return session_.run(Direction::forward); });
    if (!met_) return stop;
  }
}

Result<Stop> Stepper::backward() {
  for (;;) {
    auto stop = session_.step(Direction::backward);
    if (!arrived(stop) || !at_iretq(session_) || points_.breaks_at(session_.pc().value)) return stop;
    const session::Position here = session_.now();
    const auto to = frame_at(session_, session_.registers()[stack_pointer_][0]);
    if (!to) return stop;
    // The delivery, seen from its handler, that left this place: the frame is on the stack, some exceptions'
    // above an error code.
    session::Condition delivery;
    delivery.delivery = {.interrupts = true, .exceptions = true};
    stop = with(
        std::move(delivery),
        [this, to](const session::View& view) {
          const std::uint64_t stack = view.register_value(stack_pointer_)[0];
          return frame_at(view, stack) == to || frame_at(view, stack + 8) == to;
        },
        [&] { return session_.run(Direction::backward); });
    if (!stop || (!met_ && stop->kind != StopKind::begin)) return stop;
    // It may have been an exception, or a task that was never here before.
    if (!met_ || !stop->hit->delivery->interrupt) return session_.seek(here);
  }
}

/// Makes a move under one more condition; met_ says whether that ended it.
template <class Move>
Result<Stop> Stepper::with(session::Condition condition, session::Question when, const Move& move) {
  const int id = session_.add(std::move(condition), std::move(when));
  Result<Stop> stop = move();
  session_.remove(id);
  met_ = stop && stop->hit && stop->hit->id == id;
  return stop;
}

}  // namespace hindsight::debugger::gdb
