// Serves a session to gdb over a socket of this machine: `target remote ADDRESS`. One client at a time; a
// client that detaches or vanishes leaves the session's cursor where it is, and the next one finds it there;
// only a live machine runs on (ServeOptions::live).
// The session is used on the thread that calls run() alone; a helper thread listens for the client's Ctrl-C
// during a move. The host's network and time never reach the guest.
//
// debugger/gdb/GDB.md says what a user of gdb sees.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "debugger/gdb/program_file.h"
#include "debugger/session/session.h"
#include "engine/base/result.h"

namespace hindsight::debugger::gdb {

struct ServeOptions {
  /// "127.0.0.1:PORT", "localhost:PORT" or "unix:PATH"; port 0: any free one. Nothing else: the protocol has
  /// no password.
  std::string listen = "127.0.0.1:0";
  /// The session's machine is live: when a client has detached it runs on, until the next client comes. run()
  /// returns when it has ended and nobody looks any more, or when a client left otherwise (kill, a lost
  /// connection).
  bool live = false;
  /// Told the argument for gdb's `target remote`, once clients can connect.
  std::function<void(const std::string& address)> on_listening;
  /// The program that gdb is to debug, as an ELF file with run-time addresses. May be empty.
  ProgramFileMaker program_file;
};

/// Whether `listen` is an address as ServeOptions has it; nothing is tried.
Status check_address(const std::string& listen);

class Server final {
 public:
  /// Listens. `session` is borrowed and outlives the server.
  static Result<std::unique_ptr<Server>> open(session::Session& session, ServeOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// As `target remote` takes it.
  [[nodiscard]] const std::string& address() const;
  /// Serves one client after the other until stop().
  Status run();
  /// Ends run() and the move under way. Any thread, and signal handlers.
  void stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Opens a server and runs it; for callers that need not stop it.
Status serve(session::Session& session, const ServeOptions& options);

}  // namespace hindsight::debugger::gdb
