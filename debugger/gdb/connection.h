// One client: its socket, the frames on it, acknowledgements, and the watch for its Ctrl-C during a move.
// Owned by a server; the thread that serves, with a helper thread inside move().
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <string_view>

#include "debugger/gdb/link.h"
#include "debugger/gdb/listener.h"
#include "debugger/gdb/packet.h"
#include "debugger/gdb/stub.h"

namespace hindsight::debugger::gdb {

class Connection final : public Link {
 public:
  /// `stop` is readable once the server is to end. All but `client` are borrowed.
  Connection(Descriptor client, const Listener& listener, int stop, session::Session& session);

  /// Answers requests until the client leaves or the server is to end.
  void serve(Stub& stub);
  /// The client took its leave, instead of killing or vanishing.
  [[nodiscard]] bool detached() const { return detached_; }

  void console(std::string_view text) override;
  Result<session::Stop> move(const Move& move) override;
  [[nodiscard]] bool interrupted() const override { return interrupted_; }

 private:
  /// What poll() may find.
  enum class Wake : std::uint8_t { bytes, gone, stop, other };
  Wake wait(int extra, int timeout_ms);
  void take_event(Stub& stub, const Incoming& event);
  void send(std::string_view payload);
  void write_all(std::string_view bytes);
  void watch(int move_ended);

  Descriptor client_;
  const Listener& listener_;
  const int stop_;
  session::Session& session_;
  PacketReader reader_;
  std::deque<Incoming> early_;  ///< came during a move
  bool acknowledge_ = true, open_ = true, detached_ = false;
  std::string last_frame_;
  std::atomic<bool> interrupted_ = false;
};

}  // namespace hindsight::debugger::gdb
