#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

/// Every part of the machine with every field of its state, as the state's schema names them.
class DevicesPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.devices) return say(panes, "reading the devices …");
    const auto& all = *panes.model.devices;
    ImGui::SetNextItemWidth(180 * panes.scale);
    ImGui::InputTextWithHint("##find", "find a field", find_, sizeof find_);
    ImGui::SameLine();
    ImGui::Checkbox("only changed", &only_changed_);
    ImGui::BeginChild("parts");
    ImGui::PushFont(panes.fonts.mono);
    bool any = false;
    for (std::size_t i = 0; i < all.size();) {
      const std::string& part = all[i].field.part;
      std::size_t end = i, changed = 0, wanted = 0;
      for (; end < all.size() && all[end].field.part == part; ++end) {
        changed += all[end].changed ? 1 : 0;
        wanted += shows(all[end]) ? 1 : 0;
      }
      any |= wanted > 0;
      if (wanted > 0) draw_part(panes, part, i, end, changed);
      i = end;
    }
    ImGui::PopFont();
    if (!any)
      say(panes, *find_ != 0 ? "no part and no field has that in its name"
                             : "nothing changed since the cursor was elsewhere");
    ImGui::EndChild();
  }

 private:
  [[nodiscard]] bool shows(const DeviceField& field) const {
    if (only_changed_ && !field.changed) return false;
    const std::string_view find = find_;
    return find.empty() || field.field.part.find(find) != std::string::npos ||
           field.field.path.find(find) != std::string::npos;
  }

  void draw_part(const Panes& panes, const std::string& part, std::size_t begin, std::size_t end,
                 std::size_t changed) {
    ImGui::PushStyleColor(ImGuiCol_Text, changed != 0 ? panes.theme.changed : panes.theme.text);
    const std::string text =
        changed != 0 ? fmt::format("{}  {} changed###{}", part, changed, part) : part + "###" + part;
    if (*find_ != 0 || only_changed_) ImGui::SetNextItemOpen(true);
    const bool open = ImGui::TreeNodeEx(text.c_str(), ImGuiTreeNodeFlags_SpanAvailWidth);
    ImGui::PopStyleColor();
    if (!open) return;
    // A disk or a frame buffer may have many fields: only what is seen is laid out.
    rows_.clear();
    for (std::size_t i = begin; i < end; ++i)
      if (shows((*panes.model.devices)[i])) rows_.push_back(i);
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(rows_.size()));
    while (clipper.Step())
      for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
        const DeviceField& field = (*panes.model.devices)[rows_[static_cast<std::size_t>(row)]];
        coloured(panes.theme.faint, fmt::format("{:<26}", field.field.path));
        ImGui::SameLine();
        coloured(field.changed ? panes.theme.changed : panes.theme.text, field.field.value);
      }
    ImGui::TreePop();
  }

  char find_[64] = "";
  bool only_changed_ = false;
  std::vector<std::size_t> rows_;
};

}  // namespace

std::unique_ptr<Panel> make_devices_panel() { return std::make_unique<DevicesPanel>(); }

}  // namespace hindsight::debugger::ui
