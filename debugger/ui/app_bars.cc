// The bars above and below the panels, the palette and the help.
#include <algorithm>
#include <cmath>
#include <utility>

#include "debugger/ui/actions.h"
#include "debugger/ui/app.h"
#include "debugger/ui/words.h"

namespace hindsight::debugger::ui {
namespace {

/// Draws the sign of a transport control in a box of 16 units.
void draw_sign(ImDrawList* list, std::string_view name, ImVec2 c, float u, ImU32 colour) {
  const auto triangle = [&](float x, bool right) {
    const float d = right ? 1.0F : -1.0F;
    list->AddTriangleFilled({c.x + (x - 4 * d) * u, c.y - 5 * u}, {c.x + (x - 4 * d) * u, c.y + 5 * u},
                            {c.x + (x + 4 * d) * u, c.y}, colour);
  };
  const auto bar = [&](float x) {
    list->AddRectFilled({c.x + (x - 1) * u, c.y - 5 * u}, {c.x + (x + 1) * u, c.y + 5 * u}, colour);
  };
  const auto dot = [&](float x) { list->AddCircleFilled({c.x + x * u, c.y}, 2.2F * u, colour); };
  if (name == "begin") bar(-5), triangle(1, false);
  if (name == "reverse-continue") triangle(-4, false), triangle(4, false);
  if (name == "previous-event") triangle(-3, false), dot(5);
  if (name == "back") triangle(0, false);
  if (name == "step") triangle(0, true);
  if (name == "next-event") triangle(3, true), dot(-5);
  if (name == "continue") triangle(-4, true), triangle(4, true);
  if (name == "end") bar(5), triangle(-1, true);
}

/// What no action's key says.
constexpr std::pair<std::string_view, std::string_view> kMouse[] = {
    {"timeline: click", "go there; on a lane, to what is nearest"},
    {"timeline: drag", "select a range: questions are about it; right click forgets it"},
    {"timeline: wheel", "zoom about the mouse; with Shift, move along"},
    {"ruler: drag", "scrub"},
    {"code, source: margin", "set or clear a breakpoint"},
    {"code: double click", "show the target of a jump or call"},
    {"memory: click", "pick a byte; right click asks who wrote it"},
    {"registers, variables: click", "show what they point to"},
    {"console, events: click", "go to that instant"},
    {"tab: drag", "move a panel; right click for more"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

struct PaletteRow {
  std::string title, line;
  std::string_view takes = {}, keys = {};
};

/// What somebody may mean who typed that, while those panels are open.
std::vector<PaletteRow> matching(const std::string& typed, const std::vector<std::string>& panels) {
  const std::string wanted = lower(typed.substr(0, typed.find_last_not_of(' ') + 1));
  const auto [first, rest] = split(wanted);
  std::vector<PaletteRow> rows;
  const bool with_arguments = find_action(first) != nullptr && !rest.empty();
  const bool of_panel = first == "open" || first == "close";
  if (with_arguments && !of_panel) rows.push_back({typed, typed});
  const auto has = [](std::string_view title, const std::string& part) {
    return lower(title).find(part) != std::string::npos;
  };
  for (const Action& action : actions())
    if (!(with_arguments && of_panel) && (has(action.title, wanted) || has(action.name, first)))
      rows.push_back({std::string(action.title), std::string(action.name), action.takes, action.keys});
  for (const PanelName& panel : panel_names()) {
    const std::string open = fmt::format("Open {}", panel.title),
                      close = fmt::format("Close {}", panel.title);
    const bool named = has(panel.title, rest) || has(panel.name, rest);
    if (with_arguments ? first == "open" && named : has(open, wanted) || has(panel.name, first))
      rows.push_back({open, fmt::format("open {}", panel.name)});
    // Nobody closes by chance: the word itself is asked for.
    if (first == "close" && named && std::ranges::find(panels, panel.name) != panels.end())
      rows.push_back({close, fmt::format("close {}", panel.name)});
  }
  // What is called as it was typed comes first.
  std::ranges::stable_sort(rows, {}, [&](const PaletteRow& row) {
    if (row.line == wanted) return 0;
    return row.line.starts_with(first) ? 1 : lower(row.title).starts_with(wanted) ? 2 : 3;
  });
  return rows;
}

}  // namespace

void App::draw_toolbar(const Panes& panes) {
  const float width = ImGui::GetIO().DisplaySize.x, u = panes.scale, height = 44 * u;
  ImGui::GetWindowDrawList()->AddRectFilled({0, 0}, {width, height}, panes.theme.panel);
  draw_transport(panes);
  // In a narrow window the theme's button goes first; it has a key.
  const bool narrow = width < 640 * u;
  const float right = (narrow ? 102 : 182) * u;
  draw_place(panes, width - right - 12 * u);
  ImGui::PushFont(panes.fonts.text);
  ImGui::SetCursorPos({width - right, std::floor((height - ImGui::GetFrameHeight()) / 2)});
  if (framed_button(panes, "Actions", 84 * u)) perform("palette");
  if (ImGui::IsItemHovered()) tip(panes, "Find an action (Ctrl+P); F1 shows the keys");
  if (!narrow) {
    ImGui::SameLine();
    if (framed_button(panes, theme_->dark ? "Light" : "Dark", 72 * u)) perform("toggle-theme");
    if (ImGui::IsItemHovered()) tip(panes, "Switch between light and dark (Ctrl+T)");
  }
  ImGui::PopFont();
}

void App::draw_transport(const Panes& panes) {
  const float u = panes.scale;
  float x = 10 * u;
  for (const Action& action : actions().first(8)) {
    // The table begins with begin and end; on the bar end comes last.
    static constexpr std::string_view kOrder[] = {"begin", "reverse-continue", "previous-event", "back",
                                                  "step",  "next-event",       "continue",       "end"};
    const auto place = static_cast<std::size_t>(&action - actions().data());
    const Action& shown = *find_action(kOrder[place]);
    ImGui::SetCursorPos({x, 7 * u});
    const std::string name(shown.name);
    if (ImGui::InvisibleButton(name.c_str(), {34 * u, 30 * u})) perform(name);
    name_place(panes, name);
    const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
    ImDrawList* list = ImGui::GetWindowDrawList();
    if (ImGui::IsItemHovered()) {
      list->AddRectFilled(low, high, panes.theme.raised, 4 * u);
      tip(panes, fmt::format("{} ({})", shown.title, shown.keys));
    }
    draw_sign(list, shown.name, {(low.x + high.x) / 2, (low.y + high.y) / 2}, u,
              place < 4 ? panes.theme.accent : panes.theme.text);
    x += (place == 3 ? 44 : 36) * u;
  }
}

/// Up to `right`.
void App::draw_place(const Panes& panes, float right) {
  const float u = panes.scale;
  ImDrawList* list = ImGui::GetWindowDrawList();
  const std::uint64_t first = model_->first.icount.value, last = model_->last.icount.value;
  const double share = last > first ? static_cast<double>(model_->now.icount.value - first) /
                                          static_cast<double>(last - first) * 100
                                    : 0;
  ImGui::PushFont(panes.fonts.mono);
  const float left = 330 * u, height = 44 * u, field = std::clamp(right - left, 80 * u, 190 * u);
  ImGui::SetCursorPos({left, std::floor((height - ImGui::GetFrameHeight()) / 2)});
  ImGui::SetNextItemWidth(field);
  const std::string hint = text_of(model_->now);
  ImGui::PushStyleColor(ImGuiCol_TextDisabled, panes.theme.text);
  if (ImGui::InputTextWithHint("##seek", hint.c_str(), seek_text_, sizeof seek_text_,
                               ImGuiInputTextFlags_EnterReturnsTrue)) {
    perform(std::string("seek ") + seek_text_);
    *seek_text_ = 0;
  }
  ImGui::PopStyleColor();
  name_place(panes, "position");
  if (ImGui::IsItemHovered() && !ImGui::IsItemActive()) {
    tip(panes,
        "Where the machine stands, in instructions since power-on.\n"
        "Type where to go: 123456, 37%, begin, end, mark:NAME, event:N (Ctrl+G)");
  }
  float x = left + field + 16 * u;
  const float y = std::floor((height - ImGui::GetFontSize()) / 2);
  const auto put = [&](ImU32 colour, const std::string& text) {
    list->AddText({x, y}, colour, text.c_str());
    x += ImGui::CalcTextSize(text.c_str()).x + 18 * u;
  };
  list->PushClipRect({x, 0}, {std::max(x, right), height}, true);
  put(panes.theme.faint, fmt::format("of {}  {:5.1f} %", grouped(last), share));
  put(panes.theme.text, text_of(model_->time));
  put(panes.theme.accent, model_->where);
  list->PopClipRect();
  ImGui::PopFont();
}

void App::draw_status(const Panes& panes, float height) {
  const ImVec2 display = ImGui::GetIO().DisplaySize;
  const float u = panes.scale, y = display.y - height;
  ImDrawList* list = ImGui::GetWindowDrawList();
  list->AddRectFilled({0, y}, {display.x, display.y}, panes.theme.panel);
  list->AddLine({0, y}, {display.x, y}, panes.theme.border);
  ImGui::PushFont(panes.fonts.text);
  const float text_y = y + std::floor((height - ImGui::GetFontSize()) / 2);
  float x = 12 * u;
  const auto said = [&](const std::string& what) {
    list->AddText({x, text_y}, panes.theme.accent, what.c_str());
    x += ImGui::CalcTextSize(what.c_str()).x + 12 * u;
  };
  const auto under_way = [&](const std::string& what, double share) {
    said(fmt::format("{} …  (Esc cancels)", what));
    const float bar = 160 * u, middle = y + height / 2,
                done = static_cast<float>(std::clamp(share, 0.02, 1.0));
    list->AddRectFilled({x, middle - 3 * u}, {x + bar, middle + 3 * u}, panes.theme.raised, 3 * u);
    list->AddRectFilled({x, middle - 3 * u}, {x + bar * done, middle + 3 * u}, panes.theme.accent, 3 * u);
    x += bar + 20 * u;
  };
  // What is done at once would only flicker.
  const bool slow = status_.busy && status_.seconds > 0.15;
  // Nobody knows how far a machine is that makes its history.
  const bool runs = live_ && status_.doing == "continue" && model_->now == model_->last;
  if (slow && runs)
    said("the machine runs …  (Esc stops it)");
  else if (slow)
    under_way(status_.waiting == 0 ? status_.doing
                                   : fmt::format("{}, then {} more", status_.doing, status_.waiting),
              status_.progress);
  if (!status_.asking.empty()) under_way(status_.asking, status_.asked);
  std::string right = title_;
  if (status_.gathered < 1 && !status_.settled)
    right = fmt::format("gathering activity: {:.0f} %    {}", status_.gathered * 100, title_);
  const float width = ImGui::CalcTextSize(right.c_str()).x;
  list->AddText({display.x - width - 12 * u, text_y}, panes.theme.faint, right.c_str());
  if (!slow) draw_message(panes, {x, y}, {display.x - width - 28 * u, display.y});
  ImGui::PopFont();
}

std::string App::idle_hint() const {
  return fmt::format("{}Ctrl+P finds every action, F1 shows the keys",
                     live_ && model_->now == model_->last ? "F5 lets the machine run, Esc stops it; " : "");
}

/// What the last action led to, or what can be done.
void App::draw_message(const Panes& panes, ImVec2 low, ImVec2 high) {
  const bool failed = !trouble_.empty() || model_->failed;
  std::string words = !trouble_.empty() ? trouble_ : model_->message;
  const bool idle = words.empty() && status_.asking.empty();
  if (idle) words = idle_hint();
  const float text_y = low.y + std::floor((high.y - low.y - ImGui::GetFontSize()) / 2);
  ImDrawList* list = ImGui::GetWindowDrawList();
  list->PushClipRect(low, {std::max(low.x, high.x), high.y}, true);
  list->AddText({low.x, text_y},
                failed ? panes.theme.bad
                : idle ? panes.theme.faint
                       : panes.theme.text,
                words.c_str());
  list->PopClipRect();
  if (ImGui::CalcTextSize(words.c_str()).x > high.x - low.x && ImGui::IsMouseHoveringRect(low, high))
    tip(panes, words);
}

void App::draw_palette(const Panes& panes) {
  if (!palette_open_) return;
  if (palette_settles_ > 0) --palette_settles_;
  const ImVec2 display = ImGui::GetIO().DisplaySize;
  const float width = std::min(620 * panes.scale, display.x - 40);
  ImGui::SetNextWindowPos({(display.x - width) / 2, 90 * panes.scale});
  ImGui::SetNextWindowSize({width, 0});
  ImGui::PushFont(panes.fonts.text);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 8 * panes.scale);
  ImGui::PushStyleColor(ImGuiCol_WindowBg, panes.theme.panel);
  if (palette_appears_) ImGui::SetNextWindowFocus();
  // Arrows choose a row while one types: they must not lead ImGui's own focus away.
  ImGui::Begin("palette", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoMove |
                   ImGuiWindowFlags_NoNav | ImGuiWindowFlags_AlwaysAutoResize);
  if (palette_appears_) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(-1);
  // Focus selects all text; here it is the beginning of what will be typed.
  const auto to_end = [](ImGuiInputTextCallbackData* data) {
    auto* app = static_cast<App*>(data->UserData);
    if (app->palette_fresh_ > 0) {
      --app->palette_fresh_;
      data->CursorPos = data->SelectionStart = data->SelectionEnd = data->BufTextLen;
    }
    return 0;
  };
  const bool enter = ImGui::InputTextWithHint(
      "##action", "what to do, such as: seek 37%", palette_text_, sizeof palette_text_,
      ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_CallbackAlways, to_end, this);
  palette_rows(panes, enter);
  const bool left = !palette_appears_ && !ImGui::IsWindowFocused(ImGuiFocusedFlags_ChildWindows);
  palette_appears_ = false;
  ImGui::End();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar(2);
  ImGui::PopFont();
  if (left && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) palette_open_ = false;
}

void App::palette_rows(const Panes& panes, bool enter) {
  const std::vector<PaletteRow> rows = matching(palette_text_, layout_.panels());
  if (rows.empty()) say(panes, "no action has that in its name");
  if (ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_DownArrow))) ++palette_row_;
  if (ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_UpArrow)) && palette_row_ > 0) --palette_row_;
  // As many as have room, the chosen one among them.
  constexpr int kShown = 14;
  const int all = static_cast<int>(rows.size());
  palette_row_ = std::clamp(palette_row_, 0, std::max(0, all - 1));
  const int top = std::max(0, palette_row_ - kShown + 1);
  for (int i = top; i < std::min(all, top + kShown); ++i) {
    const PaletteRow& row = rows[static_cast<std::size_t>(i)];
    ImGui::PushID(i);
    const bool chosen =
        ImGui::Selectable(row.title.c_str(), i == palette_row_) || (enter && i == palette_row_);
    ImGui::SameLine(ImGui::GetWindowWidth() * 0.52F);
    coloured(panes.theme.faint, std::string(row.takes));
    ImGui::SameLine(ImGui::GetWindowWidth() - 110 * panes.scale);
    coloured(panes.theme.faint, std::string(row.keys));
    ImGui::PopID();
    if (!chosen) continue;
    palette_open_ = false;
    const bool needs_more = !row.takes.empty() && row.takes.front() != '[';
    perform(needs_more ? "palette " + row.line : row.line);
  }
  if (all > top + kShown) say(panes, fmt::format("{} more below", all - top - kShown).c_str());
}

