#include <algorithm>
#include <vector>

#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

using Branch = session::Profile::Branch;

/// What ran in a stretch of the timeline, by who called whom or by function; every instruction counted.
class CallsPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    controls(panes);
    if (panes.status.asking.starts_with("profile"))
      return say(panes, fmt::format("counting: {:.0f} %", panes.status.asked * 100).c_str());
    if (!panes.model.profile)
      return say(panes,
                 "counts every instruction in a stretch of the timeline, and who called whom: drag in the "
                 "timeline, or "
                 "zoom it, and press Count");
    const session::Profile& profile = *panes.model.profile;
    if (&profile != known_ || by_function_ != known_by_function_) prepare(profile);
    coloured(panes.theme.faint, fmt::format("{} instructions in {} .. {}", grouped(profile.instructions),
                                            text_of(profile.from), text_of(profile.to)));
    ImGui::PushFont(panes.fonts.mono);
    rows(panes, profile, by_function_ ? profile.functions : profile.tree);
    ImGui::PopFont();
  }

 private:
  void controls(const Panes& panes) {
    const bool selected = !panes.shared.selection.empty();
    const Span span = selected ? panes.shared.selection : panes.shared.view;
    if (framed_button(panes, "Count", 70 * panes.scale))
      panes.perform(fmt::format("profile {}..{}", span.from, span.to));
    ImGui::SameLine();
    coloured(panes.theme.faint, selected ? "what ran in the selection" : "what ran in the part shown");
    ImGui::SameLine(0, 20 * panes.scale);
    int shown = by_function_ ? 1 : 0;
    ImGui::RadioButton("tree", &shown, 0);
    ImGui::SameLine();
    ImGui::RadioButton("functions", &shown, 1);
    by_function_ = shown == 1;
  }

  void prepare(const session::Profile& profile) {
    known_ = &profile;
    known_by_function_ = by_function_;
    closed_.assign(profile.tree.size(), false);
  }

  void rows(const Panes& panes, const session::Profile& profile, const std::vector<Branch>& all) {
    constexpr ImGuiTableFlags kFlags = ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY |
                                       ImGuiTableFlags_SizingFixedFit | ImGuiTableFlags_ScrollX;
    if (!ImGui::BeginTable("calls", 5, kFlags)) return;
    for (const char* title :
         {by_function_ ? "  self" : " total", "", "          self", "    calls", "function"})
      ImGui::TableSetupColumn(title);
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableHeadersRow();
    visible_.clear();
    for (std::size_t i = 0; i < all.size(); ++i) {
      visible_.push_back(i);
      if (by_function_ || !closed_[i]) continue;
      while (i + 1 < all.size() && all[i + 1].depth > all[visible_.back()].depth) ++i;
    }
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(visible_.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i)
        row(panes, profile, all, visible_[static_cast<std::size_t>(i)]);
    ImGui::EndTable();
  }

  void row(const Panes& panes, const session::Profile& profile, const std::vector<Branch>& all,
           std::size_t index) {
    const Branch& branch = all[index];
    const std::uint64_t part = by_function_ ? branch.self : branch.total;
    const double share =
        profile.instructions == 0 ? 0 : static_cast<double>(part) / static_cast<double>(profile.instructions);
    ImGui::TableNextColumn();
    coloured(panes.theme.text, fmt::format("{:>5.1f}%", share * 100));
    ImGui::TableNextColumn();
    bar(panes, static_cast<float>(share));
    ImGui::TableNextColumn();
    coloured(panes.theme.faint, fmt::format("{:>14}", grouped(branch.self)));
    ImGui::TableNextColumn();
    coloured(panes.theme.faint, fmt::format("{:>9}", grouped(branch.calls)));
    ImGui::TableNextColumn();
    function(panes, all, index);
  }

  static void bar(const Panes& panes, float share) {
    const float width = 80 * panes.scale, height = ImGui::GetTextLineHeight();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float y0 = at.y + height * 0.25F, y1 = at.y + height * 0.8F;
    list->AddRectFilled({at.x, y0}, {at.x + width, y1}, panes.theme.raised, 2 * panes.scale);
    list->AddRectFilled({at.x, y0}, {at.x + std::max(1.0F, width * share), y1}, panes.theme.accent,
                        2 * panes.scale);
    ImGui::Dummy({width, height});
  }

  void function(const Panes& panes, const std::vector<Branch>& all, std::size_t index) {
    const Branch& branch = all[index];
    const bool leaf = by_function_ || index + 1 == all.size() || all[index + 1].depth <= branch.depth;
    const float indent = static_cast<float>(branch.depth) * 14 * panes.scale, sign = 16 * panes.scale;
    ImGui::PushID(static_cast<int>(index));
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = ImGui::GetTextLineHeight();
    if (!leaf) {
      ImGui::SetCursorScreenPos({at.x + indent, at.y});
      if (ImGui::InvisibleButton("fold", {sign, height})) closed_[index] = !closed_[index];
      const float x = at.x + indent + sign / 2 - 2 * panes.scale, y = at.y + height / 2, u = 3 * panes.scale;
      ImDrawList* list = ImGui::GetWindowDrawList();
      if (closed_[index])
        list->AddTriangleFilled({x - u / 2, y - u}, {x - u / 2, y + u}, {x + u, y}, panes.theme.faint);
      else
        list->AddTriangleFilled({x - u, y - u / 2}, {x + u, y - u / 2}, {x, y + u}, panes.theme.faint);
    }
    ImGui::SetCursorScreenPos({at.x + indent + sign, at.y});
    const bool is_function = branch.address.value >= 0x1000;
    ImGui::PushStyleColor(ImGuiCol_Text, is_function ? panes.theme.text : panes.theme.faint);
    if (ImGui::Selectable(branch.function.c_str(), false, 0, ImGui::CalcTextSize(branch.function.c_str())) &&
        is_function)
      panes.perform(fmt::format("code 0x{:x}", branch.address.value));
    ImGui::PopStyleColor();
    if (is_function && ImGui::BeginPopupContextItem("menu")) {
      ImGui::PushFont(panes.fonts.text);
      if (ImGui::MenuItem("Show its code")) panes.perform(fmt::format("code 0x{:x}", branch.address.value));
      if (ImGui::MenuItem("Find its calls")) panes.perform("query calls " + branch.function);
      ImGui::PopFont();
      ImGui::EndPopup();
    }
    ImGui::PopID();
  }

  const session::Profile* known_ = nullptr;
  bool by_function_ = false, known_by_function_ = false;
  std::vector<bool> closed_;  ///< branches whose callees are not shown
  std::vector<std::size_t> visible_;
};

}  // namespace

std::unique_ptr<Panel> make_calls_panel() { return std::make_unique<CallsPanel>(); }

}  // namespace hindsight::debugger::ui
