#include "debugger/ui/window.h"

#include <SDL.h>
#include <SDL_opengl.h>
#include <backends/imgui_impl_opengl3.h>
#include <backends/imgui_impl_sdl.h>
#include <imgui.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "debugger/ui/app.h"
#include "debugger/ui/model_text.h"
#include "debugger/ui/picture.h"
#include "debugger/ui/shared_session.h"

namespace hindsight::debugger::ui {
namespace {

namespace fs = std::filesystem;

/// In SDL's points.
struct Size {
  int width = 0, height = 0;
};

fs::path state_path() {
  if (const char* home = std::getenv("XDG_STATE_HOME"); home != nullptr && *home != 0)
    return fs::path(home) / "hindsight" / "window";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0)
    return fs::path(home) / ".local" / "state" / "hindsight" / "window";
  return {};
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// What one frame has been given: each key once, and nothing of the mouse after a button or the wheel. A
/// button comes up two frames after the mouse moved, as what is dragged must have been seen where it is let
/// go: by what is drawn before it as well.
class FrameInput final {
 public:
  /// `moved`: the mouse, in the frame before.
  explicit FrameInput(bool moved) : moved_before_(moved) {}

  /// False: the event is for the next frame.
  bool adds(const SDL_Event& event) {
    const bool key = (event.type == SDL_KEYDOWN && event.key.repeat == 0) || event.type == SDL_KEYUP;
    const bool button = event.type == SDL_MOUSEBUTTONDOWN || event.type == SDL_MOUSEBUTTONUP;
    const bool wheel = event.type == SDL_MOUSEWHEEL;
    if (pressed_ && (key || button || event.type == SDL_MOUSEMOTION)) return false;
    if (event.type == SDL_MOUSEBUTTONUP && (moved_ || moved_before_)) return false;
    moved_ |= event.type == SDL_MOUSEMOTION;
    if (button || wheel) {
      if (!keys_.empty()) return false;
      pressed_ = true;
    }
    if (!key) return true;
    if (std::ranges::find(keys_, event.key.keysym.scancode) != keys_.end()) return false;
    keys_.push_back(event.key.keysym.scancode);
    return true;
  }
  [[nodiscard]] bool moved() const { return moved_; }

