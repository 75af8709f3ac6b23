// The target's end of gdb's remote protocol over a session: one request in, one reply out (GDB manual,
// appendix E). Knows nothing of sockets and frames. Made anew for each client; the session and its cursor
// stay when a client leaves, its breakpoints do not. One thread.
//
// The past can be looked at from all sides but not changed: writes of registers and memory are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "debugger/gdb/link.h"
#include "debugger/gdb/monitor.h"
#include "debugger/gdb/program_file.h"
#include "debugger/gdb/registers.h"
#include "debugger/gdb/stepper.h"
#include "debugger/gdb/stop_points.h"
#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

struct Reply {
  std::optional<std::string> payload;  ///< empty text: "not supported"; none: the request has no reply
  bool end_connection = false;
  bool end_acknowledgements = false;  ///< from after this reply on
  bool detach = false;                ///< with end_connection: the guest is to go its way
};

class Stub final {
 public:
  /// All are borrowed and outlive this.
  Stub(session::Session& session, const Registers& registers, ProgramFileMaker program_file, Link& link);

  Reply handle(std::string_view packet);

 private:
  Reply answer(std::string_view packet);
  std::string query(std::string_view packet);
  std::string transfer(std::string_view request);
  std::string set(std::string_view packet);
  std::string extended(std::string_view packet);
  std::string all_registers();
  std::string one_register(std::string_view number);
  std::string memory(std::string_view arguments, bool binary);
  std::string select_thread(std::string_view packet);
  std::string old_style_resume(std::string_view packet);
  std::string resume(std::string_view actions);
  std::string step(session::Direction direction);
  std::string step_range(std::string_view range);
  std::string run(session::Direction direction);
  std::string monitor(std::string_view hex);
  std::string stop_reply(const Result<session::Stop>& stop);
  [[nodiscard]] std::string reason(const session::Stop& stop) const;

  session::Session& session_;
  const Registers& registers_;
  Link& link_;
  ProgramFile program_file_;
  StopPoints stop_points_;
  Stepper stepper_;
  Monitor monitor_;
};

}  // namespace hindsight::debugger::gdb
