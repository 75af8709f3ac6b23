// Looking at a machine where it stands: what sessions over a recorded and over a live one share. Free
// functions; the machine's thread, between moves. Nothing here changes the machine.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"
#include "engine/port/machine.h"

namespace hindsight::debugger::session {

/// In the order of x86_register_table().
[[nodiscard]] std::vector<RegisterValue> registers_of(engine::port::Machine& machine);
/// One of those that fit in 64 bits, by its name (CHECK).
[[nodiscard]] std::uint64_t register_of(engine::port::Machine& machine, std::string_view name);
/// As Session::read.
std::size_t read_linear(const engine::port::DebugPort& debug, GuestVirt address, std::span<std::byte> out);
std::size_t read_physical(const engine::port::DebugPort& debug, GuestPhys address, std::span<std::byte> out);
/// As Session::state and Session::page_walk.
[[nodiscard]] std::vector<StateField> state_of(engine::port::Machine& machine, std::string_view part);
[[nodiscard]] std::string walk_text(const engine::port::DebugPort& debug, GuestVirt address);
/// What happened at a hit that is no breakpoint's, one line; empty: it is a breakpoint's.
[[nodiscard]] std::string hit_in_words(const Hit& hit);
/// `when`, asked of the machine that stands at a hit.
[[nodiscard]] replay::timeline::Predicate predicate_of(Question when);

}  // namespace hindsight::debugger::session
