#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class StackPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (panes.model.source) return draw_lines(panes, *panes.model.source);
    if (!panes.model.stack) return say(panes, "unwinding …");
    if (!panes.model.stack->trouble.empty()) return say(panes, panes.model.stack->trouble.c_str());
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("frames", 3, kWideTable)) {
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
          tip(panes,
              fmt::format("{:016x}{}{}\nclick shows the code", frame.pc.value,
                          frame.interrupted ? ", interrupted here" : "", frame.guessed ? ", guessed" : ""));
        ImGui::PopID();
        ImGui::TableNextColumn();
        coloured(frame.interrupted ? panes.theme.interrupts : panes.theme.faint,
                 frame.interrupted ? "interrupted" : fmt::format("{:016x}", frame.pc.value));
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

 private:
  /// Debug information tells of inlined calls and lines as well.
  static void draw_lines(const Panes& panes, const SourceModel& source) {
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("lines", 3, kWideTable)) {
      for (std::size_t i = 0; i < source.frames.size(); ++i) {
        const session::SourceFrame& frame = source.frames[i];
        const bool shown = i == source.shown;
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, fmt::format("{:>2}", i));
        ImGui::TableNextColumn();
        ImGui::PushID(static_cast<int>(i));
        ImGui::PushStyleColor(ImGuiCol_Text, shown ? panes.theme.cursor : panes.theme.text);
        if (ImGui::Selectable(frame.function.c_str(), false, ImGuiSelectableFlags_SpanAllColumns))
          panes.perform(fmt::format("frame {}", i));
        ImGui::PopStyleColor();
        if (ImGui::IsItemHovered())
          tip(panes, fmt::format("{:016x}{}{}{}\nclick shows its source, code and variables", frame.pc.value,
                                 frame.inlined ? ", inlined into its caller" : "",
                                 frame.interrupted ? ", interrupted here" : "",
                                 frame.place ? "\n" + frame.place->file : ""));
        ImGui::PopID();
        ImGui::TableNextColumn();
        coloured(frame.interrupted ? panes.theme.interrupts : panes.theme.faint, where(frame));
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

  static std::string where(const session::SourceFrame& frame) {
    if (!frame.place) return frame.interrupted ? "interrupted" : fmt::format("{:016x}", frame.pc.value);
    const std::string& file = frame.place->file;
    return fmt::format("{}:{}{}", file.substr(file.rfind('/') + 1), frame.place->line,
                       frame.inlined ? " inlined" : "");
  }
};

}  // namespace

std::unique_ptr<Panel> make_stack_panel() { return std::make_unique<StackPanel>(); }

}  // namespace hindsight::debugger::ui
