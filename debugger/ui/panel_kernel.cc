// What the guest's kernel says of itself at this instant: its log, tasks and modules, a panel each.
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

constexpr ImGuiTableFlags kFlags = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit |
                                   ImGuiTableFlags_ScrollX | ImGuiTableFlags_ScrollY;

void setup(std::initializer_list<const char*> titles) {
  for (const char* title : titles) ImGui::TableSetupColumn(title);
  ImGui::TableSetupScrollFreeze(0, 1);
  ImGui::TableHeadersRow();
}

/// Why the kernel says nothing, and what helps.
void excuse(const Panes& panes, const std::string& trouble) {
  say(panes, trouble.c_str());
  say(panes, "Early in a boot there is nothing to read yet: go on from here.");
}

class LogPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.log) return say(panes, "reading the kernel's log …");
    if (!panes.model.log->trouble.empty()) return excuse(panes, panes.model.log->trouble);
    const auto& all = panes.model.log->all;
    if (all.empty()) return say(panes, "the kernel has logged nothing yet");
    ImGui::BeginChild("lines", {0, 0}, false, ImGuiWindowFlags_HorizontalScrollbar);
    ImGui::PushFont(panes.fonts.mono);
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(all.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const session::LogLine& line = all[static_cast<std::size_t>(i)];
        coloured(panes.theme.faint, fmt::format("{:>5}.{:06}", line.nanoseconds / 1'000'000'000,
                                                line.nanoseconds / 1000 % 1'000'000));
        ImGui::SameLine();
        // Levels up to 3 are errors, 4 warnings (printk's).
        coloured(line.level <= 3   ? panes.theme.bad
                 : line.level == 4 ? panes.theme.interrupts
                                   : panes.theme.text,
                 line.text);
      }
    if (all.size() != count_) ImGui::SetScrollHereY(1.0F);
    count_ = all.size();
    ImGui::PopFont();
    ImGui::EndChild();
  }

 private:
  std::size_t count_ = 0;
};

class TasksPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.tasks) return say(panes, "reading the kernel's tasks …");
    if (!panes.model.tasks->trouble.empty()) return excuse(panes, panes.model.tasks->trouble);
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("tasks", 5, kFlags)) {
      setup({"  pid", "state", "name", "task_struct", "goes on at"});
      for (const session::TaskInfo& task : panes.model.tasks->all) {
        const std::string address = fmt::format("{:016x}", task.address.value);
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, fmt::format("{:>5}", task.pid));
        ImGui::TableNextColumn();
        coloured(task.state == 'R' ? panes.theme.good : panes.theme.faint, std::string(1, task.state));
        ImGui::TableNextColumn();
        coloured(task.kernel_thread ? panes.theme.faint : panes.theme.text,
                 task.kernel_thread ? "[" + task.name + "]" : task.name);
        ImGui::TableNextColumn();
        if (ImGui::Selectable(address.c_str(), false, ImGuiSelectableFlags_SpanAllColumns))
          panes.perform("memory 0x" + address);
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, task.pc.value == 0 ? "" : fmt::format("{:016x}", task.pc.value));
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }
};

class ModulesPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.modules) return say(panes, "reading the kernel's modules …");
    if (!panes.model.modules->trouble.empty()) return excuse(panes, panes.model.modules->trouble);
    if (panes.model.modules->all.empty()) return say(panes, "no module is loaded at this instant");
    ImGui::PushFont(panes.fonts.mono);
    if (ImGui::BeginTable("modules", 4, kFlags)) {
      setup({"name", "state", "code at", "     bytes"});
      for (const session::ModuleInfo& module : panes.model.modules->all) {
        ImGui::TableNextColumn();
        if (ImGui::Selectable(module.name.c_str(), false, ImGuiSelectableFlags_SpanAllColumns))
          panes.perform(fmt::format("code 0x{:x}", module.text.value));
        ImGui::TableNextColumn();
        coloured(module.state == "live" ? panes.theme.good : panes.theme.interrupts, module.state);
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, fmt::format("{:016x}", module.text.value));
        ImGui::TableNextColumn();
        coloured(panes.theme.faint, fmt::format("{:>10}", grouped(module.size)));
      }
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }
};

}  // namespace

std::unique_ptr<Panel> make_log_panel() { return std::make_unique<LogPanel>(); }
std::unique_ptr<Panel> make_tasks_panel() { return std::make_unique<TasksPanel>(); }
std::unique_ptr<Panel> make_modules_panel() { return std::make_unique<ModulesPanel>(); }

}  // namespace hindsight::debugger::ui
