#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {

void say(const Panes& panes, const char* text) {
  ImGui::PushStyleColor(ImGuiCol_Text, panes.theme.faint);
  ImGui::TextWrapped("%s", text);
  ImGui::PopStyleColor();
}

void coloured(ImU32 colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopStyleColor();
}

}  // namespace hindsight::debugger::ui
