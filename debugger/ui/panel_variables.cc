#include <algorithm>

#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class VariablesPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.source)
      return say(panes, "no variables are known: --symbols FILE names debug information");
    const SourceModel& source = *panes.model.source;
    if (source.variables.empty()) return say(panes, "no variables are known here");
    ImGui::PushFont(panes.fonts.mono);
    constexpr ImGuiTableFlags kFlags =
        ImGuiTableFlags_RowBg | ImGuiTableFlags_Resizable | ImGuiTableFlags_SizingStretchProp;
    if (ImGui::BeginTable("rows", 3, kFlags)) {
      ImGui::TableSetupColumn("name", 0, 0.9F);
      ImGui::TableSetupColumn("value", 0, 1.7F);
      ImGui::TableSetupColumn("type", 0, 0.9F);
      std::optional<session::Variable::Kind> kind;
      for (std::size_t i = 0; i < source.variables.size();) {
        const VariableRow& row = source.variables[i];
        if (kind != row.kind) section(panes, row.kind);
        kind = row.kind;
        const bool open = variable(panes, row);
        ImGui::PushID(row.name.c_str());
        for (std::size_t part = 1; open && part <= row.parts; ++part)
          variable(panes, source.variables[i + part]);
        ImGui::PopID();
        i += 1 + row.parts;
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

 private:
  static void section(const Panes& panes, session::Variable::Kind kind) {
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::PushFont(panes.fonts.strong);
    coloured(panes.theme.faint, kind == session::Variable::Kind::parameter ? "Parameters"
                                : kind == session::Variable::Kind::local   ? "Locals"
                                                                           : "Of the file");
    ImGui::PopFont();
  }

  bool variable(const Panes& panes, const VariableRow& row) {
    constexpr std::size_t kFew = 8;
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::PushID(row.name.c_str());
    ImGui::PushID(static_cast<int>(row.kind));
    bool open = false;
    if (row.parts != 0) {
      const bool at_first = row.kind != session::Variable::Kind::file && row.parts <= kFew;
      ImGui::PushStyleColor(ImGuiCol_Text, row.changed ? panes.theme.changed : panes.theme.text);
      open = ImGui::TreeNodeEx(row.name.c_str(), ImGuiTreeNodeFlags_NoTreePushOnOpen |
                                                     (at_first ? ImGuiTreeNodeFlags_DefaultOpen : 0));
      ImGui::PopStyleColor();
    } else {
      ImGui::SetCursorPosX(ImGui::GetCursorPosX() +
                           (row.depth == 0 ? ImGui::GetTreeNodeToLabelSpacing()
                                           : ImGui::GetTreeNodeToLabelSpacing() + ImGui::GetFontSize()));
      coloured(row.changed ? panes.theme.changed : panes.theme.text, row.name);
    }
    ImGui::TableNextColumn();
    coloured(!row.known    ? panes.theme.faint
             : row.changed ? panes.theme.changed
                           : panes.theme.text,
             row.value);
    value_actions(panes, row);
    ImGui::TableNextColumn();
    coloured(panes.theme.faint, row.type);
    ImGui::PopID();
    ImGui::PopID();
    return open;
  }

  static void menu(const Panes& panes, const VariableRow& row) {
    if (!ImGui::BeginPopupContextItem("menu")) return;
    ImGui::PushFont(panes.fonts.text);
    const std::string bytes =
        row.address ? fmt::format("0x{:x} {}", row.address->value, std::min<std::uint64_t>(row.size, 64))
                    : "";
    if (ImGui::MenuItem("Go to its last write", nullptr, false, row.address.has_value()))
      panes.perform("last-write " + bytes);
    if (ImGui::MenuItem("Watch it", nullptr, false, row.address.has_value())) panes.perform("watch " + bytes);
    if (ImGui::MenuItem("Show as memory", nullptr, false, row.address.has_value()))
      panes.perform(fmt::format("memory 0x{:x}", row.address->value));
    if (ImGui::MenuItem("Copy its value")) ImGui::SetClipboardText(row.value.c_str());
    ImGui::PopFont();
    ImGui::EndPopup();
  }

  static void value_actions(const Panes& panes, const VariableRow& row) {
    menu(panes, row);
    if (!ImGui::IsItemHovered()) return;
    const bool address = row.value.starts_with("0x");
    const std::string text = fmt::format("{} {} = {}{}{}", row.type, row.name, row.value,
                                         row.changed ? "\nbefore: " + row.before : "",
                                         address ? "\nclick shows it as memory" : "");
    tip(panes, text);
    if (address && ImGui::IsMouseClicked(ImGuiMouseButton_Left))
      panes.perform("memory " + row.value.substr(0, row.value.find(' ')));
  }
};

}  // namespace

std::unique_ptr<Panel> make_variables_panel() { return std::make_unique<VariablesPanel>(); }

}  // namespace hindsight::debugger::ui
