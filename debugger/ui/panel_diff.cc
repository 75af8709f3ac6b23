#include <algorithm>
#include <set>

#include "debugger/ui/model_text.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

constexpr std::string_view kCpu = "cpu0";
constexpr ImGuiTableFlags kTable = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit;

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    text += fmt::format("{}{:02x}", i != 0 && i % 8 == 0 ? " " : "", static_cast<unsigned>(bytes[i]));
  return text;
}

/// What differs between two instants, or where another trace goes its own way.
class DiffPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    controls(panes);
    if (panes.status.asking.starts_with("diff"))
      return say(panes, fmt::format("comparing: {:.0f} %", panes.status.asked * 100).c_str());
    if (!panes.model.diff)
      return say(panes,
                 "compares registers, devices, memory, console and events of another instant with this one, "
                 "or finds "
                 "where another trace parts from this one");
    ImGui::Spacing();
    ImGui::BeginChild("found");
    ImGui::PushFont(panes.fonts.mono);
    const DiffModel& diff = *panes.model.diff;
    if (diff.instants)
      instants(panes, *diff.instants);
    else if (diff.traces)
      traces(panes, *diff.traces);
    ImGui::PopFont();
    ImGui::EndChild();
  }

 private:
  void controls(const Panes& panes) {
    ImGui::SetNextItemWidth(150 * panes.scale);
    bool now = ImGui::InputTextWithHint("##position", "position or mark:NAME", position_, sizeof position_,
                                        ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::SameLine();
    now |= framed_button(panes, "Compare with now");
    if (now && *position_ != 0) panes.perform(std::string("diff ") + position_);
    ImGui::SameLine();
    if (framed_button(panes, "Marks …")) ImGui::OpenPopup("marks");
    if (ImGui::BeginPopup("marks")) {
      if (panes.model.marks->empty()) say(panes, "no marks in this trace yet");
      for (const session::MarkInfo& mark : *panes.model.marks)
        if (ImGui::MenuItem(mark.name.c_str(), text_of(mark.at).c_str()))
          panes.perform("diff mark:" + mark.name);
      ImGui::EndPopup();
    }
    // What is about another trace stands beside, or below where there is no room.
    ImGui::SameLine(0, 20 * panes.scale);
    if (ImGui::GetContentRegionAvail().x < 250 * panes.scale) ImGui::NewLine();
    ImGui::SetNextItemWidth(std::min(400 * panes.scale, ImGui::GetContentRegionAvail().x - 90 * panes.scale));
    bool other = ImGui::InputTextWithHint("##trace", "another trace's file", trace_, sizeof trace_,
                                          ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::SameLine();
    other |= framed_button(panes, "Compare");
    if (other && *trace_ != 0) panes.perform(std::string("diff-trace ") + trace_);
  }

  void instants(const Panes& panes, const session::InstantsDifference& diff) {
    place(panes, "a", diff.a, true);
    place(panes, "b", diff.b, true);
    ImGui::Spacing();
    state(panes, diff.state);
    console_between(panes, diff.a.at, diff.b.at);
    events_between(panes, diff.a.at, diff.b.at);
  }

  void traces(const Panes& panes, const session::TracesDifference& diff) {
    ImGui::PushFont(panes.fonts.text);
    ImGui::PushStyleColor(ImGuiCol_Text, diff.equal ? panes.theme.good : panes.theme.cursor);
    ImGui::TextWrapped("%s", diff.relation.c_str());
    ImGui::PopStyleColor();
    ImGui::PopFont();
    coloured(panes.theme.faint, fmt::format("a  this trace, ends {}", diff.end_a));
    coloured(panes.theme.faint, fmt::format("b  {}, ends {}", diff.path, diff.end_b));
    ImGui::Spacing();
    if (!diff.configuration.empty() && section(panes, "Machine", grouped(diff.configuration.size()), true))
      fields(panes, "configuration", diff.configuration, false);
    if (!diff.events.empty() && section(panes, "First event that differs", "", true)) events(panes, diff);
    if (diff.parted && section(panes, "Where they part", diff.parting ? "" : "at power-on", true)) {
      if (diff.parting) {
        place(panes, "both", *diff.parting, true);
        coloured(panes.theme.text, "      " + diff.instruction);
      }
      place(panes, "a", diff.next_a, true);
      place(panes, "b", diff.next_b, false);
    }
    if (diff.parted) state(panes, diff.state);
    if (!diff.consoles.empty() && section(panes, "Console", "", true)) consoles(panes, diff);
    if (!diff.later.empty() && section(panes, "Events from there on", "", false)) later(panes, diff);
  }

  /// `here`: of this trace, so that one can go there.
  static void place(const Panes& panes, const char* name, const session::Place& place, bool here) {
    coloured(panes.theme.faint, fmt::format("{:<4}", name));
    ImGui::SameLine();
    const std::string text = text_of(place.at);
    ImGui::PushID(name);
    ImGui::PushStyleColor(ImGuiCol_Text, here ? panes.theme.accent : panes.theme.text);
    if (ImGui::Selectable(text.c_str(), false, 0, ImGui::CalcTextSize(text.c_str())) && here)
      panes.perform("seek " + command_text(place.at));
    ImGui::PopStyleColor();
    ImGui::PopID();
    ImGui::SameLine();
    coloured(panes.theme.faint, text_of(place.time));
    ImGui::SameLine();
    coloured(panes.theme.text, place.where.empty() ? fmt::format("{:x}", place.pc.value) : place.where);
  }

  void state(const Panes& panes, const session::StateDifference& state) {
    if (section(panes, "Registers", grouped(state.registers.size()), true) && !state.registers.empty())
      fields(panes, "registers", state.registers, false);
    std::vector<session::FieldDifference> devices;
    std::set<std::string> parts;
    for (const session::FieldDifference& field : state.fields) {
      if (field.part == kCpu) continue;
      devices.push_back(field);
      parts.insert(field.part);
    }
    if (section(panes, "Devices", fmt::format("{} fields of {}", grouped(devices.size()), parts.size()),
                false) &&
        !devices.empty())
      fields(panes, "devices", devices, true);
    if (section(panes, "Memory",
                fmt::format("{} bytes on {} pages", grouped(state.bytes), grouped(state.pages)), true) &&
        state.bytes != 0)
      memory(panes, state);
  }

  /// Values that are long, such as runs of data, are cut; the tooltip has more of them.
  static void value(const Panes& panes, const std::string& text, ImU32 colour) {
    constexpr std::size_t kMost = 36;
    coloured(colour, text.size() > kMost ? text.substr(0, kMost) + "…" : text);
    if (text.size() > kMost && ImGui::IsItemHovered()) tip(panes, text.substr(0, 1000));
  }

  static void fields(const Panes& panes, const char* name, const std::vector<session::FieldDifference>& all,
                     bool with_part) {
    if (!ImGui::BeginTable(name, 3, kTable)) return;
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(all.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const session::FieldDifference& field = all[static_cast<std::size_t>(i)];
        ImGui::TableNextColumn();
        coloured(panes.theme.faint,
                 with_part ? fmt::format("{}.{}", field.part, field.path) : fmt::format("{:<9}", field.path));
        ImGui::TableNextColumn();
        value(panes, field.a, panes.theme.text);
        ImGui::TableNextColumn();
        value(panes, field.b, panes.theme.changed);
      }
    ImGui::EndTable();
  }

  static void memory(const Panes& panes, const session::StateDifference& state) {
    if (!ImGui::BeginTable("memory", 4, kTable)) return;
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(state.memory.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const session::BytesDifference& bytes = state.memory[static_cast<std::size_t>(i)];
        ImGui::TableNextColumn();
        ImGui::PushID(i);
        const std::string at = bytes.linear ? fmt::format("{:016x}", bytes.linear->value)
                                            : fmt::format("phys {:012x}", bytes.at.value);
        if (ImGui::Selectable(at.c_str(), false, ImGuiSelectableFlags_SpanAllColumns) && bytes.linear) {
          panes.perform(fmt::format("memory 0x{:x}", bytes.linear->value));
          panes.perform("open memory");
        }
        ImGui::PopID();
        ImGui::TableNextColumn();
        value(panes, bytes.name, panes.theme.accent);
        ImGui::TableNextColumn();
        coloured(panes.theme.text, hex(bytes.a));
        ImGui::TableNextColumn();
        coloured(panes.theme.changed, hex(bytes.b));
      }
    ImGui::EndTable();
  }

  /// What the console printed from `a` to `b`, as far as it is gathered.
  static void console_between(const Panes& panes, Position a, Position b) {
    const ConsoleText& console = *panes.model.console;
    const std::size_t from = console.shown_at(a.icount.value), to = console.shown_at(b.icount.value);
    if (!section(panes, "Console", fmt::format("{} characters", grouped(to - from)), true) || from == to)
      return;
    constexpr std::size_t kMost = 8000;
    const std::size_t shown = std::min(to - from, kMost);
    const std::string text = console.text().substr(to - shown, shown);
    if (shown < to - from) say(panes, "… the last 8,000 of them:");
    coloured(panes.theme.text, text);
  }

  static void events_between(const Panes& panes, Position a, Position b) {
    const ActivityIndex& activity = *panes.model.activity;
    std::uint64_t all = 0;
    std::vector<std::pair<std::size_t, std::uint32_t>> lanes;
    for (std::size_t lane = 0; lane < activity.lanes().size(); ++lane) {
      const auto counts = activity.density(lane, a.icount.value, b.icount.value, 1);
      if (counts.front() != 0) lanes.emplace_back(lane, counts.front());
      all += counts.front();
    }
    std::ranges::sort(lanes, [](const auto& x, const auto& y) { return x.second > y.second; });
    if (!section(panes, "Events", grouped(all), true) || lanes.empty()) return;
    if (!ImGui::BeginTable("between", 2, kTable)) return;
    for (const auto& [lane, count] : lanes) {
      const LaneInfo& info = activity.lanes()[lane];
      ImGui::TableNextColumn();
      coloured(panes.theme.lane(info.group), info.name);
      ImGui::TableNextColumn();
      coloured(panes.theme.text, fmt::format("{:>12}", grouped(count)));
    }
    ImGui::EndTable();
  }

  static void events(const Panes& panes, const session::TracesDifference& diff) {
    if (!ImGui::BeginTable("events", 3, kTable)) return;
    int id = 0;
    for (const session::TracesDifference::Event& event : diff.events) {
      ImGui::TableNextColumn();
      coloured(event.side == ' ' ? panes.theme.faint : panes.theme.changed,
               event.side == ' ' ? "both" : std::string(1, event.side));
      ImGui::TableNextColumn();
      ImGui::PushID(id++);
      if (ImGui::Selectable(text_of(event.at).c_str()) && event.side != 'b')
        panes.perform("seek " + command_text(event.at));
      ImGui::PopID();
      ImGui::TableNextColumn();
      coloured(event.side == ' ' ? panes.theme.faint : panes.theme.text, event.text);
    }
    ImGui::EndTable();
  }

  static void consoles(const Panes& panes, const session::TracesDifference& diff) {
    for (const session::TracesDifference::Console& console : diff.consoles) {
      coloured(panes.theme.faint, fmt::format("{}, from line {} on", console.channel, console.line));
      for (const std::string& line : console.text)
        coloured(line.starts_with('-')   ? panes.theme.bad
                 : line.starts_with('+') ? panes.theme.good
                                         : panes.theme.faint,
                 line);
    }
  }

  static void later(const Panes& panes, const session::TracesDifference& diff) {
    if (!ImGui::BeginTable("later", 5, kTable)) return;
    for (const char* title : {"", "      in a", "      in b", "other contents", " other instant"})
      ImGui::TableSetupColumn(title);
    ImGui::TableHeadersRow();
    for (const session::TracesDifference::Later& later : diff.later) {
      ImGui::TableNextColumn();
      coloured(panes.theme.text, later.what);
      for (const auto& [count, width] :
           {std::pair(later.a, 10), std::pair(later.b, 10), std::pair(later.other_contents, 14),
            std::pair(later.other_instant, 14)}) {
        ImGui::TableNextColumn();
        coloured(panes.theme.text, fmt::format("{:>{}}", grouped(count), width));
      }
    }
    ImGui::EndTable();
  }

  char position_[64] = "", trace_[512] = "";
};

}  // namespace

std::unique_ptr<Panel> make_diff_panel() { return std::make_unique<DiffPanel>(); }

}  // namespace hindsight::debugger::ui
