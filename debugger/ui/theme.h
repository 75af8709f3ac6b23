// Colours and fonts: one light and one dark set, chosen for contrast; everything drawn takes its colours from
// here. Owned by the window; its thread.
#pragma once

#include <imgui.h>

#include <cstdint>

#include "debugger/ui/activity_index.h"

namespace hindsight::debugger::ui {

struct Theme {
  bool dark = true;
  // dim: what is there but hardly matters, such as zeros in memory and flags that are clear
  ImU32 background, panel, raised, border, text, faint, dim, accent, accent_soft, cursor, changed, typed,
      good, bad, row, selection, executed, upcoming;
  ImU32 exceptions, interrupts, system_calls, context_switches, device, output, input, sample;

  [[nodiscard]] ImU32 lane(LaneInfo::Group group) const;
};

[[nodiscard]] const Theme& dark_theme();
[[nodiscard]] const Theme& light_theme();
/// Makes ImGui's own widgets look alike; `scale` 1 at 96 dots an inch.
void apply(const Theme& theme, float scale);
/// The same colour, more or less opaque.
[[nodiscard]] ImU32 with_alpha(ImU32 colour, float alpha);

struct Fonts {
  ImFont* text = nullptr;
  ImFont* strong = nullptr;
  ImFont* mono = nullptr;
};
/// From the system's fonts where they are installed, else ImGui's own.
[[nodiscard]] Fonts load_fonts(float scale);

}  // namespace hindsight::debugger::ui