 private:
  std::vector<SDL_Scancode> keys_;
  bool pressed_ = false;  ///< a button, or the wheel turned
  bool moved_ = false;
  const bool moved_before_;
};

/// SDL, its window and ImGui's context, from open() to the end.
class Screen final {
 public:
  ~Screen() {
    if (renderer_) ImGui_ImplOpenGL3_Shutdown();
    if (platform_) ImGui_ImplSDL2_Shutdown();
    if (context_ != nullptr) ImGui::DestroyContext(context_);
    if (gl_ != nullptr) SDL_GL_DeleteContext(gl_);
    if (window_ != nullptr) SDL_DestroyWindow(window_);
    if (started_) SDL_Quit();
  }
  Screen() = default;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// `left` is the size that the last window had; none known: 0.
  Status open(const WindowOptions& options, Size left) {
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    if (options.headless && std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr)
      SDL_SetHint(SDL_HINT_VIDEODRIVER, "offscreen");
    if (SDL_Init(SDL_INIT_VIDEO) != 0) return error("no display to open a window on: {}", SDL_GetError());
    started_ = true;
    // Without a display SDL draws into memory, where nobody could look.
    const std::string_view driver = SDL_GetCurrentVideoDriver();
    if (!options.headless && (driver == "offscreen" || driver == "dummy"))
      return error(
          "no display to open a window on: DISPLAY or WAYLAND_DISPLAY expected; --headless needs none");
    SDL_GL_SetAttribute(SDL_GL_CONTEXT_PROFILE_MASK, SDL_GL_CONTEXT_PROFILE_CORE);
    SDL_GL_SetAttribute(SDL_GL_CONTEXT_MAJOR_VERSION, 3);
    SDL_GL_SetAttribute(SDL_GL_CONTEXT_MINOR_VERSION, 2);
    SDL_GL_SetAttribute(SDL_GL_DOUBLEBUFFER, 1);
    const Size size = options.width > 0 ? Size{options.width, options.height} : kStandard;
    window_ = SDL_CreateWindow(
        ("Hindsight: " + options.title).c_str(), SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, size.width,
        size.height, SDL_WINDOW_OPENGL | SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI | SDL_WINDOW_HIDDEN);
    if (window_ == nullptr) return error("no window: {}", SDL_GetError());
    scale_ = options.scale > 0 ? options.scale : options.headless ? 1 : display_scale();
    if (!options.headless) {
      if (options.width == 0) fit(left);
      SDL_ShowWindow(window_);
    }
    gl_ = SDL_GL_CreateContext(window_);
    if (gl_ == nullptr) return error("OpenGL 3.2 expected: {}", SDL_GetError());
    SDL_GL_SetSwapInterval(options.headless ? 0 : 1);
    read_pixels_ = reinterpret_cast<decltype(read_pixels_)>(SDL_GL_GetProcAddress("glReadPixels"));
    viewport_ = reinterpret_cast<decltype(viewport_)>(SDL_GL_GetProcAddress("glViewport"));
    clear_ = reinterpret_cast<decltype(clear_)>(SDL_GL_GetProcAddress("glClear"));
    if (read_pixels_ == nullptr || viewport_ == nullptr || clear_ == nullptr)
      return error("OpenGL 3.2 expected: glReadPixels is missing");
    context_ = ImGui::CreateContext();
    ImGui::GetIO().IniFilename = nullptr;
    ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
    ImGui::GetIO().KeyRepeatDelay = kNever;
    platform_ = ImGui_ImplSDL2_InitForOpenGL(window_, gl_);
    renderer_ = ImGui_ImplOpenGL3_Init("#version 150");
    fonts_ = load_fonts(scale_);
    return Done{};
  }

  /// Takes what came in, but only what one frame can tell apart: ImGui 1.86 looks at which keys and buttons
  /// are down when a frame begins, and would miss what is up again by then, or has moved on. False: the
  /// window was closed.
  bool pump(int wait_ms) {
    SDL_Event event;
    if (wait_ms > 0) SDL_WaitEventTimeout(nullptr, wait_ms);
    SDL_PumpEvents();
    bool open = true;
    heard_ = false;
    FrameInput taken(moved_);
    while (SDL_PeepEvents(&event, 1, SDL_PEEKEVENT, SDL_FIRSTEVENT, SDL_LASTEVENT) > 0) {
      heard_ = true;
      if (!taken.adds(event)) break;
      SDL_PeepEvents(&event, 1, SDL_GETEVENT, SDL_FIRSTEVENT, SDL_LASTEVENT);
      ImGui_ImplSDL2_ProcessEvent(&event);
      follow(event);
      open &= event.type != SDL_QUIT;
    }
    moved_ = taken.moved();
    return open;
  }
  /// Something came in while it was pumped last.
  [[nodiscard]] bool heard() const { return heard_; }

  void frame(App& app) {
    ImGui_ImplOpenGL3_NewFrame();
    ImGui_ImplSDL2_NewFrame();
    if (hidden()) {
      ImGui::GetIO().MousePos = {-1, -1};
    } else if (ImGui::IsMousePosValid() && mouse_) {
      ImGui::GetIO().MousePos = *mouse_;
      std::ranges::copy(buttons_, ImGui::GetIO().MouseDown);
    }
    const double before = thread_seconds();
    ImGui::NewFrame();
    app.draw(fonts_, scale_);
    ImGui::Render();
    frames_.push_back(thread_seconds() - before);
    int width = 0, height = 0;
    SDL_GL_GetDrawableSize(window_, &width, &height);
    viewport_(0, 0, width, height);
    clear_(GL_COLOR_BUFFER_BIT);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  }
  void swap() { SDL_GL_SwapWindow(window_); }

