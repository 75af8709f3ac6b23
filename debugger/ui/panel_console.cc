#include <algorithm>

#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class ConsolePanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    const ConsoleText& console = *panes.model.console;
    const std::uint64_t now = panes.model.now.icount.value;
    const std::size_t shown = console.shown_at(now);
    const bool known = panes.model.activity->gathered_to() >= panes.model.now;
    ImGui::PushFont(panes.fonts.text);
    coloured(panes.theme.faint,
             known ? console.text().empty() ? std::string("nothing was printed")
                                            : fmt::format("{} of {} characters at this instant",
                                                          grouped(shown), grouped(console.text().size()))
                   : fmt::format("gathering what the console showed: {:.0f} %", panes.status.gathered * 100));
    ImGui::SameLine();
    coloured(panes.theme.typed, "typed");
    ImGui::SameLine();
    coloured(panes.theme.dim, "later");
    ImGui::PopFont();
    ImGui::BeginChild("text", {0, 0}, false, ImGuiWindowFlags_HorizontalScrollbar);
    ImGui::PushFont(panes.fonts.mono);
    const auto& lines = console.lines();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(lines.size()), ImGui::GetTextLineHeightWithSpacing());
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i)
        draw_line(panes, console, static_cast<std::size_t>(i), shown);
    if (shown != shown_ || ImGui::GetWindowHeight() != height_) {
      shown_ = shown;
      height_ = ImGui::GetWindowHeight();
      const float line = ImGui::GetTextLineHeightWithSpacing();
      const float y = static_cast<float>(console.line_of(shown)) * line;
      ImGui::SetScrollY(std::max(0.0F, y - std::min(height_ * 0.75F, height_ - 2.5F * line)));
    }
    ImGui::PopFont();
    ImGui::EndChild();
  }

 private:
  void draw_line(const Panes& panes, const ConsoleText& console, std::size_t line, std::size_t shown) {
    const auto& lines = console.lines();
    const std::size_t begin = lines[line];
    std::size_t end = line + 1 < lines.size() ? lines[line + 1] : console.text().size();
    if (end > begin && console.text()[end - 1] == '\n') --end;
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float advance = ImGui::CalcTextSize("0").x;
    for (std::size_t i = begin; i < end;) {
      const bool typed = console.is_typed(i), later = i >= shown;
      std::size_t stop = i + 1;
      while (stop < end && console.is_typed(stop) == typed && (stop >= shown) == later) ++stop;
      const ImU32 colour = typed ? panes.theme.typed : panes.theme.text;
      list->AddText({at.x + advance * static_cast<float>(i - begin), at.y}, later ? panes.theme.dim : colour,
                    console.text().data() + i, console.text().data() + stop);
      i = stop;
    }
    if (shown >= begin && shown <= end && (shown < end || line + 1 == lines.size() || shown == begin)) {
      const float x = at.x + advance * static_cast<float>(shown - begin);
      list->AddRectFilled({x, at.y}, {x + advance, at.y + ImGui::GetTextLineHeight()},
                          with_alpha(panes.theme.cursor, 0.7F));
    }
    ImGui::PushID(static_cast<int>(line));
    ImGui::InvisibleButton(
        "line", {std::max(advance * static_cast<float>(end - begin), ImGui::GetContentRegionAvail().x),
                 ImGui::GetTextLineHeight()});
    if (end > begin && ImGui::IsItemHovered()) {
      tip(panes, fmt::format("printed at {}; click goes there", grouped(console.icount(begin))));
      if (ImGui::IsItemClicked()) panes.perform(fmt::format("seek {}", console.icount(begin)));
    }
    ImGui::PopID();
  }

  std::size_t shown_ = ~std::size_t{0};
  float height_ = 0;
};

}  // namespace

std::unique_ptr<Panel> make_console_panel() { return std::make_unique<ConsolePanel>(); }

}  // namespace hindsight::debugger::ui
