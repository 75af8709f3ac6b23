#include <algorithm>
#include <cmath>

#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

class CodePanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    if (!panes.model.code || panes.model.code->lines.empty()) return say(panes, "no code can be read here");
    const CodeModel& code = *panes.model.code;
    header(panes, code);
    ImGui::BeginChild("lines", {0, 0}, false, ImGuiWindowFlags_HorizontalScrollbar);
    ImGui::PushFont(panes.fonts.mono);
    line_height_ = std::floor(ImGui::GetFontSize() * 1.35F);
    arrange(code);
    follow(panes, code);
    with_bytes_ = ImGui::GetWindowWidth() > 640 * panes.scale;
    width_ = std::max(ImGui::GetContentRegionAvail().x,
                      margin(panes) + (longest_ + (with_bytes_ ? kBytes : 0)) * ImGui::CalcTextSize("0").x);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float first = ImGui::GetScrollY(), last = first + ImGui::GetWindowHeight();
    for (const Row& row : rows_) {
      if (row.y + line_height_ < first || row.y > last) continue;
      if (row.label)
        draw_label(panes, code.lines[row.line], {at.x, at.y + row.y});
      else
        draw_line(panes, code, row, {at.x, at.y + row.y});
    }
    draw_arrows(panes, code, at, first, last);
    ImGui::SetCursorScreenPos(
        {at.x + width_ - 1, at.y + (rows_.empty() ? 0 : rows_.back().y + line_height_)});
    ImGui::Dummy({1, 1});
    ImGui::PopFont();
    ImGui::EndChild();
  }

 private:
  struct Row {
    float y = 0;
    std::size_t line = 0;
    bool label = false;
  };
  struct Arrow {
    std::size_t from = 0, to = 0;  ///< lines
    int track = 0;
  };

  void header(const Panes& panes, const CodeModel& code) const {
    ImGui::PushFont(panes.fonts.mono);
    coloured(panes.theme.text, code.where);
    ImGui::SameLine();
    coloured(panes.theme.faint, fmt::format("{:016x}  {}-bit", code.wanted.value, code.bits));
    ImGui::PopFont();
    if (code.follows) return;
    ImGui::SameLine();
    if (framed_button(panes, "back to pc")) panes.perform("code pc");
  }

  /// What follows the mnemonic.
  static const std::string& operands(const CodeLine& line) {
    return line.target && !line.note.empty() ? line.note : line.operands;
  }
  static float mnemonic_width(const CodeLine& line) {
    return std::max(8.0F, static_cast<float>(line.mnemonic.size()) + 1);
  }

  /// Where each line stands, how long the longest is, and which arrow takes which track.
  void arrange(const CodeModel& code) {
    if (arranged_ == &code && height_ == line_height_) return;
    height_ = line_height_;
    rows_.clear();
    y_of_.assign(code.lines.size(), 0);
    float y = 0;
    longest_ = 0;
    for (std::size_t i = 0; i < code.lines.size(); ++i) {
      const CodeLine& line = code.lines[i];
      const std::size_t text = operands(line).size() + (line.target ? 0 : line.note.size() + 4);
      longest_ = std::max(longest_, kAddress + mnemonic_width(line) + static_cast<float>(text));
      if (!code.lines[i].label.empty()) {
        if (i != 0) y += std::floor(line_height_ / 2);
        rows_.push_back({y, i, true});
        y += line_height_;
      }
      rows_.push_back({y, i, false});
      y_of_[i] = y;
      y += line_height_;
    }
    arrows_.clear();
    std::vector<Arrow> some;
    for (std::size_t i = 0; i < code.lines.size(); ++i) {
      const CodeLine& line = code.lines[i];
      if (!line.target || line.flow == CodeLine::Flow::call) continue;
      if (const auto to = code.line_at(*line.target)) some.push_back({i, *to, 0});
    }
    // Short arrows run closest to the code.
    std::ranges::sort(some, {}, [](const Arrow& a) { return a.from > a.to ? a.from - a.to : a.to - a.from; });
    for (Arrow& arrow : some) {
      const auto low = std::min(arrow.from, arrow.to), high = std::max(arrow.from, arrow.to);
      const auto taken = [&](const Arrow& other) {
        const auto [a, b] = std::minmax(other.from, other.to);
        return other.track == arrow.track && a <= high && low <= b;
      };
      while (arrow.track < kTracks - 1 && std::ranges::any_of(arrows_, taken)) ++arrow.track;
      arrows_.push_back(arrow);
    }
  }

  void follow(const Panes& panes, const CodeModel& code) {
    const bool new_code = arranged_ != &code;
    arranged_ = &code;
    keep_ = panes.model.code;
    const float view = ImGui::GetWindowHeight();
    if (!new_code && view == view_) return;
    view_ = view;
    const auto line = code.line_at(code.wanted);
    if (!line) return;
    const float y = y_of_[*line];
    const bool same = code.lines.front().address == begin_;
    begin_ = code.lines.front().address;
    // A step inside what is seen does not move it.
    if (same && y > ImGui::GetScrollY() + line_height_ && y < ImGui::GetScrollY() + view - 3 * line_height_)
      return;
    ImGui::SetScrollY(std::max(0.0F, y - view / 3));
  }

  void draw_label(const Panes& panes, const CodeLine& line, ImVec2 at) const {
    ImGui::GetWindowDrawList()->AddText({at.x + margin(panes), at.y + text_inset()}, panes.theme.accent,
                                        (line.label + ":").c_str());
  }

  [[nodiscard]] float margin(const Panes& panes) const { return (22.0F + 9.0F * kTracks) * panes.scale; }
  [[nodiscard]] float text_inset() const { return std::floor((line_height_ - ImGui::GetFontSize()) / 2); }

  void draw_line(const Panes& panes, const CodeModel& code, const Row& row, ImVec2 at) {
    const CodeLine& line = code.lines[row.line];
    const Theme& theme = panes.theme;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const bool here = line.address == code.pc;
    if (here)
      list->AddRectFilled(at, {at.x + width_, at.y + line_height_}, with_alpha(theme.cursor, 0.22F), 2);
    draw_margin(panes, code, row, at, here);

    const float advance = ImGui::CalcTextSize("0").x;
    const float y = at.y + text_inset();
    float x = at.x + margin(panes);
    const auto path = executed(panes, code, row.line);
    list->AddText({x, y}, theme.faint, fmt::format("{:016x}", line.address.value).c_str());
    x += kAddress * advance;
    if (with_bytes_) {
      std::string bytes;
      for (int i = 0; i < std::min<int>(line.size, 8); ++i)
        bytes += fmt::format("{:02x}", line.bytes[static_cast<std::size_t>(i)]);
      if (line.size > 8) bytes += "…";
      list->AddText({x, y}, theme.dim, bytes.c_str());
      x += kBytes * advance;
    }
    const ImU32 flow = line.flow == CodeLine::Flow::none ? theme.text : theme.accent;
    const bool dim = panes.model.path && panes.model.path->code == panes.model.code && !path.first &&
                     !path.second && !here;
    list->AddText({x, y}, with_alpha(flow, dim ? 0.62F : 1.0F), line.mnemonic.c_str());
    x += mnemonic_width(line) * advance;
    const std::string& text = operands(line);
    list->AddText({x, y}, with_alpha(theme.text, dim ? 0.62F : 1.0F), text.c_str());
    x += (static_cast<float>(text.size()) + 2) * advance;
    if (!line.target && !line.note.empty()) list->AddText({x, y}, theme.faint, ("; " + line.note).c_str());
    interact(panes, line, at);
  }

  void interact(const Panes& panes, const CodeLine& line, ImVec2 at) {
    ImGui::SetCursorScreenPos(at);
    ImGui::PushID(static_cast<int>(line.address.value));
    ImGui::InvisibleButton("line", {width_, line_height_});
    const std::string address = fmt::format("0x{:x}", line.address.value);
    const bool margin_hovered = ImGui::GetIO().MousePos.x < at.x + margin(panes);
    if (ImGui::IsItemHovered() && margin_hovered) tip(panes, "breakpoint (F9 at the pc)");
    if (ImGui::IsItemClicked() && margin_hovered) panes.perform("break " + address);
    if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left) && line.target)
      panes.perform(fmt::format("code 0x{:x}", line.target->value));
    if (ImGui::BeginPopupContextItem("menu")) {
      ImGui::PushFont(panes.fonts.text);
      if (ImGui::MenuItem("Breakpoint here")) panes.perform("break " + address);
      if (line.target && ImGui::MenuItem("Show its target"))
        panes.perform(fmt::format("code 0x{:x}", line.target->value));
      if (ImGui::MenuItem("Show as memory")) panes.perform("memory " + address);
      if (ImGui::MenuItem("Copy address")) ImGui::SetClipboardText(address.c_str());
      ImGui::PopFont();
      ImGui::EndPopup();
    }
    ImGui::PopID();
  }

  /// Executed before the cursor, and after it.
  static std::pair<bool, bool> executed(const Panes& panes, const CodeModel& code, std::size_t line) {
    const auto& path = panes.model.path;
    if (!path || path->code.get() != &code || line >= path->before.size()) return {};
    return {path->before[line] != 0, path->after[line] != 0};
  }

  void draw_margin(const Panes& panes, const CodeModel& code, const Row& row, ImVec2 at, bool here) const {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float u = panes.scale, middle = at.y + line_height_ / 2;
    const GuestVirt address = code.lines[row.line].address;
    for (const BreakpointRow& stop : *panes.model.breakpoints)
      if (!stop.watch && stop.address == address)
        list->AddCircleFilled({at.x + 8 * u, middle}, 5 * u, panes.theme.bad);
    // What was executed on the left half of the bar, what will be on the right.
    const auto [before, after] = executed(panes, code, row.line);
    const float bar = at.x + margin(panes) - 8 * u;
    if (before) list->AddRectFilled({bar, at.y}, {bar + 2 * u, at.y + line_height_}, panes.theme.executed);
    if (after)
      list->AddRectFilled({bar + 3 * u, at.y}, {bar + 5 * u, at.y + line_height_}, panes.theme.upcoming);
    if (here)
      list->AddTriangleFilled({at.x + 14 * u, middle - 4 * u}, {at.x + 14 * u, middle + 4 * u},
                              {at.x + 20 * u, middle}, panes.theme.cursor);
  }

  void draw_arrows(const Panes& panes, const CodeModel& code, ImVec2 at, float first, float last) const {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float u = panes.scale;
    for (const Arrow& arrow : arrows_) {
      const float from = y_of_[arrow.from] + line_height_ / 2, to = y_of_[arrow.to] + line_height_ / 2;
      if (std::max(from, to) < first || std::min(from, to) > last) continue;
      const bool here = code.lines[arrow.from].address == code.pc;
      const ImU32 colour = here ? panes.theme.cursor : with_alpha(panes.theme.faint, 0.65F);
      const float right = std::floor(at.x + margin(panes) - 11 * u) + 0.5F;
      const float left = std::floor(right - (6.0F + 8.0F * static_cast<float>(arrow.track)) * u) + 0.5F;
      const float y0 = std::floor(at.y + from) + 2.5F, y1 = std::floor(at.y + to) + 0.5F;
      list->AddLine({right, y0}, {left, y0}, colour);
      list->AddLine({left, y0}, {left, y1}, colour);
      list->AddLine({left, y1}, {right - 3 * u, y1}, colour);
      list->AddTriangleFilled({right - 4 * u, y1 - 3 * u}, {right - 4 * u, y1 + 3 * u}, {right, y1}, colour);
    }
  }

  static constexpr int kTracks = 5;
  static constexpr float kAddress = 17.5F, kBytes = 18;  ///< letters that they take
  std::vector<Row> rows_;
  std::vector<float> y_of_;
  std::vector<Arrow> arrows_;
  const CodeModel* arranged_ = nullptr;
  std::shared_ptr<const CodeModel> keep_;  ///< so that no other model takes its address
  GuestVirt begin_{};
  float line_height_ = 0, height_ = 0, view_ = 0;
  float longest_ = 0;  ///< in letters, without bytes
  float width_ = 0;
  bool with_bytes_ = false;  ///< there is room for what the instructions are encoded as
};

}  // namespace

std::unique_ptr<Panel> make_code_panel() { return std::make_unique<CodePanel>(); }

}  // namespace hindsight::debugger::ui
