#include "debugger/gdb/connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "engine/base/log.h"

namespace hindsight::debugger::gdb {
namespace {

constexpr const char* kLog = "gdb";
constexpr int kForever = -1;

}  // namespace

Connection::Connection(Descriptor client, const Listener& listener, int stop, session::Session& session)
    : client_(std::move(client)), listener_(listener), stop_(stop), session_(session) {}

Connection::Wake Connection::wait(int extra, int timeout_ms) {
  std::array<pollfd, 4> polled{{{client_.get(), POLLIN, 0},
                                {stop_, POLLIN, 0},
                                {listener_.descriptor(), POLLIN, 0},
                                {extra, POLLIN, 0}}};
  if (poll(polled.data(), polled.size(), timeout_ms) < 0) return errno == EINTR ? Wake::other : Wake::gone;
  if (polled[1].revents != 0) return Wake::stop;
  if (polled[0].revents == 0) {
    // Asked last: what the first client had to say, that it left above all, came before the second one.
    if (polled[2].revents != 0) {
      log::warn(kLog, "a second client was turned away: one is served at a time");
      (void)listener_.accept();
    }
    return Wake::other;
  }
  std::array<char, 16384> bytes;
  const ssize_t got = recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return Wake::other;
  if (got <= 0) return Wake::gone;
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  return Wake::bytes;
}

void Connection::serve(Stub& stub) {
  while (open_) {
    while (open_ && !early_.empty()) {
      const Incoming event = std::move(early_.front());
      early_.pop_front();
      take_event(stub, event);
    }
    if (!open_) return;
    if (auto event = reader_.next()) {
      take_event(stub, *event);
      continue;
    }
    const Wake wake = wait(-1, kForever);
    if (wake == Wake::gone || wake == Wake::stop) return;
  }
}

void Connection::take_event(Stub& stub, const Incoming& event) {
  switch (event.kind) {
    case Incoming::Kind::packet: {
      if (acknowledge_) {
        write_all("+");
        // A client that waited long for this has sent it again, and expects one answer.
        wait(-1, 0);
        reader_.skip(event.payload);
      }
      log::debug(kLog, "<- {}", event.payload);
      Reply reply = stub.handle(event.payload);
      if (reply.payload) send(*reply.payload);
      if (reply.end_acknowledgements) acknowledge_ = false;
      if (reply.end_connection) open_ = false;
      if (reply.detach) detached_ = true;
      break;
    }
    case Incoming::Kind::too_long:
      if (acknowledge_) write_all("+");
      send("E.the packet is longer than PacketSize");
      break;
    case Incoming::Kind::damaged:
      log::warn(kLog, "a damaged packet came");
      if (acknowledge_) write_all("-");
      break;
    case Incoming::Kind::nack:
      if (acknowledge_) write_all(last_frame_);
      break;
    case Incoming::Kind::ack:
    case Incoming::Kind::interrupt:  // it stands already
      break;
  }
}

void Connection::send(std::string_view payload) {
  log::debug(kLog, "-> {}", payload);
  last_frame_ = frame(payload);
  write_all(last_frame_);
}

void Connection::write_all(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const ssize_t sent = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      open_ = false;
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void Connection::console(std::string_view text) {
  constexpr std::size_t kPiece = 2048;
  for (; !text.empty(); text.remove_prefix(std::min(kPiece, text.size()))) {
    send("O" + to_hex(text.substr(0, kPiece)));
  }
}

void Connection::watch(int move_ended) {
  // An interrupt that comes just before the move has begun, or between two moves of a larger one, ends
  // nothing: it is given again until the move has ended.
  constexpr int kAgainMs = 20;
  bool gone = false, stopping = false;
  for (;;) {
    while (auto event = reader_.next()) {
      const bool ends_move =
          event->kind == Incoming::Kind::interrupt || event->kind == Incoming::Kind::packet;
      // A request during a move: the client has given up waiting.
      if (ends_move) interrupted_ = true;
      if (event->kind != Incoming::Kind::interrupt) early_.push_back(std::move(*event));
    }
    if (interrupted_) session_.interrupt();
    pollfd ended{move_ended, POLLIN, 0};
    if (poll(&ended, 1, gone || stopping ? kAgainMs : 0) > 0) return;
    if (gone || stopping) continue;
    const Wake wake = wait(move_ended, interrupted_ ? kAgainMs : kForever);
    gone = wake == Wake::gone;
    stopping = wake == Wake::stop;
    if (gone || stopping) interrupted_ = true;
  }
}

Result<session::Stop> Connection::move(const Move& move) {
  interrupted_ = false;
  const Descriptor ended(eventfd(0, EFD_CLOEXEC));
  CHECK(ended.valid(), "no descriptor is left");
  std::thread watcher([&] { watch(ended.get()); });
  auto stop = move();
  const std::uint64_t one = 1;
  CHECK(write(ended.get(), &one, sizeof one) == sizeof one, "an eventfd takes one");
  watcher.join();
  return stop;
}

}  // namespace hindsight::debugger::gdb
