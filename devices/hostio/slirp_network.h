// A user-mode network: libslirp plays the router 10.0.2.2 (the host), DHCP, and DNS at 10.0.2.3 with ordinary
// sockets of this process; the guest gets 10.0.2.15. IPv4 only. The run loop's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "devices/hostio/backend.h"
#include "engine/base/result.h"

struct Slirp;

namespace hindsight::devices::hostio {

struct HostForward {
  bool udp = false;
  std::uint32_t host_address = 0x7F000001;  ///< IPv4, host byte order; 127.0.0.1 unless asked otherwise
  std::uint16_t host_port = 0;
  std::uint16_t guest_port = 0;
};

struct SlirpOptions {
  bool restricted = false;          ///< the guest reaches nothing outside, not even the host
  bool allow_host_loopback = true;  ///< connections to 10.0.2.2 reach the host's 127.0.0.1
  std::vector<HostForward> forwards;
};

class SlirpNetwork final : public NetworkBackend {
 public:
  /// Fails if a forwarded port cannot be bound.
  static Result<std::unique_ptr<SlirpNetwork>> create(const SlirpOptions& options);
  ~SlirpNetwork() override;
  SlirpNetwork(const SlirpNetwork&) = delete;
  SlirpNetwork& operator=(const SlirpNetwork&) = delete;

  void prepare_poll(std::vector<pollfd>& fds, std::uint64_t& timeout_ns) override;
  void dispatch(std::span<const pollfd> fds) override;
  void send(std::span<const std::byte> frame) override;
  std::vector<std::vector<std::byte>> take() override;
  [[nodiscard]] bool frames_waiting() const override { return !to_guest_.empty(); }
  /// A TCP connection is open, or something was sent either way within the last two seconds.
  [[nodiscard]] bool active() override;
  [[nodiscard]] bool input_possible() override { return forwards_ || active(); }

 private:
  struct Timer;
  struct Callbacks;

  SlirpNetwork();
  [[nodiscard]] bool tcp_connected();
  void run_timers();

  Slirp* slirp_ = nullptr;
  bool forwards_ = false;
  std::vector<std::unique_ptr<Timer>> timers_;
  std::deque<std::vector<std::byte>> to_guest_;
  std::uint64_t last_traffic_ = 0;       // host time; 0: never
  std::uint64_t connections_asked_ = 0;  // host time of the last look at the connection list
  bool connected_ = false;
};

}  // namespace hindsight::devices::hostio
