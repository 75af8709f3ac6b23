#include "tests/support/x_screen.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// clang-format off: the others need Xlib.h
#include <X11/XKBlib.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <X11/extensions/XTest.h>
#include <X11/keysym.h>
// clang-format on

#include <chrono>
#include <cstdlib>
#include <thread>

namespace hindsight::tests {
namespace {

using std::chrono::milliseconds;

/// Shorter than anybody's finger: a program that draws slowly must not miss it.
void rest() { std::this_thread::sleep_for(milliseconds(10)); }

KeySym symbol_of(const std::string& name) {
  if (name == "Ctrl") return XK_Control_L;
  if (name == "Shift") return XK_Shift_L;
  if (name.size() == 1 && name[0] >= 'A' && name[0] <= 'Z') return static_cast<KeySym>(name[0] - 'A' + 'a');
  return XStringToKeysym(name.c_str());
}

}  // namespace

struct XScreen::Connection {
  ~Connection() {
    if (display != nullptr) XCloseDisplay(display);
  }
  Display* display = nullptr;
  Window window = 0;

  [[nodiscard]] std::string title(Window of) const {
    char* text = nullptr;
    if (XFetchName(display, of, &text) == 0 || text == nullptr) return {};
    std::string copy = text;
    XFree(text);
    return copy;
  }
  /// Without a window manager every program's window is the root's child.
  [[nodiscard]] Window find(const std::string& wanted) const {
    Window root = 0, parent = 0, *children = nullptr, found = 0;
    unsigned count = 0;
    if (XQueryTree(display, DefaultRootWindow(display), &root, &parent, &children, &count) == 0) return 0;
    for (unsigned i = 0; i < count; ++i) {
      XWindowAttributes attributes{};
      if (XGetWindowAttributes(display, children[i], &attributes) != 0 &&
          attributes.map_state == IsViewable && title(children[i]) == wanted)
        found = children[i];
    }
    if (children != nullptr) XFree(children);
    return found;
  }
};

XScreen::XScreen(int width, int height) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    why_ = "no pipe";
    return;
  }
  const std::string screen = fmt::format("{}x{}x24", width, height);
  server_ = fork();
  if (server_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, STDERR_FILENO);
    const int number = dup(ends[1]);  // without O_CLOEXEC
    execlp("Xvfb", "Xvfb", "-displayfd", std::to_string(number).c_str(), "-screen", "0", screen.c_str(),
           "-nolisten", "tcp", "-noreset", nullptr);
    _exit(127);
  }
  close(ends[1]);
  // Up to the line's end: a server that cannot write it gives up.
  std::string text;
  for (char c = 0; c != '\n' && read(ends[0], &c, 1) == 1;) text += c;
  close(ends[0]);
  if (!text.ends_with('\n')) {
    why_ = "Xvfb is not installed";
    return;
  }
  name_ = ":" + text.substr(0, text.size() - 1);
  connection_ = std::make_unique<Connection>();
  connection_->display = XOpenDisplay(name_.c_str());
  int event = 0, error = 0, major = 0, minor = 0;
  if (connection_->display == nullptr)
    why_ = "the X server lets nobody in";
  else if (XTestQueryExtension(connection_->display, &event, &error, &major, &minor) == 0)
    why_ = "the X server has no XTEST extension";
  // A window that is just being closed is no reason to end.
  XSetErrorHandler([](Display*, XErrorEvent*) { return 0; });
}

XScreen::~XScreen() {
  connection_.reset();
  if (server_ <= 0) return;
  kill(server_, SIGTERM);
  waitpid(server_, nullptr, 0);
}

bool XScreen::find_window(const std::string& title) {
  Display* display = connection_->display;
  for (int i = 0; i < 600; ++i) {
    connection_->window = connection_->find(title);
    if (connection_->window != 0) {
      XSetInputFocus(display, connection_->window, RevertToPointerRoot, CurrentTime);
      XSync(display, False);
      return true;
    }
    std::this_thread::sleep_for(milliseconds(100));
  }
  return false;
}

XScreen::Size XScreen::size() {
  XWindowAttributes attributes{};
  XGetWindowAttributes(connection_->display, connection_->window, &attributes);
  return {attributes.width, attributes.height};
}

