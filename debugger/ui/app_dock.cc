// The layout as it is drawn and rearranged by the mouse: splits with grips between their halves, leaves with
// tabs.
#include <algorithm>
#include <cmath>

#include "debugger/ui/actions.h"
#include "debugger/ui/app.h"

namespace hindsight::debugger::ui {
namespace {

using Side = Layout::Side;

/// Where a panel that is let go here would go: to the nearest side, or among the others from the middle.
std::optional<Side> side_at(ImVec2 mouse, ImVec2 low, ImVec2 high) {
  constexpr float kBorder = 0.25F;
  const float x = (mouse.x - low.x) / std::max(1.0F, high.x - low.x),
              y = (mouse.y - low.y) / std::max(1.0F, high.y - low.y);
  const std::pair<float, Side> sides[] = {
      {x, Side::left}, {1 - x, Side::right}, {y, Side::above}, {1 - y, Side::below}};
  const auto [far, side] = *std::ranges::min_element(sides, {}, &std::pair<float, Side>::first);
  return far < kBorder ? std::optional(side) : std::nullopt;
}

/// The half of a rectangle, or all of it.
std::pair<ImVec2, ImVec2> half(std::optional<Side> side, ImVec2 low, ImVec2 high) {
  const float x = std::floor((low.x + high.x) / 2), y = std::floor((low.y + high.y) / 2);
  if (side == Side::left) high.x = x;
  if (side == Side::right) low.x = x;
  if (side == Side::above) high.y = y;
  if (side == Side::below) low.y = y;
  return {low, high};
}

}  // namespace

void App::draw_node(const Panes& panes, LayoutNode& node, ImVec2 at, ImVec2 size, int id) {
  if (node.kind == LayoutNode::Kind::tabs)
    draw_tabs(panes, node, at, size, id);
  else
    draw_split(panes, node, at, size, id);
}

void App::draw_split(const Panes& panes, LayoutNode& node, ImVec2 at, ImVec2 size, int id) {
  const bool row = node.kind == LayoutNode::Kind::row;
  const float gap = std::floor(5 * panes.scale);
  const float whole = std::max(1.0F, (row ? size.x : size.y) - gap);
  // A half keeps room for its tabs.
  const float least = std::min(60 * panes.scale, whole / 2);
  const float part = std::floor(std::clamp(whole * node.share, least, whole - least));
  const ImVec2 grip = row ? ImVec2(at.x + part, at.y) : ImVec2(at.x, at.y + part);
  ImGui::SetCursorPos(grip);
  ImGui::PushID(id);
  ImGui::InvisibleButton("grip", row ? ImVec2(gap, size.y) : ImVec2(size.x, gap));
  ImGui::PopID();
  name_place(panes, fmt::format("grip {}", id));
  if (ImGui::IsItemHovered() || ImGui::IsItemActive()) {
    ImGui::SetMouseCursor(row ? ImGuiMouseCursor_ResizeEW : ImGuiMouseCursor_ResizeNS);
    ImGui::GetWindowDrawList()->AddRectFilled(ImGui::GetItemRectMin(), ImGui::GetItemRectMax(),
                                              panes.theme.accent_soft);
  }
  const float mouse = row ? ImGui::GetIO().MousePos.x - at.x : ImGui::GetIO().MousePos.y - at.y;
  if (ImGui::IsItemActivated()) grip_offset_ = mouse - part;
  if (ImGui::IsItemActive())
    node.share = std::clamp(std::clamp(mouse - grip_offset_, least, whole - least) / whole, 0.05F, 0.95F);
  const ImVec2 first = row ? ImVec2(part, size.y) : ImVec2(size.x, part);
  const ImVec2 second = row ? ImVec2(whole - part, size.y) : ImVec2(size.x, whole - part);
  draw_node(panes, *node.first, at, first, id * 2);
  draw_node(panes, *node.second, row ? ImVec2(at.x + part + gap, at.y) : ImVec2(at.x, at.y + part + gap),
            second, id * 2 + 1);
}

void App::draw_tabs(const Panes& panes, LayoutNode& leaf, ImVec2 at, ImVec2 size, int id) {
  const float strip = std::floor(28 * panes.scale);
  ImDrawList* list = ImGui::GetWindowDrawList();
  list->AddRectFilled({at.x, at.y}, {at.x + size.x, at.y + strip}, panes.theme.background);
  list->AddRectFilled({at.x, at.y + strip}, {at.x + size.x, at.y + size.y}, panes.theme.panel);
  leaf.active = std::min(leaf.active, leaf.panels.size() - 1);
  ImGui::PushID(id);
  // Narrow leaves get narrow tabs; where even those do not fit, all but the one in front are cut.
  const float u = panes.scale, gap = 2 * u, edge = 4 * u;
  ImGui::PushFont(panes.fonts.strong);
  std::vector<float> widths;
  float words = edge;
  for (const std::string& panel : leaf.panels) {
    widths.push_back(std::ceil(ImGui::CalcTextSize(std::string(title_of(panel)).c_str()).x));
    words += widths.back() + gap;
  }
  ImGui::PopFont();
  const auto count = static_cast<float>(leaf.panels.size());
  const float pad = std::floor(std::clamp((size.x - words) / (2 * count), 3 * u, 10 * u));
  const float over = words + 2 * pad * count - size.x;
  const float others = words - edge - gap * count - widths[leaf.active];
  float x = at.x + edge;
  for (std::size_t i = 0; i < leaf.panels.size(); ++i) {
    if (over > 0 && i != leaf.active && others > 0)
      widths[i] = std::floor(std::max(0.0F, widths[i] * (1 - over / others)));
    const float width = widths[i] + 2 * pad;
    draw_tab(panes, leaf, i, {x, at.y}, {width, strip});
    x += width + gap;
  }
  ImGui::PopID();
  // Outside: a panel that moves elsewhere stays the same to ImGui, scrolled as it was.
  const std::string front = leaf.panels[leaf.active];
  draw_panel(panes, front, {at.x, at.y + strip}, {size.x, std::max(1.0F, size.y - strip)});
}

void App::draw_tab(const Panes& panes, const LayoutNode& leaf, std::size_t index, ImVec2 at, ImVec2 size) {
  const std::string& panel = leaf.panels[index];
  const std::string title(title_of(panel));
  const bool front = index == leaf.active;
  const float u = panes.scale;
  ImDrawList* list = ImGui::GetWindowDrawList();
  const ImVec2 high(at.x + size.x, at.y + size.y);
  ImGui::PushFont(front ? panes.fonts.strong : panes.fonts.text);
  ImGui::SetCursorPos(at);
  if (ImGui::InvisibleButton(panel.c_str(), size)) perform("open " + panel);
  name_place(panes, "tab " + panel);
  const bool hovered = ImGui::IsItemHovered();
  if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Middle))
    rearrangement_ = [this, panel] { perform("close " + panel); };
  if (ImGui::BeginDragDropSource()) {
    ImGui::SetDragDropPayload("panel", panel.data(), panel.size());
    ImGui::TextUnformatted(title.c_str());
    ImGui::EndDragDropSource();
  }
  take_drop(panes, panel, std::nullopt, at, high);
  // Only for somebody who waits: tabs are clicked in passing.
  constexpr double kRest = 0.6;  // seconds
  if (!hovered && rested_on_ == panel) rested_on_.clear();
  if (hovered && rested_on_ != panel) rested_on_ = panel, rested_since_ = ImGui::GetTime();
  if (hovered && ImGui::GetTime() - rested_since_ > kRest && !ImGui::IsMouseDown(ImGuiMouseButton_Left))
    tip(panes, "drag it to another place; right click for more");
  tab_menu(panes, leaf, panel);
  const float text = ImGui::CalcTextSize(title.c_str()).x, pad = std::max(3 * u, (size.x - text) / 2);
  if (front) {
    list->AddRectFilled({at.x, at.y + 3 * u}, high, panes.theme.panel, 4 * u, ImDrawFlags_RoundCornersTop);
    list->AddRectFilled({at.x + pad, high.y - 2 * u}, {high.x - pad, high.y}, panes.theme.accent);
  }
  list->PushClipRect(at, high, true);
  list->AddText({at.x + std::floor(pad), at.y + std::floor((size.y - ImGui::GetFontSize()) / 2)},
                front || hovered ? panes.theme.text : panes.theme.faint, title.c_str());
  list->PopClipRect();
  ImGui::PopFont();
}

