// The user-mode network, spoken to as a guest would: DHCP, ARP, and a TCP connection to a listener on the
// loopback of this host.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include "devices/hostio/slirp_network.h"

namespace hindsight::tests {
namespace {

using devices::hostio::HostForward;
using devices::hostio::SlirpNetwork;
using devices::hostio::SlirpOptions;

using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t kGuest = 0x0A00020F;
constexpr std::uint32_t kHost = 0x0A000202;
const Frame kGuestMac{0x02, 0x48, 0x53, 0, 0, 1};

void append(Frame& frame, std::uint64_t value, unsigned size) {
  for (unsigned i = size; i-- > 0;) frame.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint32_t field(const Frame& frame, std::size_t at, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) value = value << 8 | frame.at(at + i);
  return value;
}

std::uint16_t checksum(const Frame& data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Frame ethernet(const Frame& destination, std::uint16_t type) {
  Frame frame = destination;
  frame.insert(frame.end(), kGuestMac.begin(), kGuestMac.end());
  append(frame, type, 2);
  return frame;
}

Frame ipv4(const Frame& gateway_mac, std::uint8_t protocol, std::uint32_t source, std::uint32_t destination,
           const Frame& payload) {
  Frame header;
  append(header, 0x4500, 2);
  append(header, 20 + payload.size(), 2);
  append(header, 0x00010000, 4);
  append(header, 64, 1);
  append(header, protocol, 1);
  append(header, 0, 2);
  append(header, source, 4);
  append(header, destination, 4);
  const std::uint16_t sum = checksum(header);
  header[10] = static_cast<std::uint8_t>(sum >> 8);
  header[11] = static_cast<std::uint8_t>(sum);
  Frame frame = ethernet(gateway_mac, 0x0800);
  frame.insert(frame.end(), header.begin(), header.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

struct Slirp : testing::Test {
  void start(const SlirpOptions& options) {
    auto created = SlirpNetwork::create(options);
    ASSERT_TRUE(created.ok()) << created.failure().message;
    network = std::move(created.value());
  }
  void send(const Frame& frame) {
    network->send({reinterpret_cast<const std::byte*>(frame.data()), frame.size()});
  }
  /// The next frame that `wanted` accepts, waiting for at most `rounds` times 10 ms.
  std::optional<Frame> receive(const std::function<bool(const Frame&)>& wanted, int rounds = 100) {
    for (int round = 0; round < rounds; ++round) {
      for (const auto& frame : network->take()) {
        Frame copy(frame.size());
        std::memcpy(copy.data(), frame.data(), frame.size());
        if (wanted(copy)) return copy;
      }
      std::vector<pollfd> fds;
      std::uint64_t timeout = 10'000'000;
      network->prepare_poll(fds, timeout);
      ::poll(fds.data(), fds.size(), static_cast<int>(timeout / 1'000'000));
      network->dispatch(fds);
    }
    return std::nullopt;
  }
  /// Asks for the host's hardware address, which also makes the guest's known.
  std::optional<Frame> resolve_host() {
    Frame request = ethernet(Frame(6, 0xFF), 0x0806);
    append(request, 0x0001080006040001, 8);
    request.insert(request.end(), kGuestMac.begin(), kGuestMac.end());
    append(request, kGuest, 4);
    append(request, 0, 6);
    append(request, kHost, 4);
    send(request);
    const auto reply = receive(
        [](const Frame& f) { return f.size() >= 42 && field(f, 12, 2) == 0x0806 && field(f, 20, 2) == 2; });
    if (!reply) return std::nullopt;
    return Frame(reply->begin() + 22, reply->begin() + 28);
  }
  std::unique_ptr<SlirpNetwork> network;
};

TEST_F(Slirp, AnswersArpForTheHost) {
  start({});
  EXPECT_FALSE(network->active()) << "nothing was sent yet";
  ASSERT_TRUE(resolve_host().has_value());
  EXPECT_TRUE(network->active());
}

TEST_F(Slirp, OffersAnAddressByDhcp) {
  start({});
  Frame bootp;
  append(bootp, 0x01010600, 4);
  append(bootp, 0x12345678, 4);
  bootp.resize(28);
  bootp.insert(bootp.end(), kGuestMac.begin(), kGuestMac.end());
  bootp.resize(236);
  append(bootp, 0x63825363, 4);
  append(bootp, 0x350101FF, 4);  // DHCPDISCOVER, end
  bootp.resize(300);
  Frame udp;
  append(udp, 68, 2);
  append(udp, 67, 2);
  append(udp, 8 + bootp.size(), 2);
  append(udp, 0, 2);
  udp.insert(udp.end(), bootp.begin(), bootp.end());
  send(ipv4(Frame(6, 0xFF), 17, 0, 0xFFFFFFFF, udp));
  const auto offer =
      receive([](const Frame& f) { return f.size() > 62 && f[23] == 17 && field(f, 36, 2) == 68; });
  ASSERT_TRUE(offer.has_value());
  EXPECT_EQ(field(*offer, 14 + 20 + 8 + 16, 4), kGuest);
}

/// A TCP listener on 127.0.0.1 with a port of the kernel's choice.
struct Listener {
  Listener() : fd(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd, 1), 0);
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(fd); }
  int fd;
  std::uint16_t port = 0;
};

Frame tcp(std::uint16_t port, std::uint32_t sequence, std::uint32_t acknowledge, std::uint8_t flags,
          std::string_view data = {}) {
  Frame segment;
  append(segment, 40000, 2);
  append(segment, port, 2);
  append(segment, sequence, 4);
  append(segment, acknowledge, 4);
  append(segment, 0x50, 1);
  append(segment, flags, 1);
  append(segment, 65535, 2);
  append(segment, 0, 4);
  segment.insert(segment.end(), data.begin(), data.end());
  const std::uint32_t pseudo = (kGuest >> 16) + (kGuest & 0xFFFF) + (kHost >> 16) + (kHost & 0xFFFF) + 6 +
                               static_cast<std::uint32_t>(segment.size());
  const std::uint16_t sum = checksum(segment, pseudo);
  segment[16] = static_cast<std::uint8_t>(sum >> 8);
  segment[17] = static_cast<std::uint8_t>(sum);
  return segment;
}

bool is_tcp(const Frame& f) { return f.size() >= 54 && field(f, 12, 2) == 0x0800 && f[23] == 6; }

TEST_F(Slirp, TcpReachesTheHostLoopbackAndBack) {
  const Listener listener;
  start({});
  const auto mac = resolve_host();
  ASSERT_TRUE(mac.has_value());
  send(ipv4(*mac, 6, kGuest, kHost, tcp(listener.port, 1000, 0, 0x02)));
  const auto synack = receive([](const Frame& f) { return is_tcp(f) && f[47] == 0x12; });
  ASSERT_TRUE(synack.has_value());
  const std::uint32_t theirs = field(*synack, 38, 4) + 1;
  send(ipv4(*mac, 6, kGuest, kHost, tcp(listener.port, 1001, theirs, 0x18, "ping")));

  const int connection = accept(listener.fd, nullptr, nullptr);
  ASSERT_GE(connection, 0);
  receive([](const Frame&) { return true; });
  std::string got(4, ' ');
  EXPECT_EQ(recv(connection, got.data(), 4, MSG_WAITALL), 4);
  EXPECT_EQ(got, "ping");
  EXPECT_EQ(::send(connection, "pong", 4, 0), 4);
  const auto answer = receive([](const Frame& f) { return is_tcp(f) && field(f, 16, 2) > 40; });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::string(answer->begin() + 54, answer->begin() + 58), "pong");
  EXPECT_TRUE(network->active());
  close(connection);
}

TEST_F(Slirp, HostLoopbackCanBeForbidden) {
  const Listener listener;
  start({.restricted = false, .allow_host_loopback = false, .forwards = {}});
  const auto mac = resolve_host();
  ASSERT_TRUE(mac.has_value());
  send(ipv4(*mac, 6, kGuest, kHost, tcp(listener.port, 1000, 0, 0x02)));
  EXPECT_FALSE(receive([](const Frame& f) { return is_tcp(f) && f[47] == 0x12; }, 10).has_value());
}

TEST_F(Slirp, ForwardedPortMakesInputPossibleAndAsksForTheGuest) {
  std::uint16_t port = 0;
  { port = Listener().port; }
  start({.forwards = {HostForward{.host_port = port, .guest_port = 22}}});
  EXPECT_TRUE(network->input_possible());
  ASSERT_TRUE(resolve_host().has_value());
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto syn = receive([](const Frame& f) { return is_tcp(f) && f[47] == 0x02; });
  ASSERT_TRUE(syn.has_value());
  EXPECT_EQ(field(*syn, 36, 2), 22U);
  close(client);
}

TEST_F(Slirp, PortInUseIsReported) {
  const Listener listener;
  const auto created =
      SlirpNetwork::create({.forwards = {HostForward{.host_port = listener.port, .guest_port = 22}}});
  ASSERT_FALSE(created.ok());
  EXPECT_NE(created.failure().message.find(std::to_string(listener.port)), std::string::npos);
}

}  // namespace
}  // namespace hindsight::tests