  /// Of what frame() drew last.
  Status save(const std::string& path) {
    int width = 0, height = 0;
    SDL_GL_GetDrawableSize(window_, &width, &height);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4);
    read_pixels_(0, 0, width, height, GL_RGBA, GL_UNSIGNED_BYTE, pixels.data());
    for (std::size_t i = 3; i < pixels.size(); i += 4) pixels[i] = 0xFF;
    return write_png(path, width, height, pixels);
  }

  /// None if the display decides it.
  [[nodiscard]] Size size() const {
    Size size;
    if ((SDL_GetWindowFlags(window_) & (SDL_WINDOW_MAXIMIZED | SDL_WINDOW_FULLSCREEN)) == 0)
      SDL_GetWindowSize(window_, &size.width, &size.height);
    return size;
  }

  /// CPU seconds of our own drawing code in each frame so far.
  [[nodiscard]] std::vector<double>& frames() { return frames_; }

 private:
  static constexpr Size kStandard{1600, 1000};
  /// Held keys are repeated by the system. ImGui would do so when a frame takes long.
  static constexpr float kNever = 1e9F;

  /// ImGui's back end asks where mouse and modifiers are by now; here it is where they were with the event.
  void follow(const SDL_Event& event) {
    ImGuiIO& io = ImGui::GetIO();
    if (event.type == SDL_KEYDOWN) {
      io.KeyCtrl = (event.key.keysym.mod & KMOD_CTRL) != 0;
      io.KeyShift = (event.key.keysym.mod & KMOD_SHIFT) != 0;
      io.KeyAlt = (event.key.keysym.mod & KMOD_ALT) != 0;
      if (event.key.repeat != 0) io.KeysDownDuration[event.key.keysym.scancode] = -1;  // pressed anew
    } else if (event.type == SDL_MOUSEMOTION) {
      mouse_ = ImVec2(static_cast<float>(event.motion.x), static_cast<float>(event.motion.y));
    } else if (event.type == SDL_MOUSEBUTTONDOWN || event.type == SDL_MOUSEBUTTONUP) {
      mouse_ = ImVec2(static_cast<float>(event.button.x), static_cast<float>(event.button.y));
      constexpr std::array<Uint8, 3> kInOrder = {SDL_BUTTON_LEFT, SDL_BUTTON_RIGHT, SDL_BUTTON_MIDDLE};
      for (std::size_t i = 0; i < kInOrder.size(); ++i)
        if (event.button.button == kInOrder[i]) buttons_[i] = event.type == SDL_MOUSEBUTTONDOWN;
    }
  }
  /// As large as the last one was, or as is meant at this scale, where the display has room.
  void fit(Size left) {
    int width = 0, drawable = 0;
    SDL_GetWindowSize(window_, &width, nullptr);
    SDL_GL_GetDrawableSize(window_, &drawable, nullptr);
    const float points = width > 0 && drawable > width ? 1 : scale_;  // else they are pixels
    SDL_Rect room{};
    if (SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(window_), &room) != 0) return;
    const auto fitting = [&](int last, int standard, int most) {
      constexpr float kFrame = 0.94F;  // the rest is for the frame that a window manager adds
      const float meant = static_cast<float>(standard) * points, usable = static_cast<float>(most) * kFrame;
      return last != 0 ? std::min(last, most) : static_cast<int>(std::min(meant, usable));
    };
    SDL_SetWindowSize(window_, fitting(left.width, kStandard.width, room.w),
                      fitting(left.height, kStandard.height, room.h));
    SDL_SetWindowPosition(window_, SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED);
  }
  [[nodiscard]] bool hidden() const { return (SDL_GetWindowFlags(window_) & SDL_WINDOW_HIDDEN) != 0; }
  [[nodiscard]] float display_scale() const {
    int width = 0, drawable = 0;
    SDL_GetWindowSize(window_, &width, nullptr);
    SDL_GL_GetDrawableSize(window_, &drawable, nullptr);
    if (width > 0 && drawable > width) return static_cast<float>(drawable) / static_cast<float>(width);
    float dpi = 96;
    if (SDL_GetDisplayDPI(SDL_GetWindowDisplayIndex(window_), nullptr, &dpi, nullptr) != 0) return 1;
    return std::clamp(std::round(dpi / 96 * 4) / 4, 1.0F, 3.0F);
  }