/// What else can be done with a panel, and the ones that were closed.
void App::tab_menu(const Panes& panes, const LayoutNode& leaf, const std::string& panel) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {10 * panes.scale, 8 * panes.scale});
  if (ImGui::BeginPopupContextItem(("menu of " + panel).c_str())) {
    ImGui::PushFont(panes.fonts.text);
    const auto later = [&](auto what) { rearrangement_ = what; };
    const auto split = [&](Side side) { later([this, panel, side] { layout_.split(panel, panel, side); }); };
    const bool alone = leaf.panels.size() == 1;
    if (ImGui::MenuItem("Close", "middle click")) later([this, panel] { perform("close " + panel); });
    if (ImGui::MenuItem("Move to the right half", nullptr, false, !alone)) split(Side::right);
    if (ImGui::MenuItem("Move to the lower half", nullptr, false, !alone)) split(Side::below);
    ImGui::Separator();
    const std::vector<std::string> shown = layout_.panels();
    for (const PanelName& other : panel_names())
      if (const std::string name(other.name); std::ranges::find(shown, name) == shown.end())
        if (ImGui::MenuItem(fmt::format("Open {}", other.title).c_str()))
          later([this, name, panel] {
            layout_.add(name);
            layout_.move(name, panel);
          });
    if (ImGui::MenuItem("Standard layout")) later([this] { perform("layout standard"); });
    ImGui::PopFont();
    ImGui::EndPopup();
  }
  ImGui::PopStyleVar();
}

