// Times the same moves over gdb's remote protocol, whoever serves it.
//   gdb_moves SOCKET SEEK TIMES BREAKPOINT,… WATCHPOINT,… [stops]
// SOCKET: a Unix socket on which a stub listens. SEEK: the monitor command that goes to where the moves
// begin; `stops`: it ends with a stop reply, as a run does. TIMES: so many steps back. BREAKPOINT: addresses
// executed before; WATCHPOINT: of eight bytes written before; hexadecimal. Prints "MOVE MILLISECONDS"
// lines.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "gdb_moves: %s\n", what.c_str());
  std::exit(1);
}

class Stub {
 public:
  explicit Stub(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail("too long a path: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    // The stub may still be starting.
    for (int tries = 0; connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0;
         ++tries) {
      if (tries == 600) fail("nobody listens at " + path);
      usleep(100'000);
    }
  }
  ~Stub() { close(socket_); }
  Stub(const Stub&) = delete;
  Stub& operator=(const Stub&) = delete;

  /// Sends a request and waits for the answer to it.
  std::string ask(const std::string& request) {
    unsigned sum = 0;
    for (const char c : request) sum += static_cast<unsigned char>(c);
    char end[4];
    std::snprintf(end, sizeof end, "#%02x", sum & 0xFF);
    send("$" + request + end);
    return answer();
  }
  /// The next packet that is no console output.
  std::string answer() {
    while (true) {
      std::string packet;
      while (next() != '$') {
      }
      for (char c = next(); c != '#'; c = next()) packet += c;
      next();
      next();
      send("+");
      if (packet.size() < 2 || packet[0] != 'O' || packet == "OK") return packet;
    }
  }

 private:
  void send(const std::string& text) const {
    if (write(socket_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      fail("the stub hung up");
  }
  char next() {
    char c = 0;
    if (read(socket_, &c, 1) != 1) fail("the stub hung up");
    return c;
  }

  int socket_;
};

std::string hex(const std::string& text) {
  std::string out;
  for (const char c : text) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += digits;
  }
  return out;
}

template <class Work>
void timed(const char* name, Work work) {
  const Clock::time_point begun = Clock::now();
  const std::string answer = work();
  const std::chrono::duration<double, std::milli> taken = Clock::now() - begun;
  if (answer.empty() || answer[0] == 'E') fail(std::string(name) + ": the stub answers '" + answer + "'");
  std::printf("%s %.2f\n", name, taken.count());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) fail("usage: gdb_moves SOCKET SEEK TIMES BREAKPOINT,… WATCHPOINT,… [stops]");
  const std::string seek = argv[2];
  const bool stops = argc > 6;
  Stub stub(argv[1]);
  stub.ask("?");
  const auto go = [&] {
    const std::string answer = stub.ask("qRcmd," + hex(seek));
    return stops && answer == "OK" ? stub.answer() : answer;
  };
  timed("seek", go);
  for (int i = 0; i < std::atoi(argv[3]); ++i) timed("reverse-stepi", [&] { return stub.ask("bs"); });
  const auto continue_to = [&](const char* name, const std::string& point) {
    if (stub.ask("Z" + point) != "OK") fail("the stub does not take Z" + point);
    timed(name, [&] { return stub.ask("bc"); });
    stub.ask("z" + point);
    timed("seek", go);
  };
  std::istringstream breakpoints(argv[4]), watchpoints(argv[5]);
  for (std::string address; std::getline(breakpoints, address, ',');) {
    continue_to("reverse-continue-breakpoint", "1," + address + ",1");
    continue_to("breakpoint-again", "1," + address + ",1");
  }
  for (std::string address; std::getline(watchpoints, address, ',');) {
    continue_to("reverse-continue-watchpoint", "2," + address + ",8");
    continue_to("watchpoint-again", "2," + address + ",8");
  }
  return 0;
}
