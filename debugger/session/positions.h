// Positions on the timeline as people write them. Free functions; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/port/debug.h"

namespace hindsight::debugger::session {

/// "123456", or "123456+2" after the second exception or interrupt delivered there.
[[nodiscard]] std::string text_of(engine::port::Position position);

/// What names can stand for; each may be empty.
struct PositionNames {
  engine::port::Position first, last;
  std::function<std::optional<engine::port::Position>(std::string_view name)> mark;
  std::function<std::optional<engine::port::Position>(std::uint64_t number)> event;
};

/// "123456" (also "123_456"), "123456+1", "37%", "begin", "end", "mark:NAME", "event:N" (counting from 0).
[[nodiscard]] Result<engine::port::Position> parse_position(std::string_view text,
                                                            const PositionNames& names);

}  // namespace hindsight::debugger::session
