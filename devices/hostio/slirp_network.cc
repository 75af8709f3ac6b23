#include "devices/hostio/slirp_network.h"

#include <arpa/inet.h>
#include <slirp/libslirp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string_view>

#include "devices/net/ethernet.h"
#include "engine/base/log.h"

namespace hindsight::devices::hostio {
namespace {

constexpr std::size_t kMaxWaitingFrames = 1024;
constexpr std::uint64_t kQuietAfter = 2'000'000'000;
constexpr std::uint64_t kConnectionCheck = 50'000'000;
constexpr std::uint64_t kMillisecond = 1'000'000;

in_addr ipv4(std::uint32_t address) { return in_addr{htonl(address)}; }

constexpr std::uint32_t kNetwork = 0x0A000200;  // 10.0.2.0

short to_poll(int flags) {
  int events = 0;
  if ((flags & SLIRP_POLL_IN) != 0) events |= POLLIN;
  if ((flags & SLIRP_POLL_OUT) != 0) events |= POLLOUT;
  if ((flags & SLIRP_POLL_PRI) != 0) events |= POLLPRI;
  return static_cast<short>(events);
}

int from_poll(short events) {
  int flags = 0;
  if ((events & POLLIN) != 0) flags |= SLIRP_POLL_IN;
  if ((events & POLLOUT) != 0) flags |= SLIRP_POLL_OUT;
  if ((events & POLLPRI) != 0) flags |= SLIRP_POLL_PRI;
  if ((events & POLLERR) != 0) flags |= SLIRP_POLL_ERR;
  if ((events & POLLHUP) != 0) flags |= SLIRP_POLL_HUP;
  return flags;
}

}  // namespace

struct SlirpNetwork::Timer {
  SlirpTimerCb callback;
  void* argument;
  std::int64_t expires_ms;  // -1: not armed
};

// The C callbacks; `opaque` is the SlirpNetwork.
struct SlirpNetwork::Callbacks {
  static SlirpNetwork& self(void* opaque) { return *static_cast<SlirpNetwork*>(opaque); }

  static ssize_t send_packet(const void* data, std::size_t size, void* opaque) {
    SlirpNetwork& network = self(opaque);
    network.last_traffic_ = host_now();
    // A full queue drops, as a wire would; the transport protocols send again.
    if (network.to_guest_.size() < kMaxWaitingFrames && size <= net::kMaxFrame) {
      const auto* bytes = static_cast<const std::byte*>(data);
      network.to_guest_.emplace_back(bytes, bytes + size);
    }
    return static_cast<ssize_t>(size);
  }
  static void guest_error(const char* message, void* /*opaque*/) { log::debug("net", "{}", message); }
  static std::int64_t clock_get_ns(void* /*opaque*/) { return static_cast<std::int64_t>(host_now()); }
  static void* timer_new(SlirpTimerCb callback, void* argument, void* opaque) {
    return self(opaque).timers_.emplace_back(new Timer{callback, argument, -1}).get();
  }
  static void timer_free(void* timer, void* opaque) {
    std::erase_if(self(opaque).timers_, [&](const auto& owned) { return owned.get() == timer; });
  }
  static void timer_mod(void* timer, std::int64_t expires_ms, void* /*opaque*/) {
    static_cast<Timer*>(timer)->expires_ms = expires_ms;
  }
  static void ignore_fd(int /*fd*/, void* /*opaque*/) {}
  static void notify(void* /*opaque*/) {}

  static constexpr SlirpCb kTable{.send_packet = send_packet,
                                  .guest_error = guest_error,
                                  .clock_get_ns = clock_get_ns,
                                  .timer_new = timer_new,
                                  .timer_free = timer_free,
                                  .timer_mod = timer_mod,
                                  .register_poll_fd = ignore_fd,
                                  .unregister_poll_fd = ignore_fd,
                                  .notify = notify,
                                  .init_completed = nullptr,
                                  .timer_new_opaque = nullptr};

