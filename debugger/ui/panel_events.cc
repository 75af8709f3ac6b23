#include <algorithm>

#include "debugger/ui/happening_words.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

using Kind = session::Happening::Kind;

/// What came in, what struck and what devices were told, in the timeline's selection or view.
class EventsPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    controls(panes);
    collect(panes);
    if (rows_.empty())
      return say(panes, "nothing of that kind in this stretch: tick more above, or zoom the timeline out");
    ImGui::PushFont(panes.fonts.mono);
    constexpr ImGuiTableFlags kFlags = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit |
                                       ImGuiTableFlags_ScrollX | ImGuiTableFlags_ScrollY;
    if (ImGui::BeginTable("events", 3, kFlags)) {
      ImGui::TableSetupColumn(position_title(panes).c_str());
      for (const char* title : {"kind", "what"}) ImGui::TableSetupColumn(title);
      ImGui::TableSetupScrollFreeze(0, 1);
      ImGui::TableHeadersRow();
      ImGuiListClipper clipper;
      clipper.Begin(static_cast<int>(rows_.size()));
      while (clipper.Step())
        for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i)
          draw_row(panes, rows_[static_cast<std::size_t>(i)], i);
      ImGui::EndTable();
    }
    ImGui::PopFont();
  }

 private:
  static constexpr std::size_t kMost = 20'000;

  struct Row {
    Position at;
    const char* kind;
    ImU32 colour;
    std::string text;
  };

  void controls(const Panes& panes) {
    char text[96];
    std::snprintf(text, sizeof text, "%s", panes.shared.filter.c_str());
    ImGui::SetNextItemWidth(130 * panes.scale);
    if (ImGui::InputTextWithHint("##filter", "filter", text, sizeof text)) panes.shared.filter = text;
    const auto box = [&](const char* name, bool& value) {
      ImGui::SameLine();
      const float width = ImGui::GetFrameHeight() + 6 * panes.scale + ImGui::CalcTextSize(name).x;
      if (ImGui::GetContentRegionAvail().x < width) ImGui::NewLine();
      ImGui::Checkbox(name, &value);
    };
    box("inputs", inputs_);
    box("interrupts", interrupts_);
    box("exceptions", exceptions_);
    box("kernel", kernel_);
    if (ImGui::IsItemHovered())
      tip(panes, "system calls and switches between tasks, where the kernel's symbols are known");
    box("devices", devices_);
    const Span span = stretch(panes);
    coloured(panes.theme.faint,
             fmt::format(
                 "{} in {} .. {}{}", panes.shared.selection.empty() ? "shown on the timeline:" : "selected:",
                 grouped(span.from), grouped(span.to), rows_.size() >= kMost ? ", the first 20,000" : ""));
  }

  static Span stretch(const Panes& panes) {
    return panes.shared.selection.empty() ? panes.shared.view : panes.shared.selection;
  }

  void collect(const Panes& panes) {
    const Span span = stretch(panes);
    const std::string key = fmt::format(
        "{} {} {} {} {} {} {} {} {} {}", span.from, span.to, panes.shared.filter, inputs_, interrupts_,
        exceptions_, kernel_, devices_, panes.theme.dark, panes.model.activity->gathered_to().icount.value);
    if (key == key_) return;
    key_ = key;
    rows_.clear();
    if (inputs_ && panes.model.events)
      for (const session::EventInfo& event : *panes.model.events) {
        const std::uint64_t at = event.at.icount.value;
        if (at < span.from || at > span.to || rows_.size() >= kMost) continue;
        add(panes, {event.at, event.kind == "input" ? "input" : "sample",
                    event.kind == "input" ? panes.theme.input : panes.theme.sample, event_words(event)});
      }
    if (interrupts_ || exceptions_ || kernel_ || devices_)
      for (const auto& item : panes.model.activity->items(span.from, span.to, 400'000)) {
        if (rows_.size() >= kMost) break;
        happening(panes, item);
      }
    std::ranges::stable_sort(rows_, {}, &Row::at);
  }

  void happening(const Panes& panes, const ActivityIndex::Item& item) {
    const session::Happening& what = *item.what;
    const bool write = what.kind == Kind::device_write;
    if (what.kind == Kind::exception && exceptions_)
      add(panes, {what.at, "exception", panes.theme.exceptions, words(item)});
    if (what.kind == Kind::interrupt && interrupts_)
      add(panes, {what.at, "interrupt", panes.theme.interrupts, words(item)});
    if (what.kind == Kind::system_call && kernel_)
      add(panes, {what.at, "system call", panes.theme.system_calls, words(item)});
    if (what.kind == Kind::context_switch && kernel_)
      add(panes, {what.at, "switch", panes.theme.context_switches, words(item)});
    if ((write || what.kind == Kind::device_read) && devices_)
      add(panes, {what.at, write ? "write" : "read", panes.theme.device, words(item)});
  }

  void add(const Panes& panes, Row row) {
    const std::string& filter = panes.shared.filter;
    if (filter.empty() || row.text.find(filter) != std::string::npos ||
        std::string_view(row.kind).find(filter) != std::string_view::npos)
      rows_.push_back(std::move(row));
  }

  static std::string event_words(const session::EventInfo& event) {
    std::string text = fmt::format("{}, {} bytes", event.channel, event.size);
    if (event.head.empty()) return text;
    text += ": ";
    for (const char byte : event.head)
      text += byte >= 0x20 && byte < 0x7F ? std::string(1, byte)
              : byte == '\n'              ? std::string("\\n")
                                          : fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    return text;
  }

  static void draw_row(const Panes& panes, const Row& row, int index) {
    ImGui::TableNextColumn();
    ImGui::PushID(index);
    const bool here = row.at == panes.model.now;
    if (ImGui::Selectable(aligned(panes, row.at).c_str(), here, ImGuiSelectableFlags_SpanAllColumns))
      panes.perform(fmt::format("seek {}{}", row.at.icount.value,
                                row.at.delivery == 0 ? "" : fmt::format("+{}", row.at.delivery)));
    ImGui::PopID();
    ImGui::TableNextColumn();
    coloured(row.colour, row.kind);
    ImGui::TableNextColumn();
    coloured(panes.theme.text, row.text);
  }

  bool inputs_ = true, interrupts_ = true, exceptions_ = true, kernel_ = true, devices_ = false;
  std::string key_;
  std::vector<Row> rows_;
};

}  // namespace

std::unique_ptr<Panel> make_events_panel() { return std::make_unique<EventsPanel>(); }

}  // namespace hindsight::debugger::ui
