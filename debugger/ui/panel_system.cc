#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class SystemPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.system) return say(panes, "reading the descriptor tables …");
    ImGui::PushFont(panes.fonts.mono);
    descriptors(panes, *panes.model.system);
    gates(panes, *panes.model.system);
    ImGui::PopFont();
  }

 private:
  static void title(const Panes& panes, const char* text) {
    ImGui::PushFont(panes.fonts.strong);
    ImGui::TextUnformatted(text);
    ImGui::PopFont();
  }

  static void descriptors(const Panes& panes, const SystemModel& system) {
    title(panes, "Global descriptor table");
    if (system.gdt.empty()) return say(panes, "empty");
    if (!ImGui::BeginTable("gdt", 5, kWideTable)) return;
    for (const char* name : {"selector", "kind", "DPL", "base", "limit"}) ImGui::TableSetupColumn(name);
    ImGui::TableHeadersRow();
    for (const DescriptorRow& row : system.gdt) {
      ImGui::TableNextColumn();
      coloured(panes.theme.accent, fmt::format("{:04x}", row.index * 8));
      ImGui::TableNextColumn();
      coloured(panes.theme.text, row.kind);
      ImGui::TableNextColumn();
      coloured(panes.theme.text, fmt::format("{}", row.privilege));
      ImGui::TableNextColumn();
      coloured(panes.theme.faint, fmt::format("{:016x}", row.base));
      ImGui::TableNextColumn();
      coloured(panes.theme.faint, fmt::format("{:08x}", row.limit));
    }
    ImGui::EndTable();
    ImGui::Spacing();
  }

  static void gates(const Panes& panes, const SystemModel& system) {
    title(panes, "Interrupt descriptor table");
    if (system.idt.empty()) return say(panes, "empty, or not in 64-bit mode");
    if (!ImGui::BeginTable("idt", 5, kWideTable)) return;
    for (const char* name : {"vector", "handler", "DPL", "IST", "kind"}) ImGui::TableSetupColumn(name);
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(system.idt.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const GateRow& row = system.idt[static_cast<std::size_t>(i)];
        ImGui::TableNextColumn();
        coloured(panes.theme.accent, fmt::format("{:02x}", row.vector));
        ImGui::TableNextColumn();
        ImGui::PushID(i);
        if (ImGui::Selectable(row.where.c_str()))
          panes.perform(fmt::format("code 0x{:x}", row.handler.value));
        ImGui::PopID();
        ImGui::TableNextColumn();
        coloured(panes.theme.text, fmt::format("{}", row.privilege));
        ImGui::TableNextColumn();
        coloured(panes.theme.text, row.stack == 0 ? "" : fmt::format("{}", row.stack));
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, row.kind);
      }
    ImGui::EndTable();
  }
};

}  // namespace

std::unique_ptr<Panel> make_system_panel() { return std::make_unique<SystemPanel>(); }

}  // namespace hindsight::debugger::ui
