#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "debugger/gdb/packet.h"
#include "debugger/gdb/server.h"
#include "tests/support/fake_session.h"
#include "tests/support/gdb_wire.h"

namespace hindsight::debugger::gdb {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A client without gdb's patience: one exchange at a time, each within ten seconds.
class Client final {
 public:
  explicit Client(const std::string& address) {
    if (const auto colon = address.rfind(':'); colon != std::string::npos) {
      socket_ = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in place{};
      place.sin_family = AF_INET;
      place.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
      inet_pton(AF_INET, address.substr(0, colon).c_str(), &place.sin_addr);
      connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&place), sizeof place) == 0;
    } else {
      socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un place{};
      place.sun_family = AF_UNIX;
      std::strncpy(place.sun_path, address.c_str(), sizeof place.sun_path - 1);
      connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&place), sizeof place) == 0;
    }
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void write(std::string_view bytes) {
    ASSERT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  /// The bytes up to the end of the next packet, or "-"; what there is when the server hangs up or says
  /// nothing.
  std::string read() {
    std::string got;
    for (char byte; got != "-" && (got.size() < 4 || got[got.size() - 3] != '#'); got += byte) {
      pollfd polled{socket_, POLLIN, 0};
      if (poll(&polled, 1, 10'000) <= 0 || recv(socket_, &byte, 1, 0) <= 0) break;
    }
    return got;
  }
  std::string ask(std::string_view payload) {
    write(frame(payload));
    std::string got = read();
    if (got.starts_with('+')) got.erase(0, 1);
    return tests::payload_of(got).value_or("(unsound) " + got);
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

struct GdbServer : testing::Test {
  void start(tests::FakeSession::Options options = {}, std::string listen = "127.0.0.1:0",
             bool live = false) {
    fake = std::make_unique<tests::FakeSession>(std::move(options));
    ServeOptions serve_options;
    serve_options.listen = std::move(listen);
    serve_options.live = live;
    serve_options.on_listening = [this](const std::string& address) { told = address; };
    auto opened = Server::open(*fake, std::move(serve_options));
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    server = std::move(*opened);
    thread = std::thread([this] { EXPECT_TRUE(server->run().ok()); });
  }
  void TearDown() override {
    if (server) server->stop();
    if (thread.joinable()) thread.join();
  }
  void start_live(tests::FakeSession::Options options = {}) {
    start(std::move(options), "127.0.0.1:0", true);
  }
  std::string refusal(const std::string& listen) {
    tests::FakeSession session;
    ServeOptions options;
    options.listen = listen;
    auto opened = Server::open(session, options);
    return opened ? "opened" : opened.failure().message;
  }

  std::unique_ptr<tests::FakeSession> fake;
  std::unique_ptr<Server> server;
  std::thread thread;
  std::string told;
};

TEST_F(GdbServer, AcknowledgesUntilToldNotTo) {
  start();
  Client client(server->address());
  client.write(frame("qC"));
  EXPECT_EQ(client.read(), "+$QC1#c5");
  client.write("+$qC#b5");
  EXPECT_EQ(client.read(), "-") << "the checksum is wrong";
}

TEST_F(GdbServer, SendsTheLastPacketAgainWhenAsked) {
  start();
  Client client(server->address());
  client.write(frame("qC"));
  client.read();
  client.write("-");
  EXPECT_EQ(client.read(), "$QC1#c5");
}

TEST_F(GdbServer, APacketThatWasSentAgainBeforeItWasReadIsAnsweredOnce) {
  start();
  Client client(server->address());
  client.write(frame("qC") + frame("qC") + frame("qAttached"));
  EXPECT_EQ(client.read(), "+$QC1#c5");
  EXPECT_EQ(client.read(), "+$1#31");
}

TEST_F(GdbServer, TellsAnAddressWithThePortItGot) {
  start();
  EXPECT_THAT(told, StartsWith("127.0.0.1:"));
  EXPECT_NE(told, "127.0.0.1:0");
  EXPECT_EQ(told, server->address());
}

TEST_F(GdbServer, WithoutAcknowledgementsRepliesComeBare) {
  start();
  Client client(server->address());
  EXPECT_EQ(client.ask("QStartNoAckMode"), "OK");
  client.write("+");
  client.write(frame("qC"));
  EXPECT_EQ(client.read(), "$QC1#c5");
}

TEST_F(GdbServer, AClientThatComesAgainFindsTheCursorWhereItWas) {
  start();
  {
    Client client(server->address());
    client.ask("Z0,1003,1");
    client.ask("s");
    client.ask("s");
    EXPECT_EQ(client.ask("D"), "OK");
    EXPECT_EQ(client.read(), "") << "it hangs up";
  }
  Client again(server->address());
  EXPECT_THAT(again.ask("?"), HasSubstr("10:0b10000000000000;"));
  EXPECT_EQ(fake->condition_count(), 0U);
}

TEST_F(GdbServer, ALiveMachineRunsToItsEndAfterDetachAndThenNobodyIsServed) {
  start_live();
  {
    Client client(server->address());
    client.ask("s");
    EXPECT_EQ(client.ask("D"), "OK");
  }
  thread.join();
  EXPECT_EQ(fake->now(), fake->last());
}

TEST_F(GdbServer, ALiveMachineThatRunsOnStopsForTheNextClient) {
  start_live({.endless = true});
  {
    Client client(server->address());
    EXPECT_EQ(client.ask("D"), "OK");
  }
  Client again(server->address());
  EXPECT_EQ(again.ask("qC"), "QC1");
}

TEST_F(GdbServer, OfALiveMachineAKillEndsTheServer) {
  start_live({.endless = true});
  Client client(server->address());
  client.write(frame("k"));
  thread.join();
}

TEST_F(GdbServer, OfALiveMachineAClientThatVanishesEndsTheServer) {
  start_live({.endless = true});
  {
    Client client(server->address());
    client.write(frame("c"));
  }
  thread.join();
}

TEST_F(GdbServer, AClientThatVanishesDuringAMoveIsSurvived) {
  start({.endless = true});
  {
    Client client(server->address());
    client.write(frame("c"));
  }
  Client again(server->address());
  EXPECT_EQ(again.ask("qC"), "QC1");
}

TEST_F(GdbServer, CtrlCEndsAMove) {
  start({.endless = true});
  Client client(server->address());
  client.write(frame("c") + "\x03");
  EXPECT_THAT(client.read(), HasSubstr("$T02"));
}

TEST_F(GdbServer, CtrlCWhileItStandsIsIgnored) {
  start();
  Client client(server->address());
  client.write("\x03");
  EXPECT_EQ(client.ask("qC"), "QC1");
}

TEST_F(GdbServer, ASecondClientIsTurnedAway) {
  start();
  Client client(server->address());
  EXPECT_EQ(client.ask("qC"), "QC1");
  Client second(server->address());
  EXPECT_EQ(second.read(), "");
  EXPECT_EQ(client.ask("qC"), "QC1");
}

TEST_F(GdbServer, StopEndsAMoveAndTheServer) {
  start({.endless = true});
  Client client(server->address());
  client.write(frame("c"));
  server->stop();
  thread.join();
}

TEST_F(GdbServer, APacketThatIsTooLongIsAnswered) {
  start();
  Client client(server->address());
  std::string many;
  while (many.size() <= kMaxRequest) many += "01";
  EXPECT_THAT(client.ask(many), HasSubstr("longer than PacketSize"));
  EXPECT_EQ(client.ask("qC"), "QC1");
}

TEST_F(GdbServer, AUnixSocketIsForThisUserAloneAndGoesWithTheServer) {
  const std::string path = testing::TempDir() + "hindsight_gdb_" + std::to_string(getpid());
  start({}, "unix:" + path);
  EXPECT_EQ(server->address(), path);
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  {
    Client client(path);
    EXPECT_EQ(client.ask("qC"), "QC1");
    EXPECT_THAT(refusal("unix:" + path), HasSubstr("in use"));
    EXPECT_EQ(client.ask("qC"), "QC1");
  }
  TearDown();
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(GdbServer, ListensOnlyWhereNobodyElseCanReachIt) {
  EXPECT_THAT(refusal("0.0.0.0:0"), HasSubstr("no password"));
  EXPECT_THAT(refusal("192.0.2.1:0"), HasSubstr("no password"));
  EXPECT_THAT(refusal("example.org:0"), HasSubstr("no password"));
  EXPECT_THAT(refusal("127.0.0.1:65536"), HasSubstr("a port from 0 to 65535"));
  EXPECT_THAT(refusal("127.0.0.1:"), HasSubstr("a port"));
  EXPECT_THAT(refusal("1234"), HasSubstr("was expected"));
  EXPECT_THAT(refusal("unix:"), HasSubstr("a path"));
  EXPECT_THAT(refusal("unix:/no/such/folder/socket"), HasSubstr("cannot bind"));
}

}  // namespace
}  // namespace hindsight::debugger::gdb
