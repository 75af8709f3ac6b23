// What a panel is given to draw itself with. A panel reads the model, keeps what the user did to the panel
// (scrolling, filters), and asks for everything else by performing actions. The window's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "debugger/ui/theme.h"
#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

/// A stretch of the timeline as the window shows or selects it.
struct Span {
  std::uint64_t from = 0, to = 0;
  [[nodiscard]] bool empty() const { return to <= from; }
  friend bool operator==(const Span&, const Span&) = default;
};

/// Where something was drawn that has a name: "tab code", "step", "timeline ruler".
struct Place {
  std::string name;
  ImVec2 low, high;
};

/// What panels share, and scripts can set or print.
struct Shared {
  std::vector<Place> places;  ///< of this frame
  Span view;                  ///< what the timeline shows
  Span selection;             ///< of the timeline
  std::size_t picked = 0;     ///< byte of the memory shown
  std::string filter;         ///< of the event list
};

struct Panes {
  const ViewModel& model;
  const WorkerStatus& status;
  const Theme& theme;
  const Fonts& fonts;
  Shared& shared;
  const std::function<void(const std::string&)>& perform;
  float scale = 1;
};

class Panel {
 public:
  virtual ~Panel() = default;
  /// Inside a child window of its own.
  virtual void draw(const Panes& panes) = 0;
};

[[nodiscard]] std::unique_ptr<Panel> make_timeline_panel();
[[nodiscard]] std::unique_ptr<Panel> make_code_panel();
[[nodiscard]] std::unique_ptr<Panel> make_source_panel();
[[nodiscard]] std::unique_ptr<Panel> make_variables_panel();
[[nodiscard]] std::unique_ptr<Panel> make_registers_panel();
[[nodiscard]] std::unique_ptr<Panel> make_system_panel();
[[nodiscard]] std::unique_ptr<Panel> make_memory_panel();
[[nodiscard]] std::unique_ptr<Panel> make_walk_panel();
[[nodiscard]] std::unique_ptr<Panel> make_stack_panel();
[[nodiscard]] std::unique_ptr<Panel> make_console_panel();
[[nodiscard]] std::unique_ptr<Panel> make_log_panel();
[[nodiscard]] std::unique_ptr<Panel> make_tasks_panel();
[[nodiscard]] std::unique_ptr<Panel> make_modules_panel();
[[nodiscard]] std::unique_ptr<Panel> make_devices_panel();
[[nodiscard]] std::unique_ptr<Panel> make_events_panel();
[[nodiscard]] std::unique_ptr<Panel> make_bookmarks_panel();
[[nodiscard]] std::unique_ptr<Panel> make_query_panel();
[[nodiscard]] std::unique_ptr<Panel> make_calls_panel();
[[nodiscard]] std::unique_ptr<Panel> make_diff_panel();

/// Lets scripts know where the last item is.
void name_place(const Panes& panes, std::string name);
/// A table as wide as its columns, in a panel that scrolls where it is narrow.
inline constexpr ImGuiTableFlags kWideTable = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit |
                                              ImGuiTableFlags_NoHostExtendX |
                                              ImGuiTableFlags_NoKeepColumnsVisible;
/// Words beside the mouse.
void tip(const Panes& panes, const std::string& text);
/// One line in the faint colour, for a panel that has nothing to show.
void say(const Panes& panes, const char* text);
/// A button that is seen to be one; ImGui's own have no ground here.
[[nodiscard]] bool framed_button(const Panes& panes, const char* title, float width = 0);
/// A small sign that takes something away.
[[nodiscard]] bool remove_button(const Panes& panes, const char* what);
/// A title that opens and shuts what is below it, with how many that is.
[[nodiscard]] bool section(const Panes& panes, const char* title, const std::string& count, bool open);
/// A position as columns of them show it: its count ends where that of the last instant does.
[[nodiscard]] std::string aligned(const Panes& panes, Position at);
/// The title of such a column, at its right.
[[nodiscard]] std::string position_title(const Panes& panes);
/// ImGui's combo box, whose arrow is on the same ground as the text.
[[nodiscard]] bool begin_combo(const Panes& panes, const char* name, const char* shown);
/// Text in a colour, in the font in use.
void coloured(ImU32 colour, const std::string& text);

}  // namespace hindsight::debugger::ui
