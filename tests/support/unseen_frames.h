// Frames of the window without a screen, as large as its first one. One at a time; the test's thread.
#pragma once

#include <imgui.h>

#include <string>

#include "debugger/ui/app.h"

namespace hindsight::tests {

class UnseenFrames final {
 public:
  UnseenFrames() : context_(ImGui::CreateContext()) {
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {1600, 1000};
    io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset;
    fonts_ = debugger::ui::load_fonts(1);
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    io.Fonts->GetTexDataAsAlpha8(&pixels, &width, &height);
  }
  ~UnseenFrames() { ImGui::DestroyContext(context_); }
  UnseenFrames(const UnseenFrames&) = delete;
  UnseenFrames& operator=(const UnseenFrames&) = delete;

  void draw(debugger::ui::App& app) {
    begin();
    app.draw(fonts_, 1);
    ImGui::Render();
  }
  /// The words of one frame, as if they had been copied.
  std::string words(debugger::ui::App& app) {
    begin();
    ImGui::LogToClipboard();
    app.draw(fonts_, 1);
    ImGui::LogFinish();
    ImGui::Render();
    return ImGui::GetClipboardText();
  }

 private:
  static void begin() {
    ImGui::GetIO().DeltaTime = 1.0F / 60;
    ImGui::NewFrame();
  }
  ImGuiContext* context_;
  debugger::ui::Fonts fonts_;
};

}  // namespace hindsight::tests
