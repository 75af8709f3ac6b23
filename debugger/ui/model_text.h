// What the window shows, as text: for scripts, which print it. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

/// `what`: "console", "diff", "answers", "profile"; else where the machine stands.
[[nodiscard]] std::string text_of(const ViewModel& model, std::string_view what);

/// As a command takes it: "123456+1".
[[nodiscard]] std::string command_text(Position position);

}  // namespace hindsight::debugger::ui
