#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

/// SDM vol. 3, tables 4-15 to 4-20: what an entry's bits say, for people.
std::string bits_of(const session::TableEntry& entry) {
  const std::uint64_t v = entry.value;
  if ((v & 1) == 0) return "not present";
  std::string text = (v & 2) != 0 ? "writable" : "read-only";
  text += (v & 4) != 0 ? " user" : " supervisor";
  if ((v & 8) != 0) text += " PWT";
  if ((v & 16) != 0) text += " PCD";
  if ((v & 32) != 0) text += " accessed";
  const bool leaf = entry.level == 1 || (v & 128) != 0;
  if (leaf && (v & 64) != 0) text += " dirty";
  if (entry.level > 1 && (v & 128) != 0) text += entry.level == 3 ? " 1-GiB page" : " large page";
  if (leaf && (v & 256) != 0) text += " global";
  if ((v >> 63 & 1) != 0) text += " no-execute";
  return text;
}

class WalkPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    ImGui::SetNextItemWidth(220 * panes.scale);
    if (ImGui::InputTextWithHint("##address", "address, register or symbol", field_, sizeof field_,
                                 ImGuiInputTextFlags_EnterReturnsTrue))
      panes.perform(std::string("walk ") + field_);
    if (ImGui::IsItemHovered() && !ImGui::IsItemActive())
      tip(panes, "Whose tables to walk: an address, a register or a symbol");
    if (!panes.model.walk) return say(panes, "no address was asked for");
    const WalkModel& walk = *panes.model.walk;
    ImGui::SameLine();
    ImGui::PushFont(panes.fonts.mono);
    coloured(panes.theme.faint, fmt::format("{} = {:016x}", walk.expression, walk.address.value));
    draw_entries(panes, walk);
    ImGui::Spacing();
    if (walk.mapping) {
      const session::Mapping& found = *walk.mapping;
      coloured(panes.theme.text,
               fmt::format("physical {:012x}", found.page.value + (walk.address.value & kPageMask)));
      ImGui::SameLine();
      coloured(panes.theme.faint, fmt::format("{}{}{}", found.user ? "user" : "supervisor",
                                              found.writable ? ", writable" : ", read-only",
                                              found.executable ? ", executable" : ""));
    } else {
      coloured(panes.theme.bad, "not mapped");
    }
    ImGui::PopFont();
  }

 private:
  static void draw_entries(const Panes& panes, const WalkModel& walk) {
    if (walk.entries.empty()) return say(panes, "paging is off");
    if (!ImGui::BeginTable("entries", 4, kWideTable)) return;
    for (const char* title : {"level", "entry at", "value", "meaning"}) ImGui::TableSetupColumn(title);
    ImGui::TableHeadersRow();
    for (const session::TableEntry& entry : walk.entries) {
      constexpr const char* kNames[] = {"?", "PT", "PD", "PDPT", "PML4", "PML5"};
      ImGui::TableNextColumn();
      coloured(panes.theme.accent, kNames[entry.level < 6 ? entry.level : 0]);
      ImGui::TableNextColumn();
      coloured(panes.theme.faint, fmt::format("{:012x}", entry.address.value));
      ImGui::TableNextColumn();
      coloured(panes.theme.text, fmt::format("{:016x}", entry.value));
      ImGui::TableNextColumn();
      coloured((entry.value & 1) != 0 ? panes.theme.text : panes.theme.bad, bits_of(entry));
    }
    ImGui::EndTable();
  }

  char field_[128] = "";
};

}  // namespace

std::unique_ptr<Panel> make_walk_panel() { return std::make_unique<WalkPanel>(); }

}  // namespace hindsight::debugger::ui
