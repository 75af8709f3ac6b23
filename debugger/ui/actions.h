// Everything that can be done, by name: what keys, buttons, the palette and scripts have in common. A table;
// any thread.
#pragma once

#include <span>
#include <string_view>

namespace hindsight::debugger::ui {

struct Action {
  std::string_view name;   ///< as a script writes it
  std::string_view takes;  ///< its arguments, for people; empty: none
  std::string_view title;
  std::string_view keys;  ///< "Ctrl+G"; empty: none
  bool here;              ///< the window's own, else the engine's thread carries it out
};

[[nodiscard]] std::span<const Action> actions();
/// nullptr: there is none of that name.
[[nodiscard]] const Action* find_action(std::string_view name);

struct PanelName {
  std::string_view name, title;
};
[[nodiscard]] std::span<const PanelName> panel_names();
[[nodiscard]] std::string_view title_of(std::string_view panel);

}  // namespace hindsight::debugger::ui
