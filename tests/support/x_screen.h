// An X server that nobody sees, and the hands of somebody who sits before it: keys, mouse and what a window
// manager does, all through the server (XTEST), so that a program under test gets them as from a person.
// Where there is no Xvfb why() says so. One test thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hindsight::tests {

class XScreen final {
 public:
  /// Starts a server whose only screen is that large.
  XScreen(int width, int height);
  ~XScreen();
  XScreen(const XScreen&) = delete;
  XScreen& operator=(const XScreen&) = delete;

  /// Why it cannot be used; empty: it can.
  [[nodiscard]] const std::string& why() const { return why_; }
  /// For the programs that are to draw on it: ":7".
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Waits until a window of that title is shown, and gives it the keyboard; false: none came in a minute.
  bool find_window(const std::string& title);
  struct Size {
    int width = 0, height = 0;
  };
  [[nodiscard]] Size size();
  void resize(int width, int height);
  /// As the cross in a window's frame.
  void ask_to_close();

  /// "Shift+F10", "Ctrl+P", "Return", "Escape".
  void key(const std::string& keys);
  /// What the keyboard of the United States has.
  void type(const std::string& text);

  // Places are the window's, in pixels.
  void move(int x, int y);
  void press(unsigned button = 1);
  void release(unsigned button = 1);
  void click(int x, int y, unsigned button = 1);
  void double_click(int x, int y);
  void drag(int from_x, int from_y, int to_x, int to_y);
  /// Notches away from the hand; negative: towards it.
  void wheel(int notches);

  /// What is seen of the window, 0xRRGGBB, row by row.
  [[nodiscard]] std::vector<std::uint32_t> picture();

 private:
  struct Connection;
  void strike(unsigned long symbol, bool down);

  std::string why_, name_;
  pid_t server_ = -1;
  std::unique_ptr<Connection> connection_;
};

}  // namespace hindsight::tests
