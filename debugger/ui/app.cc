#include "debugger/ui/app.h"

#include <SDL_scancode.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "debugger/ui/actions.h"
#include "debugger/ui/words.h"

namespace hindsight::debugger::ui {
namespace {

/// SDL's code of a key as actions.h spells it; 0: none.
int scancode(std::string_view key) {
  if (key.size() == 1 && key[0] >= 'A' && key[0] <= 'Z') return SDL_SCANCODE_A + (key[0] - 'A');
  if (key.size() >= 2 && key[0] == 'F') {
    int number = 0;
    std::from_chars(key.data() + 1, key.data() + key.size(), number);
    return SDL_SCANCODE_F1 + number - 1;
  }
  if (key == "Home") return SDL_SCANCODE_HOME;
  if (key == "End") return SDL_SCANCODE_END;
  if (key == "Escape") return SDL_SCANCODE_ESCAPE;
  return 0;
}

bool is_pressed(std::string_view keys) {
  const ImGuiIO& io = ImGui::GetIO();
  bool control = false, shift = false;
  for (std::size_t plus = 0; (plus = keys.find('+')) != std::string_view::npos;
       keys.remove_prefix(plus + 1)) {
    control |= keys.substr(0, plus) == "Ctrl";
    shift |= keys.substr(0, plus) == "Shift";
  }
  return io.KeyCtrl == control && io.KeyShift == shift && !io.KeyAlt && ImGui::IsKeyPressed(scancode(keys));
}

}  // namespace

App::App(EngineWorker& worker, std::string title, bool live)
    : worker_(worker), title_(std::move(title)), live_(live), model_(worker.model()), theme_(&dark_theme()) {
  panels_["timeline"] = make_timeline_panel();
  panels_["code"] = make_code_panel();
  panels_["source"] = make_source_panel();
  panels_["variables"] = make_variables_panel();
  panels_["registers"] = make_registers_panel();
  panels_["system"] = make_system_panel();
  panels_["memory"] = make_memory_panel();
  panels_["walk"] = make_walk_panel();
  panels_["stack"] = make_stack_panel();
  panels_["console"] = make_console_panel();
  panels_["log"] = make_log_panel();
  panels_["tasks"] = make_tasks_panel();
  panels_["modules"] = make_modules_panel();
  panels_["devices"] = make_devices_panel();
  panels_["events"] = make_events_panel();
  panels_["bookmarks"] = make_bookmarks_panel();
  panels_["query"] = make_query_panel();
  panels_["calls"] = make_calls_panel();
  panels_["diff"] = make_diff_panel();
  perform_ = [this](const std::string& line) { perform(line); };
  tell_worker_what_is_shown();
}

void App::perform(const std::string& line) {
  trouble_.clear();
  const auto [name, rest] = split(line);
  const Action* action = find_action(name);
  if (action == nullptr) {
    trouble_ = fmt::format("no such action: {}", name);
  } else if (action->here) {
    window_action(name, rest);
    tell_worker_what_is_shown();
  } else {
    if (name == "memory") shared_.picked = 0;
    if (name == "query" || name == "diff") layout_.add(name);
    if (name == "profile") layout_.add("calls");
    if (name == "diff-trace") layout_.add("diff");
    tell_worker_what_is_shown();
    worker_.post(line + asked_range(name, rest));
  }
}

/// Questions are about what is selected on the timeline, if they do not say.
std::string App::asked_range(const std::string& name, const std::string& rest) const {
  if ((name != "query" && name != "profile") || rest.find("..") != std::string::npos) return {};
  if (shared_.selection.empty()) return {};
  return fmt::format(" {}..{}", shared_.selection.from, shared_.selection.to);
}

bool App::window_action(const std::string& name, const std::string& rest) {
  if (name == "cancel") {
    // What is in front is meant first.
    if (!palette_open_ && !help_open_) worker_.cancel();
    palette_open_ = help_open_ = false;
  } else if (name == "quit") {
    quit_ = true;
  } else if (name == "open") {
    if (panels_.contains(rest))
      layout_.add(rest);
    else
      trouble_ = fmt::format("no such panel: {}", rest);
  } else if (name == "close") {
    if (!layout_.close(rest))
      trouble_ = panels_.contains(rest) ? fmt::format("{} is the only panel, or not open", rest)
                                        : fmt::format("no such panel: {}", rest);
  } else if (name == "theme") {
    if (rest != "dark" && rest != "light") trouble_ = "theme: dark or light was expected";
    theme_ = rest == "light" ? &light_theme() : &dark_theme();
  } else if (name == "toggle-theme") {
    theme_ = theme_->dark ? &light_theme() : &dark_theme();
  } else if (name == "layout") {
    set_layout(rest);
  } else if (name == "zoom") {
    zoom(rest);
  } else if (name == "select") {
    set_span(shared_.selection, rest);
  } else if (name == "pick") {
    shared_.picked = std::strtoull(rest.c_str(), nullptr, 0);
  } else if (name == "filter") {
    shared_.filter = rest;
  } else if (name == "palette") {
    palette_open_ = palette_appears_ = true;
    palette_row_ = 0;
    palette_fresh_ = 2;
    palette_settles_ = 4;
    std::snprintf(palette_text_, sizeof palette_text_, "%s%s", rest.c_str(), rest.empty() ? "" : " ");
  } else if (name == "help") {
    help_open_ = !help_open_;
  } else {
    return false;
  }
  return true;
}

void App::set_layout(const std::string& text) {
  auto parsed = text == "standard" ? Result<Layout>(Layout::standard()) : Layout::parse(text);
  if (!parsed) {
    trouble_ = parsed.failure().message;
    return;
  }
  std::set<std::string> seen;
  for (const std::string& panel : parsed->panels()) {
    if (!panels_.contains(panel))
      trouble_ = fmt::format("no such panel: {}", panel);
    else if (!seen.insert(panel).second)
      trouble_ = fmt::format("{} can be in one place only", panel);
  }
  if (trouble_.empty()) layout_ = std::move(*parsed);
}

void App::set_span(Span& span, const std::string& text) {
  if (text == "none" || text == "all") {
    span = {};
    return;
  }
  const auto dots = text.find("..");
  Span asked;
  const auto read = [&](std::string part, std::uint64_t& out) {
    std::erase_if(part, [](char c) { return c == '_' || c == ','; });
    const bool percent = !part.empty() && part.back() == '%';
    if (percent) part.pop_back();
    double share = 0;
    if (percent) {
      share = std::strtod(part.c_str(), nullptr) / 100;
      const auto all = static_cast<double>(model_->last.icount - model_->first.icount);
      out = model_->first.icount.value + static_cast<std::uint64_t>(share * all);
      return true;
    }
    const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), out);
    return failure == std::errc{} && end == part.data() + part.size();
  };
  if (dots == std::string::npos || !read(text.substr(0, dots), asked.from) ||
      !read(text.substr(dots + 2), asked.to) || asked.empty()) {
    trouble_ = fmt::format("A..B with A below B was expected, found \"{}\"", text);
    return;
  }
  span = asked;
}

