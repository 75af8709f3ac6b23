#include "debugger/gdb/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>

#include "debugger/gdb/connection.h"
#include "debugger/gdb/listener.h"
#include "debugger/gdb/registers.h"
#include "debugger/gdb/stub.h"
#include "engine/base/log.h"

namespace hindsight::debugger::gdb {

class Server::Impl final {
 public:
  Impl(session::Session& session, ServeOptions options, Listener listener, Descriptor stop)
      : session_(session),
        options_(std::move(options)),
        registers_(session.register_table()),
        listener_(std::move(listener)),
        stop_(std::move(stop)) {
    session_.on_progress([this](double share) { log_progress(share); });
    if (options_.on_listening) options_.on_listening(listener_.address());
  }
  ~Impl() { session_.on_progress({}); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] const std::string& address() const { return listener_.address(); }

  Status run() {
    for (;;) {
      std::array<pollfd, 2> polled{{{stop_.get(), POLLIN, 0}, {listener_.descriptor(), POLLIN, 0}}};
      if (poll(polled.data(), polled.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return error("{}: cannot wait for clients: {}", address(), std::strerror(errno));
      }
      if (polled[0].revents != 0) return Done{};
      Descriptor client = listener_.accept();
      if (!client.valid()) continue;
      log::info("gdb", "a client came");
      Connection connection(std::move(client), listener_, stop_.get(), session_);
      Stub stub(session_, registers_, options_.program_file, connection);
      connection.serve(stub);
      log::info("gdb", "the client left");
      if (!options_.live) continue;
      if (!connection.detached()) return Done{};
      const auto ended = run_on();
      if (!ended) return ended.failure();
      if (*ended) return Done{};
    }
  }

  void stop() {
    const std::uint64_t one = 1;
    // A full counter is as readable as this one.
    [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof one);
    session_.interrupt();
  }

 private:
  /// Lets the live machine run until somebody connects. True: it has ended, or the server is to end.
  Result<bool> run_on() {
    // A client may have left in the past.
    if (const auto moved = session_.seek(session_.last()); !moved) return moved.failure();
    const Descriptor ended(eventfd(0, EFD_CLOEXEC));
    if (!ended.valid()) return error("{}: no descriptor is left: {}", address(), std::strerror(errno));
    std::thread watcher([&] { interrupt_for_visitors(ended.get()); });
    const auto stop = session_.run(session::Direction::forward);
    const std::uint64_t one = 1;
    CHECK(write(ended.get(), &one, sizeof one) == sizeof one, "an eventfd takes one");
    watcher.join();
    if (!stop) return stop.failure();
    return stop->kind != session::StopKind::interrupted;
  }

  /// Ends the move for who wants to connect or stop; again and again, since it may not have begun yet.
  void interrupt_for_visitors(int ended) {
    constexpr int kAgainMs = 20;
    std::array<pollfd, 3> polled{
        {{ended, POLLIN, 0}, {stop_.get(), POLLIN, 0}, {listener_.descriptor(), POLLIN, 0}}};
    int found = 0;
    do found = poll(polled.data(), polled.size(), -1);
    while (found < 0 && errno == EINTR);
    while (polled[0].revents == 0) {
      session_.interrupt();
      poll(polled.data(), 1, kAgainMs);
    }
  }

  void log_progress(double share) {
    const int tenth = static_cast<int>(share * 10);
    if (std::exchange(last_tenth_, tenth) != tenth) log::info("gdb", "{} % of the move", tenth * 10);
  }

  session::Session& session_;
  const ServeOptions options_;
  const Registers registers_;
  const Listener listener_;
  const Descriptor stop_;
  int last_tenth_ = 0;
};

Result<std::unique_ptr<Server>> Server::open(session::Session& session, ServeOptions options) {
  auto listener = Listener::open(options.listen);
  if (!listener) return listener.failure();
  Descriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return error("{}: no descriptor is left: {}", listener->address(), std::strerror(errno));
  auto impl = std::make_unique<Impl>(session, std::move(options), std::move(*listener), std::move(stop));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
const std::string& Server::address() const { return impl_->address(); }
Status Server::run() { return impl_->run(); }
void Server::stop() { impl_->stop(); }

Status check_address(const std::string& listen) { return Listener::check(listen); }

Status serve(session::Session& session, const ServeOptions& options) {
  auto server = Server::open(session, options);
  if (!server) return server.failure();
  return (*server)->run();
}

}  // namespace hindsight::debugger::gdb