void App::draw_help(const Panes& panes) {
  if (!help_open_) return;
  const ImVec2 display = ImGui::GetIO().DisplaySize;
  ImGui::PushFont(panes.fonts.text);
  ImGui::SetNextWindowPos({display.x / 2, display.y / 2}, 0, {0.5F, 0.5F});
  ImGui::SetNextWindowSizeConstraints({0, 0}, {display.x - 16, display.y - 16});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 8 * panes.scale);
  ImGui::PushStyleColor(ImGuiCol_WindowBg, panes.theme.panel);
  ImGui::Begin("keys", &help_open_,
               ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove |
                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_AlwaysAutoResize);
  const auto table = [&](const char* title, const auto& rows) {
    ImGui::PushFont(panes.fonts.strong);
    ImGui::TextUnformatted(title);
    ImGui::PopFont();
    if (!ImGui::BeginTable(title, 2, ImGuiTableFlags_SizingFixedFit)) return;
    rows([&](std::string_view keys, std::string_view what) {
      ImGui::TableNextColumn();
      coloured(panes.theme.accent, std::string(keys));
      ImGui::TableNextColumn();
      coloured(panes.theme.text, std::string(what));
    });
    ImGui::EndTable();
  };
  // Beside each other where there is room.
  const bool wide = display.x > 980 * panes.scale;
  ImGui::BeginGroup();
  table("Keys", [](const auto& row) {
    for (const Action& action : actions())
      if (!action.keys.empty()) row(action.keys, action.title);
  });
  ImGui::EndGroup();
  if (wide) ImGui::SameLine(0, 32 * panes.scale);
  ImGui::BeginGroup();
  table("Mouse", [](const auto& row) {
    for (const auto& [keys, what] : kMouse) row(keys, what);
  });
  ImGui::EndGroup();
  const bool left = !ImGui::IsWindowAppearing() && !ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows);
  if (left && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) help_open_ = false;
  ImGui::End();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar(2);
  ImGui::PopFont();
}

}  // namespace hindsight::debugger::ui
