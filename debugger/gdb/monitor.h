// What gdb has no command for: `monitor ...` (packet qRcmd; GDB manual, 20.3 and appendix E.4). One table of
// commands, each a line of help. Owned by a stub; its thread. Looking never changes the guest; a seek moves
// the session's cursor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "debugger/gdb/link.h"
#include "debugger/gdb/stepper.h"
#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

class Monitor final {
 public:
  /// All are borrowed and outlive this.
  Monitor(session::Session& session, Link& link, Stepper& stepper)
      : session_(session), link_(link), stepper_(stepper) {}
  ~Monitor() { clear(); }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// Runs one line and returns what to show, each line ended. An Error: the line was wrong, or what it asked
  /// for failed.
  Result<std::string> run(std::string_view line);
  /// Forgets every stop-on.
  void clear();

 private:
  using Words = std::vector<std::string>;
  using Answer = Result<std::string>;
  struct Command {
    std::string_view name;
    std::size_t least, most;  ///< words after the name
    Answer (Monitor::*run)(const Words& words);
    std::string_view usage, help;
  };
  static const std::vector<Command>& commands();

  Answer help(const Words&);
  Answer when(const Words&);
  Answer seek(const Words& words);
  Answer events(const Words& words);
  Answer snapshots(const Words&);
  Answer devices(const Words& words);
  Answer physical(const Words& words);
  Answer walk(const Words& words);
  Answer branch(const Words& words);
  Answer last_write(const Words& words);
  Answer mark(const Words& words);
  Answer marks(const Words&);
  Answer stop_on(const Words& words);
  Answer unstop(const Words& words);
  Answer modules(const Words& words);
  Answer step_interrupts(const Words& words);

  Answer moved(const Result<session::Stop>& stop);

  struct StopOn {
    int id;
    std::string words;
  };

  session::Session& session_;
  Link& link_;
  Stepper& stepper_;
  std::vector<StopOn> stops_;
};

}  // namespace hindsight::debugger::gdb
