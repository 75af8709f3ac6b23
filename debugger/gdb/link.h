// What the stub needs of the connection it answers on. Implemented by the server and by tests; the thread
// that handles packets.
#pragma once

#include <functional>
#include <string_view>

#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

class Link {
 public:
  using Move = std::function<Result<session::Stop>()>;

  virtual ~Link() = default;
  /// Text that gdb shows at once (the packet O; GDB manual, appendix E.4). Only while gdb waits for the reply
  /// to a move or to a monitor command.
  virtual void console(std::string_view text) = 0;
  /// Makes a move that the client can interrupt while it lasts.
  virtual Result<session::Stop> move(const Move& move) = 0;
  /// Within move(): the client asked for its end. For moves made of many small ones.
  [[nodiscard]] virtual bool interrupted() const = 0;
};

}  // namespace hindsight::debugger::gdb
