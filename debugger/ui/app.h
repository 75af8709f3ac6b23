// The window's contents: toolbar, panels as the layout divides them, status bar, palette. Draws from the
// worker's published models; performs actions by name, whoever asks. Needs an ImGui context, but no window of
// the system's: tests draw it without one. The window's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "debugger/ui/engine_worker.h"
#include "debugger/ui/layout.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {

class App final {
 public:
  /// `live`: the machine is being recorded.
  App(EngineWorker& worker, std::string title, bool live = false);

  /// Carries out a line such as "seek 37%" or "open console"; see actions.h.
  void perform(const std::string& line);
  /// One frame, over the whole display. `keys`: act on keyboard shortcuts.
  void draw(const Fonts& fonts, float scale);

  [[nodiscard]] bool wants_to_quit() const { return quit_; }
  /// What was just opened takes a few frames until it takes what is typed.
  [[nodiscard]] bool settling() const { return palette_open_ && palette_settles_ > 0; }
  [[nodiscard]] const Theme& theme() const { return *theme_; }
  [[nodiscard]] Layout& layout() { return layout_; }
  /// What the timeline shows.
  [[nodiscard]] const Span& view() const { return shared_.view; }
  /// What the last action of the window's own failed with; empty: it did not.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  /// What the status bar says when there is nothing else to say: what one can do.
  [[nodiscard]] std::string idle_hint() const;
  /// Where what can be clicked was drawn last.
  [[nodiscard]] const std::vector<Place>& places() const { return shared_.places; }
  /// The theme and the layout, as lines that perform() takes.
  [[nodiscard]] std::string state() const;

 private:
  void draw_toolbar(const Panes& panes);
  void draw_transport(const Panes& panes);
  void draw_place(const Panes& panes, float right);
  void draw_node(const Panes& panes, LayoutNode& node, ImVec2 at, ImVec2 size, int id);
  void draw_split(const Panes& panes, LayoutNode& node, ImVec2 at, ImVec2 size, int id);
  void draw_tabs(const Panes& panes, LayoutNode& leaf, ImVec2 at, ImVec2 size, int id);
  void draw_tab(const Panes& panes, const LayoutNode& leaf, std::size_t index, ImVec2 at, ImVec2 size);
  void tab_menu(const Panes& panes, const LayoutNode& leaf, const std::string& panel);
  void draw_panel(const Panes& panes, const std::string& name, ImVec2 at, ImVec2 size);
  void take_drop(const Panes& panes, const std::string& beside, std::optional<Layout::Side> side, ImVec2 low,
                 ImVec2 high);
  void rearrange();
  void draw_status(const Panes& panes, float height);
  void draw_message(const Panes& panes, ImVec2 low, ImVec2 high);
  void draw_palette(const Panes& panes);
  void draw_help(const Panes& panes);
  void palette_rows(const Panes& panes, bool enter);
  void handle_keys();
  bool window_action(const std::string& name, const std::string& rest);
  [[nodiscard]] std::string asked_range(const std::string& name, const std::string& rest) const;
  void press(const std::string& name);
  void set_layout(const std::string& text);
  void set_span(Span& span, const std::string& text);
  void zoom(const std::string& text);
  void tell_worker_what_is_shown();

  EngineWorker& worker_;
  const std::string title_;
  const bool live_;
  std::shared_ptr<const ViewModel> model_;
  WorkerStatus status_;
  const Theme* theme_;
  float styled_scale_ = 0;
  const Theme* styled_ = nullptr;
  Layout layout_ = Layout::standard();
  // What the mouse asked of the layout while that was being drawn.
  std::function<void()> rearrangement_;
  float grip_offset_ = 0;  ///< from the grip that is dragged to the mouse
  std::string rested_on_;  ///< the panel whose tab the mouse is on
  double rested_since_ = 0;
  Shared shared_;
  Span history_;  ///< all of it, in the last frame
  std::map<std::string, std::unique_ptr<Panel>, std::less<>> panels_;
  std::function<void(const std::string&)> perform_;
  std::string shown_;
  std::string trouble_;
  bool quit_ = false;

  bool palette_open_ = false, palette_appears_ = false, help_open_ = false;
  char palette_text_[160] = "";
  int palette_row_ = 0, palette_fresh_ = 0, palette_settles_ = 0;
  char seek_text_[64] = "";
};

}  // namespace hindsight::debugger::ui