  SDL_Window* window_ = nullptr;
  SDL_GLContext gl_ = nullptr;
  ImGuiContext* context_ = nullptr;
  bool started_ = false, platform_ = false, renderer_ = false, heard_ = false, moved_ = false;
  float scale_ = 1;
  Fonts fonts_;
  std::optional<ImVec2> mouse_;  ///< none: it has not moved yet
  std::array<bool, 3> buttons_{};
  std::vector<double> frames_;
  void(APIENTRY* read_pixels_)(GLint, GLint, GLsizei, GLsizei, GLenum, GLenum, void*) = nullptr;
  void(APIENTRY* viewport_)(GLint, GLint, GLsizei, GLsizei) = nullptr;
  void(APIENTRY* clear_)(GLbitfield) = nullptr;
};

/// Carries out a script, a line after the other, each when the one before is done.
class Script final {
 public:
  Script(Screen& screen, App& app, EngineWorker& worker, std::string path)
      : screen_(screen), app_(app), worker_(worker), path_(std::move(path)) {}

  Status run() {
    std::ifstream in(path_);
    if (!in) return error("{}: cannot be opened", path_);
    if (const Status opened = wait(false); !opened) return opened;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
      if (line.empty() || line[0] == '#') continue;
      if (const Status done = carry_out(line); !done)
        return error("{}:{}: {}: {}", path_, number, line, done.failure().message);
      if (app_.wants_to_quit()) break;
    }
    return Done{};
  }

 private:
  Status carry_out(const std::string& line) {
    const std::string name = line.substr(0, line.find(' '));
    const std::string rest = name.size() < line.size() ? line.substr(name.size() + 1) : "";
    if (name == "wait") return wait(true);
    if (name == "print") return print(rest);
    if (name == "until") return until(rest);
    if (name == "screenshot") {
      // Layout takes effect a frame later, scrolling one more.
      for (int i = 0; i < 4; ++i) screen_.frame(app_);
      return screen_.save(rest);
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto seconds = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    app_.perform(line);
    if (!app_.trouble().empty()) return Error{app_.trouble()};
    // Long ones are drawn while they last.
    constexpr double kLong = 0.2;
    while (worker_.model()->answered < worker_.posted() && seconds() < kLong) screen_.pump(1);
    if (worker_.model()->answered < worker_.posted())
      if (const Status done = wait(false); !done) return done;
    screen_.frame(app_);
    pictures_.push_back(seconds());
    if (const Status done = wait(false); !done) return done;
    complete_.push_back(seconds());
    const auto model = worker_.model();
    if (model->failed) return Error{model->message};
    return Done{};
  }

  /// Until the engine is idle; `settled`: until nothing is left to do in the background either.
  Status wait(bool settled) {
    constexpr int kMost = 600'000;
    for (int ms = 0; ms < kMost; ++ms) {
      if (worker_.idle() && (!settled || worker_.status().settled)) {
        screen_.frame(app_);
        return Done{};
      }
      if (ms % 100 == 0) screen_.frame(app_);
      screen_.pump(1);
    }
    return error("not done after ten minutes");
  }

  /// Until somebody else, such as gdb, has brought it about that `print` says this.
  Status until(const std::string& text) {
    constexpr int kMost = 120'000;
    for (int ms = 0; ms < kMost; ms += 5) {
      if (worker_.idle() && text_of(*worker_.model(), "").find(text) != std::string::npos) return Done{};
      if (ms % 100 == 0) screen_.frame(app_);
      screen_.pump(5);
    }
    return error("not so after two minutes");
  }

  /// Seconds, as milliseconds; then forgets them.
  static void print_times(const char* what, std::vector<double>& all) {
    if (all.empty()) all.push_back(0);
    std::ranges::sort(all);
    const auto at = [&](double share) {
      return all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))] * 1000;
    };
    fmt::print("{} {}: ms p50 {:.2f} p99 {:.2f} most {:.2f}\n", what, all.size(), at(0.5), at(0.99), at(1));
    all.clear();
  }

  Status print(const std::string& what) {
    const auto model = worker_.model();
    if (what == "frames") {
      print_times("frames, cpu", screen_.frames());
    } else if (what == "times") {
      print_times("to a picture", pictures_);
      print_times("to all of it", complete_);
    } else if (what == "layout") {
      fmt::print("{}\n", app_.layout().text());
    } else if (what == "places") {
      for (const Place& place : app_.places())
        fmt::print("{}: {:.0f} {:.0f} {:.0f} {:.0f}\n", place.name, place.low.x, place.low.y, place.high.x,
                   place.high.y);
    } else {
      fmt::print("{}", text_of(*model, what));
    }
    std::fflush(stdout);
    return Done{};
  }

  Screen& screen_;
  App& app_;
  EngineWorker& worker_;
  const std::string path_;
  // Seconds from each action to the first picture of what came of it, and until every panel has followed.
  std::vector<double> pictures_, complete_;
};