void App::draw_panel(const Panes& panes, const std::string& name, ImVec2 at, ImVec2 size) {
  ImGui::SetCursorPos(at);
  ImGui::PushFont(panes.fonts.text);
  constexpr ImGuiWindowFlags kAlways = ImGuiWindowFlags_AlwaysUseWindowPadding;
  const bool fixed = name == "timeline" || name == "code" || name == "memory" || name == "console";
  const bool wide = name == "stack" || name == "system" || name == "walk";
  ImGui::BeginChild(name.c_str(), size, false,
                    kAlways | (fixed ? ImGuiWindowFlags_NoScrollbar : 0) |
                        (wide ? ImGuiWindowFlags_HorizontalScrollbar : 0));
  panels_.find(name)->second->draw(panes);
  ImGui::EndChild();
  name_place(panes, "panel " + name);
  const ImVec2 high(at.x + size.x, at.y + size.y);
  take_drop(panes, name, side_at(ImGui::GetIO().MousePos, at, high), at, high);
  ImGui::PopFont();
}

/// The last item takes panels that are dragged onto it, and shows where they would go.
void App::take_drop(const Panes& panes, const std::string& beside, std::optional<Side> side, ImVec2 low,
                    ImVec2 high) {
  if (!ImGui::BeginDragDropTarget()) return;
  constexpr ImGuiDragDropFlags kFlags =
      ImGuiDragDropFlags_AcceptBeforeDelivery | ImGuiDragDropFlags_AcceptNoDrawDefaultRect;
  if (const ImGuiPayload* payload = ImGui::AcceptDragDropPayload("panel", kFlags)) {
    const auto [from, to] = half(side, low, high);
    ImDrawList* list = ImGui::GetForegroundDrawList();
    list->AddRectFilled(from, to, with_alpha(panes.theme.accent, 0.25F));
    list->AddRect(from, to, panes.theme.accent, 0, 0, 2 * panes.scale);
    if (payload->IsDelivery())
      rearrangement_ = [this, side, beside,
                        panel = std::string(static_cast<const char*>(payload->Data),
                                            static_cast<std::size_t>(payload->DataSize))] {
        if (side)
          layout_.split(panel, beside, *side);
        else
          layout_.move(panel, beside);
      };
  }
  ImGui::EndDragDropTarget();
}

void App::rearrange() {
  if (!rearrangement_) return;
  rearrangement_();
  rearrangement_ = nullptr;
  tell_worker_what_is_shown();
}

}  // namespace hindsight::debugger::ui
