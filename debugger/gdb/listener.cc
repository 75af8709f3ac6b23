#include "debugger/gdb/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

namespace hindsight::debugger::gdb {
namespace {

constexpr int kBacklog = 4;
constexpr std::string_view kUnix = "unix:";

Error failed(const std::string& address, const char* what) {
  return error("{}: {}: {}", address, what, std::strerror(errno));
}

template <class Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// "HOST:PORT".
Result<sockaddr_in> port_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return error("{}: 127.0.0.1:PORT or unix:PATH was expected", address);
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  const char* numeric = host == "localhost" || host.empty() ? "127.0.0.1" : host.c_str();
  constexpr std::uint32_t kLoopback = 127;
  if (inet_pton(AF_INET, numeric, &place.sin_addr) != 1 || ntohl(place.sin_addr.s_addr) >> 24 != kLoopback) {
    return error(
        "{}: only 127.0.0.1, localhost or unix:PATH is listened on, as gdb's protocol has no password; "
        "from elsewhere come through ssh -L",
        address);
  }
  std::uint16_t number = 0;
  const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (failure != std::errc{} || end != port.data() + port.size()) {
    return error("{}: a port from 0 to 65535 was expected", address);
  }
  place.sin_port = htons(number);
  return place;
}

/// "unix:PATH".
Result<sockaddr_un> path_address(const std::string& address) {
  const std::string path = address.substr(kUnix.size());
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof place.sun_path) {
    return error("{}: a path of 1 to {} bytes was expected", address, sizeof place.sun_path - 1);
  }
  std::memcpy(place.sun_path, path.c_str(), path.size());
  return place;
}

/// A socket file that nobody listens on any more.
bool is_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), generic(address), sizeof address) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Listener::~Listener() {
  if (!path_.empty() && socket_.valid()) unlink(path_.c_str());
}

Status Listener::check(const std::string& address) {
  if (address.starts_with(kUnix)) {
    const auto place = path_address(address);
    return place ? Status(Done{}) : Status(place.failure());
  }
  const auto place = port_address(address);
  return place ? Status(Done{}) : Status(place.failure());
}

Result<Listener> Listener::open(const std::string& address) {
  return address.starts_with(kUnix) ? open_path(address.substr(kUnix.size())) : open_port(address);
}

Result<Listener> Listener::open_port(const std::string& address) {
  const auto wanted = port_address(address);
  if (!wanted) return wanted.failure();
  sockaddr_in place = *wanted;
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failed(address, "cannot make a socket");
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket.get(), generic(place), sizeof place) != 0) return failed(address, "cannot bind");
  if (::listen(socket.get(), kBacklog) != 0) return failed(address, "cannot listen");
  socklen_t size = sizeof place;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&place), &size) != 0) {
    return failed(address, "cannot find out the port");
  }
  std::array<char, INET_ADDRSTRLEN> host{};
  inet_ntop(AF_INET, &place.sin_addr, host.data(), host.size());
  return Listener(std::move(socket), fmt::format("{}:{}", host.data(), ntohs(place.sin_port)), {});
}

Result<Listener> Listener::open_path(const std::string& path) {
  const std::string address = std::string(kUnix) + path;
  const auto wanted = path_address(address);
  if (!wanted) return wanted.failure();
  const sockaddr_un& place = *wanted;
  if (is_stale(path, place)) unlink(path.c_str());
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failed(address, "cannot make a socket");
  // The socket file gets the socket's own mode: for this user alone, from its first moment on.
  fchmod(socket.get(), S_IRUSR | S_IWUSR);
  if (bind(socket.get(), generic(place), sizeof place) != 0) return failed(address, "cannot bind");
  if (::listen(socket.get(), kBacklog) != 0) return failed(address, "cannot listen");
  return Listener(std::move(socket), path, path);
}

Descriptor Listener::accept() const {
  Descriptor client(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  // Requests and replies are small and wait for each other.
  const int on = 1;
  if (client.valid()) setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return client;
}

}  // namespace hindsight::debugger::gdb