  static int add_poll(int fd, int events, void* fds) {
    auto& list = *static_cast<std::vector<pollfd>*>(fds);
    list.push_back({fd, to_poll(events), 0});
    return static_cast<int>(list.size() - 1);
  }
  static int get_revents(int index, void* fds) {
    const auto& list = *static_cast<std::span<const pollfd>*>(fds);
    const auto at = static_cast<std::size_t>(index);
    return at < list.size() ? from_poll(list[at].revents) : 0;
  }
};

SlirpNetwork::SlirpNetwork() = default;

SlirpNetwork::~SlirpNetwork() {
  if (slirp_ != nullptr) slirp_cleanup(slirp_);
}

Result<std::unique_ptr<SlirpNetwork>> SlirpNetwork::create(const SlirpOptions& options) {
  std::unique_ptr<SlirpNetwork> network(new SlirpNetwork);
  SlirpConfig config{};
  config.version = 3;
  config.restricted = options.restricted ? 1 : 0;
  config.in_enabled = true;
  config.vnetwork = ipv4(kNetwork);
  config.vnetmask = ipv4(0xFFFFFF00);
  config.vhost = ipv4(kNetwork + 2);
  config.vnameserver = ipv4(kNetwork + 3);
  config.vdhcp_start = ipv4(kNetwork + 15);
  config.disable_host_loopback = !options.allow_host_loopback;
  network->slirp_ = slirp_new(&config, &Callbacks::kTable, network.get());
  if (network->slirp_ == nullptr)
    return error("libslirp {}: cannot start the network", slirp_version_string());
  for (const HostForward& forward : options.forwards) {
    const int failed = slirp_add_hostfwd(network->slirp_, forward.udp ? 1 : 0, ipv4(forward.host_address),
                                         forward.host_port, ipv4(kNetwork + 15), forward.guest_port);
    if (failed != 0)
      return error("cannot forward host port {} to the guest: {}", forward.host_port, std::strerror(errno));
    network->forwards_ = true;
  }
  return network;
}

void SlirpNetwork::prepare_poll(std::vector<pollfd>& fds, std::uint64_t& timeout_ns) {
  auto timeout_ms =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(timeout_ns / kMillisecond, 1'000'000'000));
  const std::uint32_t asked = timeout_ms;
  slirp_pollfds_fill(slirp_, &timeout_ms, Callbacks::add_poll, &fds);
  if (timeout_ms < asked) timeout_ns = timeout_ms * kMillisecond;
  for (const auto& timer : timers_) {
    if (timer->expires_ms < 0) continue;
    const std::uint64_t due = static_cast<std::uint64_t>(timer->expires_ms) * kMillisecond;
    const std::uint64_t now = host_now();
    timeout_ns = std::min(timeout_ns, due > now ? due - now : 0);
  }
}

void SlirpNetwork::dispatch(std::span<const pollfd> fds) {
  slirp_pollfds_poll(slirp_, 0, Callbacks::get_revents, &fds);
  run_timers();
}

void SlirpNetwork::run_timers() {
  const auto now_ms = static_cast<std::int64_t>(host_now() / kMillisecond);
  // A callback may arm timers, but creates and frees none outside start and cleanup.
  for (const auto& timer : timers_) {
    if (timer->expires_ms < 0 || timer->expires_ms > now_ms) continue;
    timer->expires_ms = -1;
    timer->callback(timer->argument);
  }
}

void SlirpNetwork::send(std::span<const std::byte> frame) {
  last_traffic_ = host_now();
  slirp_input(slirp_, reinterpret_cast<const std::uint8_t*>(frame.data()), static_cast<int>(frame.size()));
}

std::vector<std::vector<std::byte>> SlirpNetwork::take() {
  std::vector<std::vector<std::byte>> frames(std::make_move_iterator(to_guest_.begin()),
                                             std::make_move_iterator(to_guest_.end()));
  to_guest_.clear();
  return frames;
}

// libslirp tells about its connections only as text, one line each: "  TCP[STATE] …".
bool SlirpNetwork::tcp_connected() {
  const std::uint64_t now = host_now();
  if (now - connections_asked_ < kConnectionCheck) return connected_;
  connections_asked_ = now;
  connected_ = false;
  char* text = slirp_connection_info(slirp_);
  if (text == nullptr) return false;
  constexpr std::string_view kTag = "TCP[";
  const std::string_view info(text);
  for (std::size_t at = info.find(kTag); at != std::string_view::npos; at = info.find(kTag, at + 1)) {
    const std::string_view state = info.substr(at + kTag.size(), info.find(']', at) - at - kTag.size());
    const bool at_rest =
        state == "HOST_FORWARD" || state == "CLOSED" || state == "LISTEN" || state == "TIME_WAIT";
    connected_ = connected_ || !at_rest;
  }
  std::free(text);
  return connected_;
}

bool SlirpNetwork::active() {
  const bool recent = last_traffic_ != 0 && host_now() - last_traffic_ < kQuietAfter;
  return recent || tcp_connected();
}

}  // namespace hindsight::devices::hostio