void App::zoom(const std::string& text) {
  if (text == "selection") {
    if (shared_.selection.empty())
      trouble_ = "nothing is selected: drag in the timeline";
    else
      shared_.view = shared_.selection;
    return;
  }
  if (text != "in" && text != "out") return set_span(shared_.view, text);
  Span& view = shared_.view;
  if (view.empty()) view = {model_->first.icount.value, model_->last.icount.value};
  const std::uint64_t width = view.to - view.from, now = model_->now.icount.value;
  const std::uint64_t wanted = text == "in" ? std::max<std::uint64_t>(20, width / 2) : width * 2;
  const std::uint64_t from = now - std::min(now, wanted / 2);
  view = {from, from + wanted};
}

void App::tell_worker_what_is_shown() {
  std::string shown;
  for (const std::string& panel : layout_.visible()) shown += " " + panel;
  if (shown == shown_) return;
  shown_ = shown;
  worker_.post("show" + shown);
}

std::string App::state() const {
  return fmt::format("theme {}\nlayout {}\n", theme_->dark ? "dark" : "light", layout_.text());
}

/// A key was pressed for an action: those that need more open the palette.
void App::press(const std::string& name) {
  const Action* action = find_action(name);
  if (name == "break") return perform("break pc");
  if (name == "last-write" || name == "next-write") {
    if (model_->memory) perform(fmt::format("{} 0x{:x}", name, model_->memory->base.value + shared_.picked));
    return;
  }
  const bool needs_more = !action->takes.empty() && action->takes.front() != '[';
  perform(needs_more ? "palette " + name : name);
}

void App::handle_keys() {
  for (const Action& action : actions()) {
    if (action.keys.empty() || !is_pressed(action.keys)) continue;
    // While text is typed only keys that are no text count.
    const bool text =
        ImGui::GetIO().WantTextInput && (action.keys == "Ctrl+Home" || action.keys == "Ctrl+End");
    if (!text) press(std::string(action.name));
  }
}

void App::draw(const Fonts& fonts, float scale) {
  worker_.insist();
  model_ = worker_.model();
  status_ = worker_.status();
  if (styled_ != theme_ || styled_scale_ != scale) {
    apply(*theme_, scale);
    styled_ = theme_;
    styled_scale_ = scale;
  }
  // Where all is shown it stays all, while the machine is recorded.
  const std::uint64_t first = model_->first.icount.value, last = model_->last.icount.value;
  const Span history{first, std::max(last, first + 1)};
  if (shared_.view.empty() || shared_.view == history_) shared_.view = history;
  history_ = history;
  const Panes panes{*model_, status_, *theme_, fonts, shared_, perform_, scale};
  const ImVec2 display = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({0, 0});
  ImGui::SetNextWindowSize(display);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  constexpr ImGuiWindowFlags kFlags = ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                                      ImGuiWindowFlags_NoSavedSettings |
                                      ImGuiWindowFlags_NoBringToFrontOnFocus;
  ImGui::Begin("hindsight", nullptr, kFlags);
  ImGui::PopStyleVar();
  handle_keys();
  const float bar = 44 * scale, status = 26 * scale;
  shared_.places.clear();
  draw_toolbar(panes);
  draw_node(panes, layout_.root(), {0, bar}, {display.x, display.y - bar - status}, 1);
  rearrange();
  draw_status(panes, status);
  ImGui::End();
  draw_palette(panes);
  draw_help(panes);
}

}  // namespace hindsight::debugger::ui
