#include <algorithm>
#include <cmath>

#include "debugger/ui/c_highlight.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

/// A file's name without most of its folders.
std::string short_name(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? file : file.substr(slash + 1);
}

class SourcePanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.source)
      return say(panes,
                 "no source is known: hindsight debug TRACE --symbols FILE names a vmlinux, a module or a "
                 "program with debug information");
    const SourceModel& source = *panes.model.source;
    if (source.frames.empty()) return say(panes, "no call is known here: nothing has debug information yet");
    header(panes, source);
    ImGui::BeginChild("text", {0, 0}, false, ImGuiWindowFlags_HorizontalScrollbar);
    draw_text(panes, source);
    ImGui::EndChild();
  }

 private:
  // ---- which frame

  static std::string title(const session::SourceFrame& frame) {
    return fmt::format(
        "{}{}", frame.function,
        frame.place ? fmt::format("  {}:{}", short_name(frame.place->file), frame.place->line) : "");
  }

  void header(const Panes& panes, const SourceModel& source) {
    ImGui::PushFont(panes.fonts.mono);
    ImGui::SetNextItemWidth(std::min(ImGui::GetContentRegionAvail().x * 0.6F, 460 * panes.scale));
    const std::string shown = fmt::format("#{} {}", source.shown, title(source.frame()));
    if (begin_combo(panes, "##frames", shown.c_str())) {
      for (std::size_t i = 0; i < source.frames.size(); ++i) {
        const session::SourceFrame& frame = source.frames[i];
        ImGui::PushID(static_cast<int>(i));
        ImGui::PushStyleColor(ImGuiCol_Text, frame.place ? panes.theme.text : panes.theme.faint);
        const std::string text = fmt::format("#{:<2} {}{}", i, title(frame),
                                             frame.inlined       ? "  inlined"
                                             : frame.interrupted ? "  interrupted"
                                                                 : "");
        if (ImGui::Selectable(text.c_str(), i == source.shown)) panes.perform(fmt::format("frame {}", i));
        ImGui::PopStyleColor();
        ImGui::PopID();
      }
      ImGui::EndCombo();
    }
    if (source.text && ImGui::IsItemHovered()) tip(panes, source.text->file);
    ImGui::PopFont();
    ImGui::SameLine();
    if (framed_button(panes, "< line")) panes.perform("back-line");
    if (ImGui::IsItemHovered()) tip(panes, "back to where the last line began (Shift+F11)");
    ImGui::SameLine();
    if (framed_button(panes, "line >")) panes.perform("step-line");
    if (ImGui::IsItemHovered()) tip(panes, "on to the next line (F11)");
    if (!source.text) return;
    ImGui::SameLine();
    const std::string& path = source.text->path.empty() ? source.text->file : source.text->path;
    if (ImGui::CalcTextSize(path.c_str()).x < ImGui::GetContentRegionAvail().x)
      coloured(panes.theme.faint, path);
    else
      ImGui::NewLine();
  }

  // ---- the text

  void draw_text(const Panes& panes, const SourceModel& source) {
    if (!source.text) {
      say(panes,
          "no line is known for the code that runs here; go to where a program with debug information runs");
      for (const std::string& trouble : source.troubles) say(panes, trouble.c_str());
      return;
    }
    if (source.text->lines.empty()) return say(panes, source.text->trouble.c_str());
    ImGui::PushFont(panes.fonts.mono);
    line_height_ = std::floor(ImGui::GetFontSize() * 1.35F);
    advance_ = ImGui::CalcTextSize("0").x;
    prepare(source);
    follow(source);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const std::size_t all = source.text->lines.size();
    const auto first = static_cast<std::size_t>(std::max(0.0F, ImGui::GetScrollY() / line_height_));
    const auto count = static_cast<std::size_t>(ImGui::GetWindowHeight() / line_height_) + 2;
    const float width = std::max(ImGui::GetContentRegionAvail().x, margin(panes) + longest_ * advance_);
    const std::vector<unsigned> stops = stopped_lines(panes);
    for (std::size_t i = first; i < std::min(all, first + count); ++i)
      draw_line(panes, source, static_cast<unsigned>(i + 1), stops,
                {at.x, at.y + static_cast<float>(i) * line_height_}, width);
    ImGui::SetCursorScreenPos({at.x + width - 1, at.y + static_cast<float>(all) * line_height_});
    ImGui::Dummy({1, 1});
    ImGui::PopFont();
  }

  /// Once for each text: where comments go on, which lines have code.
  void prepare(const SourceModel& source) {
    if (prepared_ == source.text) return;
    const bool other = !prepared_ || prepared_->file != source.text->file;
    prepared_ = source.text;
    if (other) line_ = 0;
    in_comment_.clear();
    longest_ = 0;
    bool comment = false;
    for (const std::string& line : source.text->lines) {
      in_comment_.push_back(comment);
      const std::string text = expanded(line);
      longest_ = std::max(longest_, static_cast<float>(text.size()) + 2);
      (void)highlight(text, comment);
    }
    has_code_.assign(source.text->lines.size() + 1, false);
    for (const auto& [address, line] : source.text->statements)
      if (line < has_code_.size()) has_code_[line] = true;
  }

  void follow(const SourceModel& source) {
    const float view = ImGui::GetWindowHeight();
    if (line_ == source.line() && view == view_) return;
    view_ = view;
    const float y = static_cast<float>(source.line()) * line_height_;
    const bool far = line_ == 0 || y < ImGui::GetScrollY() + 2 * line_height_ ||
                     y > ImGui::GetScrollY() + view - 3 * line_height_;
    line_ = source.line();
    if (far) ImGui::SetScrollY(std::max(0.0F, y - view * 0.45F));
  }

  std::vector<unsigned> stopped_lines(const Panes& panes) const {
    std::vector<unsigned> lines;
    for (const BreakpointRow& stop : *panes.model.breakpoints) {
      if (stop.watch) continue;
      const auto at = std::ranges::lower_bound(prepared_->statements, stop.address, {},
                                               &std::pair<GuestVirt, unsigned>::first);
      if (at != prepared_->statements.end() && at->first == stop.address) lines.push_back(at->second);
    }
    return lines;
  }

  [[nodiscard]] float margin(const Panes& panes) const { return 40 * panes.scale + 5 * advance_; }

  void draw_line(const Panes& panes, const SourceModel& source, unsigned number,
                 const std::vector<unsigned>& stops, ImVec2 at, float width) {
    const Theme& theme = panes.theme;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float u = panes.scale, middle = at.y + line_height_ / 2;
    const float y = at.y + std::floor((line_height_ - ImGui::GetFontSize()) / 2);
    const bool here = number == source.line();
    // Where a call stands that has not returned is another matter than what runs next.
    const ImU32 colour = source.shown == 0 ? theme.cursor : theme.accent;
    if (here) {
      list->AddRectFilled(at, {at.x + width, at.y + line_height_}, with_alpha(colour, 0.22F), 2);
      list->AddTriangleFilled({at.x + 20 * u, middle - 4 * u}, {at.x + 20 * u, middle + 4 * u},
                              {at.x + 26 * u, middle}, colour);
    }
    if (std::ranges::find(stops, number) != stops.end())
      list->AddCircleFilled({at.x + 9 * u, middle}, 5 * u, theme.bad);
    else if (has_code_[number])
      list->AddCircleFilled({at.x + 9 * u, middle}, 1.5F * u, with_alpha(theme.faint, 0.8F));
    list->AddText({at.x + 28 * u, y}, here ? theme.text : theme.dim, fmt::format("{:>5}", number).c_str());
    bool comment = in_comment_[number - 1];
    const std::string text = expanded(source.text->lines[number - 1]);
    for (const Highlight& stretch : highlight(text, comment))
      list->AddText({at.x + margin(panes) + static_cast<float>(stretch.begin) * advance_, y},
                    colour_of(theme, stretch.kind), text.data() + stretch.begin,
                    text.data() + stretch.begin + stretch.size);
    interact(panes, number, at, width);
  }

  static ImU32 colour_of(const Theme& theme, Highlight::Kind kind) {
    switch (kind) {
      case Highlight::Kind::comment:
        return theme.faint;
      case Highlight::Kind::text:
        return theme.typed;
      case Highlight::Kind::number:
        return theme.interrupts;
      case Highlight::Kind::keyword:
        return theme.accent;
      case Highlight::Kind::directive:
        return theme.input;
      case Highlight::Kind::plain:
        break;
    }
    return theme.text;
  }

  void interact(const Panes& panes, unsigned number, ImVec2 at, float width) const {
    ImGui::SetCursorScreenPos(at);
    ImGui::PushID(static_cast<int>(number));
    ImGui::InvisibleButton("line", {width, line_height_});
    const bool hovered = ImGui::IsItemHovered() && ImGui::GetIO().MousePos.x < at.x + margin(panes);
    const std::string place = fmt::format("{}:{}", prepared_->file, number);
    if (hovered) tip(panes, fmt::format("breakpoint at line {}", number));
    if (ImGui::IsItemClicked() && hovered) panes.perform("break " + place);
    if (ImGui::BeginPopupContextItem("menu")) {
      ImGui::PushFont(panes.fonts.text);
      if (ImGui::MenuItem("Breakpoint here")) panes.perform("break " + place);
      const auto code =
          std::ranges::find(prepared_->statements, number, &std::pair<GuestVirt, unsigned>::second);
      if (code != prepared_->statements.end() && ImGui::MenuItem("Show its code"))
        panes.perform(fmt::format("code 0x{:x}", code->first.value));
      if (ImGui::MenuItem("Copy its name")) ImGui::SetClipboardText(place.c_str());
      ImGui::PopFont();
      ImGui::EndPopup();
    }
    ImGui::PopID();
  }

  std::shared_ptr<const session::SourceText> prepared_;
  std::vector<bool> in_comment_, has_code_;
  float longest_ = 0, line_height_ = 0, advance_ = 0, view_ = 0;
  unsigned line_ = 0;
};

}  // namespace

std::unique_ptr<Panel> make_source_panel() { return std::make_unique<SourcePanel>(); }

}  // namespace hindsight::debugger::ui
