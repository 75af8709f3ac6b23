#include <algorithm>
#include <cstring>

#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

constexpr std::size_t kRow = 16;

template <class T>
T as(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

class MemoryPanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    address_field(panes);
    if (!panes.model.memory) return say(panes, "nothing is mapped there");
    const MemoryModel& memory = *panes.model.memory;
    ImGui::PushFont(panes.fonts.mono);
    const float line = ImGui::GetTextLineHeightWithSpacing();
    const bool low = ImGui::GetContentRegionAvail().y < 6 * line;  // the bytes themselves come first
    const float typed = low ? 0 : line * 2 + 12 * panes.scale;
    ImGui::BeginChild("bytes", {0, -typed}, false, ImGuiWindowFlags_HorizontalScrollbar);
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(memory.bytes.size() / kRow), ImGui::GetTextLineHeightWithSpacing());
    while (clipper.Step())
      for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row)
        draw_row(panes, memory, static_cast<std::size_t>(row) * kRow);
    ImGui::EndChild();
    if (!low) draw_typed(panes, memory);
    ImGui::PopFont();
  }

 private:
  void address_field(const Panes& panes) {
    ImGui::SetNextItemWidth(220 * panes.scale);
    if (ImGui::InputTextWithHint("##address", "address, register or symbol", field_, sizeof field_,
                                 ImGuiInputTextFlags_EnterReturnsTrue))
      panes.perform(std::string("memory ") + field_);
    name_place(panes, "memory address");
    if (ImGui::IsItemHovered() && !ImGui::IsItemActive())
      tip(panes, "What to show: ffff8000…, rsp+8, jiffies (Ctrl+M)");
    // Where no symbol is known the rows say as much.
    if (!panes.model.memory || panes.model.memory->where.starts_with("0x")) return;
    ImGui::SameLine();
    ImGui::PushFont(panes.fonts.mono);
    coloured(panes.theme.faint, panes.model.memory->where);
    ImGui::PopFont();
  }

  void draw_row(const Panes& panes, const MemoryModel& memory, std::size_t begin) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float advance = ImGui::CalcTextSize("0").x, height = ImGui::GetTextLineHeight();
    list->AddText(at, panes.theme.faint, fmt::format("{:016x}", memory.base.value + begin).c_str());
    const float x0 = at.x + 18 * advance, text0 = x0 + (kRow * 3 + 2) * advance;
    for (std::size_t i = 0; i < kRow; ++i) {
      const std::size_t index = begin + i;
      const float x = x0 + (static_cast<float>(i) * 3 + (i >= 8 ? 1 : 0)) * advance;
      const float text_x = text0 + static_cast<float>(i) * advance;
      const bool readable = (memory.state[index] & MemoryModel::kReadable) != 0;
      const bool changed = (memory.state[index] & MemoryModel::kChanged) != 0;
      const std::uint8_t byte = memory.bytes[index];
      if (index == panes.shared.picked) {
        list->AddRectFilled({x - 2, at.y - 1}, {x + 2 * advance + 2, at.y + height + 1},
                            panes.theme.selection, 2);
        list->AddRectFilled({text_x, at.y - 1}, {text_x + advance, at.y + height + 1}, panes.theme.selection);
      }
      const ImU32 colour = changed                  ? panes.theme.changed
                           : !readable || byte == 0 ? panes.theme.dim
                                                    : panes.theme.text;
      list->AddText({x, at.y}, colour, readable ? fmt::format("{:02x}", byte).c_str() : "--");
      const char shown[2] = {byte >= 0x20 && byte < 0x7F ? static_cast<char>(byte) : '.', 0};
      if (readable) list->AddText({text_x, at.y}, shown[0] == '.' ? panes.theme.dim : colour, shown);
    }
    ImGui::PushID(static_cast<int>(begin));
    ImGui::InvisibleButton("row", {text0 + kRow * advance - at.x, height});
    if (ImGui::IsItemHovered()) pick(panes, ImGui::GetIO().MousePos.x, x0, text0, advance, begin);
    menu(panes, memory);
    ImGui::PopID();
  }

  void pick(const Panes& panes, float mouse, float x0, float text0, float advance, std::size_t begin) {
    if (mouse < x0) return;
    float column = (mouse - x0) / (3 * advance);
    if (mouse >= x0 + 24 * advance) column = (mouse - x0 - advance) / (3 * advance);
    if (mouse >= text0) column = (mouse - text0) / advance;
    const auto byte = std::min<std::size_t>(kRow - 1, static_cast<std::size_t>(std::max(0.0F, column)));
    if (ImGui::IsMouseClicked(ImGuiMouseButton_Left) || ImGui::IsMouseClicked(ImGuiMouseButton_Right))
      panes.shared.picked = begin + byte;
  }

  void menu(const Panes& panes, const MemoryModel& memory) {
    if (!ImGui::BeginPopupContextItem("menu")) return;
    ImGui::PushFont(panes.fonts.text);
    const std::uint64_t address = memory.base.value + panes.shared.picked;
    if (ImGui::MenuItem("Who wrote this last?", "Ctrl+W"))
      panes.perform(fmt::format("last-write 0x{:x}", address));
    if (ImGui::MenuItem("Who writes it next?", "Ctrl+Shift+W"))
      panes.perform(fmt::format("next-write 0x{:x}", address));
    if (ImGui::MenuItem("List every write")) panes.perform(fmt::format("query writes 0x{:x}/1", address));
    if (ImGui::MenuItem("Stop when it changes")) panes.perform(fmt::format("watch 0x{:x} 8", address));
    if (ImGui::MenuItem("Walk its page tables")) {
      panes.perform(fmt::format("walk 0x{:x}", address));
      panes.perform("open walk");
    }
    if (panes.shared.picked + 8 <= memory.bytes.size() && ImGui::MenuItem("Follow as a pointer"))
      panes.perform(fmt::format("memory 0x{:x}", as<std::uint64_t>(&memory.bytes[panes.shared.picked])));
    ImGui::PopFont();
    ImGui::EndPopup();
  }

  /// The picked byte and those after it as numbers.
  void draw_typed(const Panes& panes, const MemoryModel& memory) const {
    ImGui::PushStyleColor(ImGuiCol_Separator, panes.theme.border);
    ImGui::Separator();
    ImGui::PopStyleColor();
    const std::size_t at = panes.shared.picked;
    if (at + 8 > memory.bytes.size() || (memory.state[at] & MemoryModel::kReadable) == 0) return;
    const std::uint8_t* bytes = &memory.bytes[at];
    float room = ImGui::GetContentRegionMax().x;
    const auto pair = [&](const char* name, const std::string& value) {
      const float width = ImGui::CalcTextSize((name + value).c_str()).x + 4 * panes.scale;
      if (ImGui::GetCursorPosX() + width > room) return;
      coloured(panes.theme.faint, name);
      ImGui::SameLine(0, 4 * panes.scale);
      coloured(panes.theme.text, value);
      ImGui::SameLine(0, 12 * panes.scale);
    };
    pair("at", fmt::format("{:016x}", memory.base.value + at));
    pair("u8", fmt::format("{}", bytes[0]));
    pair("u16", fmt::format("{}", as<std::uint16_t>(bytes)));
    pair("u32", fmt::format("{}", as<std::uint32_t>(bytes)));
    ImGui::NewLine();
    room -= 2 * button_width(panes) + 18 * panes.scale;  // the buttons stand beside this line
    pair("hex", fmt::format("{:016x}", as<std::uint64_t>(bytes)));
    pair("i64", fmt::format("{}", as<std::int64_t>(bytes)));
    pair("f64", fmt::format("{:.6g}", as<double>(bytes)));
    ImGui::NewLine();
    writers(panes, memory);
  }

  static bool is_narrow(const Panes& panes) { return ImGui::GetContentRegionMax().x < 520 * panes.scale; }
  static float button_width(const Panes& panes) { return (is_narrow(panes) ? 54.0F : 104.0F) * panes.scale; }

  /// At the right of the numbers: where the picked byte was written before, and where it will be.
  static void writers(const Panes& panes, const MemoryModel& memory) {
    const std::uint64_t address = memory.base.value + panes.shared.picked;
    ImGui::PushFont(panes.fonts.text);
    const float width = button_width(panes);
    const bool narrow = is_narrow(panes);
    ImGui::SetCursorPos({ImGui::GetContentRegionMax().x - 2 * width - 6 * panes.scale,
                         ImGui::GetWindowHeight() - ImGui::GetFrameHeight() - 14 * panes.scale});
    if (framed_button(panes, narrow ? "Last" : "Last write", width))
      panes.perform(fmt::format("last-write 0x{:x}", address));
    if (ImGui::IsItemHovered()) tip(panes, "Go back to what wrote the picked byte (Ctrl+W)");
    ImGui::SameLine(0, 6 * panes.scale);
    if (framed_button(panes, narrow ? "Next" : "Next write", width))
      panes.perform(fmt::format("next-write 0x{:x}", address));
    if (ImGui::IsItemHovered()) tip(panes, "Go on to what writes it next (Ctrl+Shift+W)");
    ImGui::PopFont();
  }

  char field_[128] = "";
};

}  // namespace

std::unique_ptr<Panel> make_memory_panel() { return std::make_unique<MemoryPanel>(); }

}  // namespace hindsight::debugger::ui