void XScreen::resize(int width, int height) {
  XMoveResizeWindow(connection_->display, connection_->window, 0, 0, static_cast<unsigned>(width),
                    static_cast<unsigned>(height));
  XSync(connection_->display, False);
  rest();
}

void XScreen::ask_to_close() {
  Display* display = connection_->display;
  XEvent event{};
  event.xclient.type = ClientMessage;
  event.xclient.window = connection_->window;
  event.xclient.message_type = XInternAtom(display, "WM_PROTOCOLS", False);
  event.xclient.format = 32;
  event.xclient.data.l[0] = static_cast<long>(XInternAtom(display, "WM_DELETE_WINDOW", False));
  XSendEvent(display, connection_->window, False, NoEventMask, &event);
  XSync(display, False);
}

void XScreen::strike(unsigned long symbol, bool down) {
  XTestFakeKeyEvent(connection_->display, XKeysymToKeycode(connection_->display, symbol), down ? True : False,
                    CurrentTime);
  XSync(connection_->display, False);
}

void XScreen::key(const std::string& keys) {
  std::vector<KeySym> all;
  for (std::size_t at = 0; at <= keys.size();) {
    const std::size_t plus = std::min(keys.find('+', at), keys.size());
    all.push_back(symbol_of(keys.substr(at, plus - at)));
    at = plus + 1;
  }
  for (const KeySym symbol : all) strike(symbol, true);
  rest();
  for (auto symbol = all.rbegin(); symbol != all.rend(); ++symbol) strike(*symbol, false);
  rest();
}

void XScreen::type(const std::string& text) {
  Display* display = connection_->display;
  for (const char c : text) {
    const KeySym symbol = static_cast<unsigned char>(c);  // Latin 1 is its own symbols
    const KeyCode code = XKeysymToKeycode(display, symbol);
    const bool shifted = XkbKeycodeToKeysym(display, code, 0, 0) != symbol;
    if (shifted) strike(XK_Shift_L, true);
    strike(symbol, true);
    rest();
    strike(symbol, false);
    if (shifted) strike(XK_Shift_L, false);
    rest();
  }
}

void XScreen::move(int x, int y) {
  Display* display = connection_->display;
  Window child = 0;
  int root_x = 0, root_y = 0;
  XTranslateCoordinates(display, connection_->window, DefaultRootWindow(display), x, y, &root_x, &root_y,
                        &child);
  XTestFakeMotionEvent(display, -1, root_x, root_y, CurrentTime);
  XSync(connection_->display, False);
  rest();
}

void XScreen::press(unsigned button) {
  XTestFakeButtonEvent(connection_->display, button, True, CurrentTime);
  XSync(connection_->display, False);
  rest();
}

void XScreen::release(unsigned button) {
  XTestFakeButtonEvent(connection_->display, button, False, CurrentTime);
  XSync(connection_->display, False);
  rest();
}

void XScreen::click(int x, int y, unsigned button) {
  move(x, y);
  press(button);
  release(button);
}

void XScreen::double_click(int x, int y) {
  click(x, y);
  press();
  release();
}

void XScreen::drag(int from_x, int from_y, int to_x, int to_y) {
  constexpr int kSteps = 8;
  move(from_x, from_y);
  press();
  for (int i = 1; i <= kSteps; ++i)
    move(from_x + (to_x - from_x) * i / kSteps, from_y + (to_y - from_y) * i / kSteps);
  release();
}

void XScreen::wheel(int notches) {
  const unsigned button = notches > 0 ? 4 : 5;
  for (int i = 0; i < std::abs(notches); ++i) {
    press(button);
    release(button);
  }
}

std::vector<std::uint32_t> XScreen::picture() {
  const Size all = size();
  std::vector<std::uint32_t> pixels;
  XImage* image = XGetImage(connection_->display, connection_->window, 0, 0, static_cast<unsigned>(all.width),
                            static_cast<unsigned>(all.height), AllPlanes, ZPixmap);
  if (image == nullptr) return pixels;
  for (int y = 0; y < all.height; ++y)
    for (int x = 0; x < all.width; ++x)
      pixels.push_back(static_cast<std::uint32_t>(XGetPixel(image, x, y)) & 0xFFFFFF);
  XDestroyImage(image);
  return pixels;
}

}  // namespace hindsight::tests
