#include "debugger/ui/actions.h"

#include <algorithm>

namespace hindsight::debugger::ui {
namespace {

constexpr Action kActions[] = {
    {"begin", "", "Go to power-on", "Ctrl+Home", false},
    {"end", "", "Go to the end of history", "Ctrl+End", false},
    {"reverse-continue", "", "Run back to the last hit", "Shift+F5", false},
    {"previous-event", "", "Back to the event before", "Shift+F8", false},
    {"back", "[COUNT]", "Step back", "Shift+F10", false},
    {"step", "[COUNT]", "Step", "F10", false},
    {"next-event", "", "On to the next event", "F8", false},
    {"continue", "", "Run on to the next hit", "F5", false},
    {"back-line", "", "Back to where the last line began", "Shift+F11", false},
    {"step-line", "", "On to the next line", "F11", false},
    {"seek", "POSITION", "Go to a position", "Ctrl+G", false},
    {"break", "ADDRESS|FILE:LINE", "Set or clear a breakpoint", "F9", false},
    {"watch", "ADDRESS [BYTES]", "Set or clear a watchpoint", "", false},
    {"delete", "ID", "Remove a breakpoint or watchpoint", "", false},
    {"last-write", "ADDRESS [BYTES]", "Go to the last write of a byte", "Ctrl+W", false},
    {"frame", "NUMBER", "Show a caller's source and variables", "", false},
    {"next-write", "ADDRESS [BYTES]", "Go on to the next write of a byte", "Ctrl+Shift+W", false},
    {"query", "QUESTION SUBJECT [A..B]", "Search history: last-write, writes, changes, calls, events",
     "Ctrl+F", false},
    {"profile", "[A..B]", "Count what ran, and who called it", "", false},
    {"diff", "POSITION [POSITION]", "Compare with another instant", "Ctrl+D", false},
    {"diff-trace", "FILE", "Compare with another trace", "", false},
    {"code", "ADDRESS|pc", "Show code", "", false},
    {"memory", "ADDRESS", "Show memory", "Ctrl+M", false},
    {"walk", "ADDRESS", "Walk the page tables", "", false},
    {"mark", "NAME [NOTE]", "Mark this instant", "Ctrl+B", false},
    {"unmark", "NAME", "Remove a mark", "", false},
    {"snapshot", "", "Keep a snapshot in the trace", "", false},
    {"cancel", "", "Cancel what is under way", "Escape", true},
    {"open", "PANEL", "Bring a panel to the front", "", true},
    {"close", "PANEL", "Close a panel", "", true},
    {"zoom", "A..B|selection|all|in|out", "Zoom the timeline", "", true},
    {"select", "A..B|none", "Select a range of the timeline", "", true},
    {"pick", "OFFSET", "Pick a byte of the memory shown", "", true},
    {"filter", "[TEXT]", "Filter the event list", "", true},
    {"theme", "dark|light", "Change the theme", "", true},
    {"toggle-theme", "", "Switch between light and dark", "Ctrl+T", true},
    {"layout", "standard|TEXT", "Set the layout", "", true},
    {"palette", "[TEXT]", "Find an action", "Ctrl+P", true},
    {"help", "", "Show the keys", "F1", true},
    {"quit", "", "Quit", "Ctrl+Q", true},
};

constexpr PanelName kPanels[] = {
    {"timeline", "Timeline"},   {"code", "Disassembly"}, {"source", "Source"},   {"variables", "Variables"},
    {"registers", "Registers"}, {"system", "System"},    {"memory", "Memory"},   {"walk", "Page tables"},
    {"stack", "Call stack"},    {"console", "Console"},  {"log", "Kernel log"},  {"tasks", "Tasks"},
    {"modules", "Modules"},     {"devices", "Devices"},  {"events", "Events"},   {"bookmarks", "Marks"},
    {"query", "Query"},         {"calls", "Call tree"},  {"diff", "Difference"},
};

}  // namespace

std::span<const Action> actions() { return kActions; }

const Action* find_action(std::string_view name) {
  const auto* found = std::ranges::find(kActions, name, &Action::name);
  return found == std::end(kActions) ? nullptr : found;
}

std::span<const PanelName> panel_names() { return kPanels; }

std::string_view title_of(std::string_view panel) {
  const auto* found = std::ranges::find(kPanels, panel, &PanelName::name);
  return found == std::end(kPanels) ? panel : found->title;
}

}  // namespace hindsight::debugger::ui
