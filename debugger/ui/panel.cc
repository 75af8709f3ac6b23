#include "debugger/ui/panel.h"

#include <algorithm>

namespace hindsight::debugger::ui {

void name_place(const Panes& panes, std::string name) {
  panes.shared.places.push_back({std::move(name), ImGui::GetItemRectMin(), ImGui::GetItemRectMax()});
}

void tip(const Panes& panes, const std::string& text) {
  // Wherever it is asked for, it looks alike.
  ImGui::PushFont(panes.fonts.text);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {10 * panes.scale, 8 * panes.scale});
  ImGui::PushStyleColor(ImGuiCol_PopupBg, panes.theme.raised);
  ImGui::PushStyleColor(ImGuiCol_Border, panes.theme.dim);
  ImGui::BeginTooltip();
  ImGui::PushTextWrapPos(600 * panes.scale);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
  ImGui::PopStyleColor(2);
  ImGui::PopStyleVar();
  ImGui::PopFont();
}

void say(const Panes& panes, const char* text) {
  ImGui::PushStyleColor(ImGuiCol_Text, panes.theme.faint);
  ImGui::TextWrapped("%s", text);
  ImGui::PopStyleColor();
}

bool framed_button(const Panes& panes, const char* title, float width) {
  ImGui::PushStyleColor(ImGuiCol_Button, panes.theme.raised);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, panes.theme.accent_soft);
  const bool pressed = ImGui::Button(title, {width, 0});
  ImGui::PopStyleColor(2);
  return pressed;
}

bool remove_button(const Panes& panes, const char* what) {
  const float size = ImGui::GetTextLineHeight(), arm = size * 0.2F;
  const bool pressed = ImGui::InvisibleButton(what, {size, size});
  const ImVec2 low = ImGui::GetItemRectMin();
  const ImVec2 middle{low.x + size / 2, low.y + size / 2};
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList* list = ImGui::GetWindowDrawList();
  const ImU32 colour = hovered ? panes.theme.bad : panes.theme.faint;
  for (const float way : {-1.0F, 1.0F})
    list->AddLine({middle.x - arm, middle.y - way * arm}, {middle.x + arm, middle.y + way * arm}, colour,
                  1.5F * panes.scale);
  if (hovered) tip(panes, what);
  return pressed;
}

bool section(const Panes& panes, const char* title, const std::string& count, bool open) {
  const std::string name = fmt::format("open {}", title);
  ImGuiStorage* storage = ImGui::GetStateStorage();
  const ImGuiID id = ImGui::GetID(name.c_str());
  bool shown = storage->GetBool(id, open);
  ImGui::PushFont(panes.fonts.text);
  const float height = ImGui::GetFrameHeight();
  if (ImGui::InvisibleButton(name.c_str(), {std::max(1.0F, ImGui::GetContentRegionAvail().x), height})) {
    shown = !shown;
    storage->SetBool(id, shown);
  }
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  ImDrawList* list = ImGui::GetWindowDrawList();
  if (ImGui::IsItemHovered()) list->AddRectFilled(low, high, panes.theme.row, 4 * panes.scale);
  const float u = 3.5F * panes.scale, x = low.x + 8 * panes.scale, y = (low.y + high.y) / 2;
  if (shown)
    list->AddTriangleFilled({x - u, y - u / 2}, {x + u, y - u / 2}, {x, y + u}, panes.theme.faint);
  else
    list->AddTriangleFilled({x - u / 2, y - u}, {x - u / 2, y + u}, {x + u, y}, panes.theme.faint);
  const float text_y = low.y + (height - ImGui::GetFontSize()) / 2;
  list->AddText({low.x + 20 * panes.scale, text_y}, panes.theme.text, title);
  const float width = ImGui::CalcTextSize(title).x;
  list->AddText({low.x + 30 * panes.scale + width, text_y}, panes.theme.faint, count.c_str());
  ImGui::PopFont();
  return shown;
}

std::string aligned(const Panes& panes, Position at) {
  const std::size_t width = grouped(panes.model.last.icount.value).size();
  return fmt::format("{:>{}}{}", grouped(at.icount.value), width,
                     at.delivery == 0 ? "" : fmt::format("+{}", at.delivery));
}

std::string position_title(const Panes& panes) {
  return fmt::format("{:>{}}", "at", grouped(panes.model.last.icount.value).size());
}

bool begin_combo(const Panes& panes, const char* name, const char* shown) {
  ImGui::PushStyleColor(ImGuiCol_Button, panes.theme.raised);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, panes.theme.border);
  const bool open = ImGui::BeginCombo(name, shown);
  ImGui::PopStyleColor(2);
  return open;
}

void coloured(ImU32 colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopStyleColor();
}

}  // namespace hindsight::debugger::ui
