// Values as JSON spells them. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace hindsight::debugger::cli {

/// A JSON string. What is not printable ASCII becomes \u00XX.
[[nodiscard]] std::string json_string(std::string_view text);
/// Two digits a byte, without quotes.
[[nodiscard]] std::string hex(std::span<const std::byte> data);

}  // namespace hindsight::debugger::cli
