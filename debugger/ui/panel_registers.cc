#include <algorithm>

#include "debugger/ui/flag_names_table.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

using Group = session::RegisterInfo::Group;

std::string hex_of(const session::RegisterInfo& info, const session::RegisterValue& value) {
  if (info.bits > 64) return fmt::format("{:0{}x}{:016x}", value[1], (info.bits - 64) / 4, value[0]);
  if (info.bits <= 8) return fmt::format("{:x}", value[0]);
  return fmt::format("{:0{}x}", value[0], (info.bits + 3) / 4);
}

class RegistersPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.registers) return say(panes, "no registers yet");
    ImGui::PushFont(panes.fonts.mono);
    const RegistersModel& all = *panes.model.registers;
    general(panes, all);
    ImGui::Spacing();
    flags(panes, all, "rflags");
    section(panes, all, Group::segment, "Segments and tables", false);
    section(panes, all, Group::control, "Control registers", true);
    section(panes, all, Group::msr, "Model-specific registers", false);
    section(panes, all, Group::debug, "Debug registers", false);
    section(panes, all, Group::x87, "x87", false);
    section(panes, all, Group::vector, "Vectors", false);
    ImGui::PopFont();
  }

 private:
  void general(const Panes& panes, const RegistersModel& all) {
    const float cell = ImGui::CalcTextSize("rflags 0000000000000000  ").x;
    const int columns = std::clamp(static_cast<int>(ImGui::GetContentRegionAvail().x / cell), 1, 3);
    if (!ImGui::BeginTable("general", columns)) return;
    for (std::size_t i = 0; i < all.table.size(); ++i) {
      if (all.table[i].group != Group::general) continue;
      ImGui::TableNextColumn();
      value(panes, all, i);
    }
    ImGui::EndTable();
  }

  void value(const Panes& panes, const RegistersModel& all, std::size_t index) {
    const session::RegisterInfo& info = all.table[index];
    const bool changed = all.changed(index);
    ImGui::PushID(static_cast<int>(index));
    coloured(panes.theme.faint, fmt::format("{:<6}", info.name));
    ImGui::SameLine(0, ImGui::CalcTextSize(" ").x);
    coloured(changed ? panes.theme.changed : panes.theme.text, hex_of(info, all.now[index]));
    if (ImGui::IsItemHovered()) {
      std::string text = fmt::format("{} = {}", info.name, all.now[index][0]);
      if (changed) text += "\nbefore: " + hex_of(info, all.before[index]);
      tip(panes, text + (info.bits == 64 ? "\nclick shows what it points to" : ""));
      if (ImGui::IsMouseClicked(ImGuiMouseButton_Left) && info.bits == 64)
        panes.perform(fmt::format("memory 0x{:x}", all.now[index][0]));
    }
    ImGui::PopID();
  }

  /// The bits that have names, those set in bright.
  void flags(const Panes& panes, const RegistersModel& all, std::string_view name) {
    const auto index = all.find(name);
    if (!index) return;
    const std::uint64_t now = all.now[*index][0];
    const std::uint64_t before = *index < all.before.size() ? all.before[*index][0] : now;
    const float right = ImGui::GetContentRegionMax().x;
    bool any = false;
    for (const FlagName& flag : flags_of(name)) {
      const std::uint64_t mask = (std::uint64_t{1} << flag.width) - 1;
      const std::uint64_t value = now >> flag.bit & mask;
      const bool changed = (before >> flag.bit & mask) != value;
      const std::string text =
          flag.width > 1 ? fmt::format("{}={}", flag.name, value) : std::string(flag.name);
      if (any) {
        ImGui::SameLine(0, ImGui::CalcTextSize(" ").x);
        if (ImGui::GetCursorPosX() + ImGui::CalcTextSize(text.c_str()).x > right) ImGui::NewLine();
      }
      any = true;
      coloured(changed ? panes.theme.changed : value != 0 ? panes.theme.text : panes.theme.dim, text);
      if (ImGui::IsItemHovered())
        tip(panes,
            fmt::format("{}, bit {} of {}: {}", flag.meaning, flag.bit, name, value != 0 ? "set" : "clear"));
    }
  }

  void section(const Panes& panes, const RegistersModel& all, Group group, const char* title, bool open) {
    std::size_t changes = 0;
    for (std::size_t i = 0; i < all.table.size(); ++i)
      if (all.table[i].group == group && all.changed(i)) ++changes;
    const bool shown =
        ui::section(panes, title, changes == 0 ? std::string() : fmt::format("{} changed", changes), open);
    if (!shown) return;
    for (std::size_t i = 0; i < all.table.size(); ++i) {
      if (all.table[i].group != group) continue;
      ImGui::Indent(8 * panes.scale);
      coloured(panes.theme.faint, fmt::format("{:<14}", all.table[i].name));
      ImGui::SameLine(0, ImGui::CalcTextSize(" ").x);
      coloured(all.changed(i) ? panes.theme.changed : panes.theme.text, hex_of(all.table[i], all.now[i]));
      if (!flags_of(all.table[i].name).empty()) {
        ImGui::Indent(16 * panes.scale);
        flags(panes, all, all.table[i].name);
        ImGui::Unindent(16 * panes.scale);
      }
      ImGui::Unindent(8 * panes.scale);
    }
  }
};

}  // namespace

std::unique_ptr<Panel> make_registers_panel() { return std::make_unique<RegistersPanel>(); }

}  // namespace hindsight::debugger::ui
