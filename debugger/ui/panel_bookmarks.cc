#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

/// Marks and their notes, which the trace keeps, and the stops that are set in this session.
class BookmarksPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    add(panes);
    ImGui::Spacing();
    if (panes.model.marks->empty()) say(panes, "no marks in this trace yet: name this instant above");
    marks(panes);
    ImGui::Spacing();
    ImGui::PushFont(panes.fonts.strong);
    ImGui::TextUnformatted("Breakpoints and watchpoints");
    ImGui::PopFont();
    if (panes.model.breakpoints->empty())
      return say(panes,
                 "none: F9 sets a breakpoint at the pc, a click on the margin of code or source there");
    stops(panes);
  }

 private:
  void add(const Panes& panes) {
    ImGui::SetNextItemWidth(90 * panes.scale);
    bool entered =
        ImGui::InputTextWithHint("##name", "name", name_, sizeof name_, ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::SameLine();
    if (ImGui::GetContentRegionAvail().x < 180 * panes.scale) ImGui::NewLine();
    ImGui::SetNextItemWidth(-80 * panes.scale);
    entered |=
        ImGui::InputTextWithHint("##note", "note", note_, sizeof note_, ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::SameLine();
    entered |= framed_button(panes, "Mark");
    if (ImGui::IsItemHovered()) tip(panes, "Mark this instant (Ctrl+B)");
    if (entered && *name_ != 0) {
      panes.perform(fmt::format("mark {} {}", name_, note_));
      *name_ = *note_ = 0;
    }
  }

  static void marks(const Panes& panes) {
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("marks", 4, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) {
      for (const session::MarkInfo& mark : *panes.model.marks) {
        ImGui::PushID(mark.name.c_str());
        ImGui::TableNextColumn();
        if (ImGui::Selectable(mark.name.c_str(), mark.at == panes.model.now))
          panes.perform("seek mark:" + mark.name);
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, aligned(panes, mark.at));
        ImGui::TableNextColumn();
        if (remove_button(panes, "Remove")) panes.perform("unmark " + mark.name);
        ImGui::TableNextColumn();
        coloured(panes.theme.text, mark.note);
        if (ImGui::IsItemHovered() && !mark.note.empty()) tip(panes, mark.note);
        ImGui::PopID();
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

  static void stops(const Panes& panes) {
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("stops", 3, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) {
      for (const BreakpointRow& stop : *panes.model.breakpoints) {
        ImGui::PushID(stop.id);
        ImGui::TableNextColumn();
        coloured(panes.theme.bad, stop.watch ? "watch" : "break");
        ImGui::TableNextColumn();
        if (ImGui::Selectable(stop.text.c_str()))
          panes.perform(fmt::format("{} 0x{:x}", stop.watch ? "memory" : "code", stop.address.value));
        ImGui::TableNextColumn();
        if (remove_button(panes, "Remove")) panes.perform(fmt::format("delete {}", stop.id));
        ImGui::PopID();
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

  char name_[64] = "", note_[160] = "";
};

}  // namespace

std::unique_ptr<Panel> make_bookmarks_panel() { return std::make_unique<BookmarksPanel>(); }

}  // namespace hindsight::debugger::ui