/// What the last window left: its size, and what it would have its successor do.
struct State {
  Size size;
  std::vector<std::string> actions;
};

State read_state() {
  State state;
  std::ifstream in(state_path());
  for (std::string line; std::getline(in, line);)
    if (std::sscanf(line.c_str(), "size %dx%d", &state.size.width, &state.size.height) != 2)
      state.actions.push_back(line);
  constexpr int kLeast = 320, kMost = 16384;
  const auto usable = [](int length) { return length >= kLeast && length <= kMost; };
  if (!usable(state.size.width) || !usable(state.size.height)) state.size = {};
  return state;
}

void save_state(const App& app, Size size) {
  const fs::path path = state_path();
  if (path.empty()) return;
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  std::ofstream out(path);
  if (size.width != 0) out << fmt::format("size {}x{}\n", size.width, size.height);
  out << app.state();
}

}  // namespace

Status run_window(session::Session& session, const WindowOptions& options) {
  Screen screen;
  const State state = options.script.empty() ? read_state() : State{};
  if (const Status opened = screen.open(options, state.size); !opened) return opened;
  EngineWorker worker(session, options.sources, options.analyst);
  App app(worker, options.title, options.live);
  for (const std::string& action : state.actions) app.perform(action);
  if (options.sources != nullptr)
    for (const char* panel : {"source", "variables"}) app.perform(fmt::format("open {}", panel));
  const auto shared = share_session(worker, "gdb");
  std::shared_ptr<void> companion;
  if (options.companion) {
    auto started = options.companion(*shared);
    if (!started) return started.failure();
    companion = std::move(*started);
  }
  if (!options.script.empty()) return Script(screen, app, worker, options.script).run();
  bool open = true;
  std::uint64_t drawn = 0;
  constexpr Uint32 kFrame = 16;  // ms; where the display does not say when, nobody sees more
  for (int calm = 0; open && !app.wants_to_quit();) {
    const Uint32 begin = SDL_GetTicks();
    // Nothing moves: a look every tenth of a second is enough. The hand on the mouse wakes it at once.
    if (!app.settling()) open = screen.pump(calm > 8 ? 100 : 0);
    const WorkerStatus status = worker.status();
    const bool active = screen.heard() || status.busy || !status.asking.empty() ||
                        worker.model()->serial != drawn || ImGui::IsAnyItemActive();
    drawn = worker.model()->serial;
    calm = active ? 0 : calm + 1;
    screen.frame(app);
    screen.swap();
    if (const Uint32 took = SDL_GetTicks() - begin; took < kFrame) SDL_Delay(kFrame - took);
  }
  save_state(app, screen.size());
  return Done{};
}

}  // namespace hindsight::debugger::ui
