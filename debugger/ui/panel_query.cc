#include <array>

#include "debugger/ui/model_text.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

struct Kind {
  const char* name;  ///< as `query` takes it
  const char* title;
  const char* hint;  ///< of the subject
  const char* about;
};
constexpr std::array<Kind, 5> kKinds = {{
    {"writes", "Writes", "address or symbol, /bytes", "every access that wrote there"},
    {"changes", "Changes", "address or symbol, /bytes", "what gave these bytes another value"},
    {"last-write", "Last write", "address or symbol, /bytes", "the last write before this instant"},
    {"calls", "Calls", "function", "every call, with its arguments and what it returned"},
    {"events", "Events", "input sample output exception interrupt", "what came in, went out or struck"},
}};

/// Questions over all of history or the selected part of it; a click on an answer goes there.
class QueryPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    follow(panes);
    ask(panes);
    // What was answered before is no answer to this.
    if (panes.status.asking.starts_with("query"))
      return say(panes, fmt::format("searching: {:.0f} %", panes.status.asked * 100).c_str());
    if (!panes.model.answers) return say(panes, kKinds[kind_].about);
    const session::Answers& answers = *panes.model.answers;
    coloured(panes.theme.faint, fmt::format("{} {} in {} .. {}: {}{}", answers.asked.kind,
                                            answers.asked.subject, text_of(answers.asked.from),
                                            text_of(answers.asked.to), answers.more ? "the first " : "",
                                            answers.all.empty() ? "none" : grouped(answers.all.size())));
    if (answers.all.empty()) return;
    ImGui::PushFont(panes.fonts.mono);
    rows(panes, answers);
    ImGui::PopFont();
  }

 private:
  /// The fields show what was asked last, whoever asked.
  void follow(const Panes& panes) {
    if (panes.model.answers.get() == known_) return;
    known_ = panes.model.answers.get();
    for (std::size_t i = 0; i < kKinds.size(); ++i)
      if (known_->asked.kind == kKinds[i].name) kind_ = i;
    std::snprintf(subject_, sizeof subject_, "%s", known_->asked.subject.c_str());
  }

  void ask(const Panes& panes) {
    ImGui::SetNextItemWidth(110 * panes.scale);
    if (begin_combo(panes, "##kind", kKinds[kind_].title)) {
      for (std::size_t i = 0; i < kKinds.size(); ++i)
        if (ImGui::Selectable(kKinds[i].title, i == kind_)) kind_ = i;
      ImGui::EndCombo();
    } else if (ImGui::IsItemHovered()) {
      tip(panes, kKinds[kind_].about);
    }
    ImGui::SameLine();
    const float button = 60 * panes.scale;
    ImGui::SetNextItemWidth(
        std::max(80 * panes.scale,
                 std::min(300 * panes.scale, ImGui::GetContentRegionAvail().x - button - 150 * panes.scale)));
    bool now = ImGui::InputTextWithHint("##subject", kKinds[kind_].hint, subject_, sizeof subject_,
                                        ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::SameLine();
    now |= framed_button(panes, "Ask", button);
    ImGui::SameLine();
    coloured(panes.theme.faint, panes.shared.selection.empty() ? "in the whole trace" : "in the selection");
    if (now && (*subject_ != 0 || std::string_view(kKinds[kind_].name) == "events"))
      panes.perform(fmt::format("query {} {}", kKinds[kind_].name, subject_));
  }

  static void rows(const Panes& panes, const session::Answers& answers) {
    constexpr ImGuiTableFlags kFlags = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit |
                                       ImGuiTableFlags_ScrollY | ImGuiTableFlags_ScrollX;
    if (!ImGui::BeginTable("answers", 3, kFlags)) return;
    ImGui::TableSetupColumn(position_title(panes).c_str());
    for (const char* title : {"what", "where"}) ImGui::TableSetupColumn(title);
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(answers.all.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const session::Answer& answer = answers.all[static_cast<std::size_t>(i)];
        ImGui::TableNextColumn();
        ImGui::PushID(i);
        if (ImGui::Selectable(aligned(panes, answer.at).c_str(), answer.at == panes.model.now,
                              ImGuiSelectableFlags_SpanAllColumns))
          panes.perform("seek " + command_text(answer.at));
        ImGui::PopID();
        ImGui::TableNextColumn();
        coloured(panes.theme.text, answer.text);
        ImGui::TableNextColumn();
        coloured(panes.theme.accent, answer.where);
      }
    ImGui::EndTable();
  }

  const session::Answers* known_ = nullptr;
  std::size_t kind_ = 0;
  char subject_[128] = "";
};

}  // namespace

std::unique_ptr<Panel> make_query_panel() { return std::make_unique<QueryPanel>(); }

}  // namespace hindsight::debugger::ui
