#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class StackPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.stack) return say(panes, "unwinding …");
    if (!panes.model.stack->trouble.empty()) return say(panes, panes.model.stack->trouble.c_str());
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("frames", 3, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) {
      int index = 0;
      for (const session::FrameInfo& frame : panes.model.stack->all) {
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, fmt::format("{:>2}", index));
        ImGui::TableNextColumn();
        ImGui::PushID(index++);
        ImGui::PushStyleColor(ImGuiCol_Text, frame.guessed ? panes.theme.faint : panes.theme.text);
        if (ImGui::Selectable(frame.where.c_str(), false, ImGuiSelectableFlags_SpanAllColumns))
          panes.perform(fmt::format("code 0x{:x}", frame.pc.value));
        ImGui::PopStyleColor();
        if (ImGui::IsItemHovered())
          ImGui::SetTooltip("%016lx%s%s\nclick shows the code", static_cast<unsigned long>(frame.pc.value),
                            frame.interrupted ? ", interrupted here" : "", frame.guessed ? ", guessed" : "");
        ImGui::PopID();
        ImGui::TableNextColumn();
        coloured(frame.interrupted ? panes.theme.interrupts : panes.theme.faint,
                 frame.interrupted ? "interrupted" : fmt::format("{:x}", frame.pc.value));
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }
};

}  // namespace

std::unique_ptr<Panel> make_stack_panel() { return std::make_unique<StackPanel>(); }

}  // namespace hindsight::debugger::ui
