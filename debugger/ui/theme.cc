#include "debugger/ui/theme.h"

#include <cmath>
#include <filesystem>
#include <initializer_list>

namespace hindsight::debugger::ui {
namespace {

constexpr ImU32 rgb(std::uint32_t hex) {
  return IM_COL32(hex >> 16 & 0xFF, hex >> 8 & 0xFF, hex & 0xFF, 0xFF);
}

constexpr Theme kDark = {.dark = true,
                         .background = rgb(0x14161A),
                         .panel = rgb(0x1B1E24),
                         .raised = rgb(0x262A33),
                         .border = rgb(0x2E333D),
                         .text = rgb(0xDDE1E8),
                         .faint = rgb(0x8A93A3),
                         .dim = rgb(0x737C8C),
                         .accent = rgb(0x62A8EA),
                         .accent_soft = rgb(0x2B4058),
                         .cursor = rgb(0xFFB454),
                         .changed = rgb(0xFF9066),
                         .typed = rgb(0x8FD694),
                         .good = rgb(0x8FD694),
                         .bad = rgb(0xF27983),
                         .row = rgb(0x2A2F3A),
                         .selection = rgb(0x35557A),
                         .executed = rgb(0x62A8EA),
                         .upcoming = rgb(0x8FD694),
                         .exceptions = rgb(0xF27983),
                         .interrupts = rgb(0xE5C07B),
                         .system_calls = rgb(0x56C2B0),
                         .context_switches = rgb(0xE0A0D0),
                         .device = rgb(0x7FB7D9),
                         .output = rgb(0x8FD694),
                         .input = rgb(0xC99BE0),
                         .sample = rgb(0x9AA5B8)};

constexpr Theme kLight = {.dark = false,
                          .background = rgb(0xE9EBEF),
                          .panel = rgb(0xFBFBFC),
                          .raised = rgb(0xDFE3EA),
                          .border = rgb(0xCBD0D9),
                          .text = rgb(0x1D222B),
                          .faint = rgb(0x5E6878),
                          .dim = rgb(0x7E8795),
                          .accent = rgb(0x1A65B0),
                          .accent_soft = rgb(0xCFE1F5),
                          .cursor = rgb(0xB04E00),
                          .changed = rgb(0xC23B0A),
                          .typed = rgb(0x1F7A33),
                          .good = rgb(0x1F7A33),
                          .bad = rgb(0xB3202E),
                          .row = rgb(0xEBEEF3),
                          .selection = rgb(0xBBD6F2),
                          .executed = rgb(0x1A65B0),
                          .upcoming = rgb(0x1F7A33),
                          .exceptions = rgb(0xB3202E),
                          .interrupts = rgb(0x8A6000),
                          .system_calls = rgb(0x0B7285),
                          .context_switches = rgb(0xA0408A),
                          .device = rgb(0x22698F),
                          .output = rgb(0x1F7A33),
                          .input = rgb(0x7B3FA0),
                          .sample = rgb(0x5E6878)};

ImVec4 vec(ImU32 colour) { return ImGui::ColorConvertU32ToFloat4(colour); }

ImFont* load(std::initializer_list<const char*> paths, float size, const ImWchar* ranges) {
  ImFontConfig config;
  config.OversampleH = 2;
  config.OversampleV = 1;
  config.PixelSnapH = true;
  for (const char* path : paths)
    if (std::filesystem::exists(path))
      if (ImFont* font = ImGui::GetIO().Fonts->AddFontFromFileTTF(path, size, &config, ranges)) return font;
  config.SizePixels = size;
  return ImGui::GetIO().Fonts->AddFontDefault(&config);
}

}  // namespace

ImU32 Theme::lane(LaneInfo::Group group) const {
  switch (group) {
    case LaneInfo::Group::exceptions:
      return exceptions;
    case LaneInfo::Group::interrupts:
      return interrupts;
    case LaneInfo::Group::system_calls:
      return system_calls;
    case LaneInfo::Group::context_switches:
      return context_switches;
    case LaneInfo::Group::device:
      return device;
    case LaneInfo::Group::output:
      return output;
    case LaneInfo::Group::input:
      return input;
    case LaneInfo::Group::sample:
      break;
  }
  return sample;
}

const Theme& dark_theme() { return kDark; }
const Theme& light_theme() { return kLight; }

ImU32 with_alpha(ImU32 colour, float alpha) {
  return (colour & ~IM_COL32_A_MASK) | static_cast<ImU32>(alpha * 255.0F) << IM_COL32_A_SHIFT;
}

void apply(const Theme& theme, float scale) {
  ImGuiStyle style;
  style.WindowPadding = {10, 8};
  style.FramePadding = {8, 4};
  style.ItemSpacing = {8, 4};
  style.ItemInnerSpacing = {6, 4};
  style.CellPadding = {6, 2};
  style.ScrollbarSize = 12;
  style.GrabMinSize = 18;
  style.WindowRounding = 0;
  style.ChildRounding = 0;
  style.FrameRounding = 4;
  style.PopupRounding = 6;
  style.ScrollbarRounding = 6;
  style.GrabRounding = 4;
  style.TabRounding = 4;
  style.WindowBorderSize = 0;
  style.ChildBorderSize = 0;
  style.PopupBorderSize = 1;
  style.TabBorderSize = 0;
  style.ScaleAllSizes(scale);
  ImVec4* c = style.Colors;
  for (int i = 0; i < ImGuiCol_COUNT; ++i) c[i] = vec(theme.raised);
  c[ImGuiCol_Text] = vec(theme.text);
  c[ImGuiCol_TextDisabled] = vec(theme.faint);
  c[ImGuiCol_WindowBg] = vec(theme.background);
  c[ImGuiCol_ChildBg] = vec(theme.panel);
  c[ImGuiCol_PopupBg] = vec(theme.panel);
  c[ImGuiCol_Border] = vec(theme.border);
  c[ImGuiCol_BorderShadow] = {};
  c[ImGuiCol_FrameBg] = vec(theme.raised);
  c[ImGuiCol_FrameBgHovered] = vec(theme.border);
  c[ImGuiCol_FrameBgActive] = vec(theme.border);
  c[ImGuiCol_ScrollbarBg] = {};
  c[ImGuiCol_ScrollbarGrab] = vec(theme.border);
  c[ImGuiCol_ScrollbarGrabHovered] = vec(theme.faint);
  c[ImGuiCol_ScrollbarGrabActive] = vec(theme.faint);
  c[ImGuiCol_CheckMark] = vec(theme.accent);
  c[ImGuiCol_Button] = {};
  c[ImGuiCol_ButtonHovered] = vec(theme.raised);
  c[ImGuiCol_ButtonActive] = vec(theme.accent_soft);
  c[ImGuiCol_Header] = vec(theme.accent_soft);
  c[ImGuiCol_HeaderHovered] = vec(theme.row);
  c[ImGuiCol_HeaderActive] = vec(theme.accent_soft);
  c[ImGuiCol_Separator] = vec(theme.border);
  c[ImGuiCol_Tab] = vec(theme.background);
  c[ImGuiCol_TabHovered] = vec(theme.raised);
  c[ImGuiCol_TabActive] = vec(theme.panel);
  c[ImGuiCol_TabUnfocused] = vec(theme.background);
  c[ImGuiCol_TabUnfocusedActive] = vec(theme.panel);
  c[ImGuiCol_TableHeaderBg] = vec(theme.panel);
  c[ImGuiCol_TableBorderStrong] = vec(theme.border);
  c[ImGuiCol_TableBorderLight] = vec(theme.border);
  c[ImGuiCol_TableRowBg] = {};
  c[ImGuiCol_TableRowBgAlt] = vec(with_alpha(theme.row, 0.5F));
  c[ImGuiCol_TextSelectedBg] = vec(theme.selection);
  c[ImGuiCol_NavHighlight] = vec(theme.accent);
  c[ImGuiCol_ModalWindowDimBg] = {0, 0, 0, 0.35F};
  ImGui::GetStyle() = style;
}

Fonts load_fonts(float scale) {
  // Latin, general punctuation, arrows, mathematical operators, box drawing to geometric shapes.
  static constexpr ImWchar kRanges[] = {0x0020, 0x00FF, 0x2010, 0x2027, 0x2190, 0x21FF,
                                        0x2200, 0x22FF, 0x2500, 0x25FF, 0};
  const float mono = std::floor(14.0F * scale), text = std::floor(15.0F * scale);
  Fonts fonts;
  fonts.text = load({"/usr/share/fonts/opentype/inter/Inter-Regular.otf",
                     "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"},
                    text, kRanges);
  fonts.strong = load({"/usr/share/fonts/opentype/inter/Inter-SemiBold.otf",
                       "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"},
                      text, kRanges);
  fonts.mono = load({"/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf",
                     "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"},
                    mono, kRanges);
  return fonts;
}

}  // namespace hindsight::debugger::ui
