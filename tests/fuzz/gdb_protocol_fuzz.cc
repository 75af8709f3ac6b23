// gdb's protocol from anyone: bytes for the packet reader, conditions for the bytecode machine, and requests
// for the stub over a small session. The first byte chooses. Whatever comes, there is an answer or an error.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "debugger/gdb/agent_expression.h"
#include "debugger/gdb/packet.h"
#include "debugger/gdb/stub.h"
#include "tests/support/fake_session.h"
#include "tests/support/gdb_wire.h"

namespace hindsight::debugger::gdb {
namespace {

class NoLink final : public Link {
 public:
  void console(std::string_view) override {}
  Result<session::Stop> move(const Move& move) override { return move(); }
  bool interrupted() const override { return ++asked_ > 1000; }

 private:
  mutable unsigned asked_ = 0;
};

class Context final : public ExpressionContext {
 public:
  std::optional<std::uint64_t> register_value(unsigned number) const override {
    return number < 64 ? std::optional<std::uint64_t>(number * 0x123456789) : std::nullopt;
  }
  bool read(std::uint64_t address, std::span<std::byte> out) const override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(address);
    return address % 7 != 0;
  }
};

void answer(Stub& stub, std::string_view request) {
  const Reply reply = stub.handle(request);
  if (reply.payload && !tests::payload_of(frame(*reply.payload))) std::abort();
}

void read_bytes(std::string_view bytes) {
  PacketReader reader;
  // In two pieces: where a packet is cut must not matter.
  reader.feed(bytes.substr(0, bytes.size() / 3));
  reader.feed(bytes.substr(bytes.size() / 3));
  while (auto event = reader.next()) {
    if (event->payload.size() > kMaxRequest) std::abort();
  }
  if (tests::payload_of(frame(escape(bytes))) != bytes) std::abort();
}

void evaluate(std::string_view bytecode) {
  const auto expression = AgentExpression::parse(bytecode);
  if (expression) (void)expression->evaluate(Context());
}

/// Requests, one a line; those that begin with '!' are monitor commands.
void ask(std::string_view lines) {
  tests::FakeSession session({.rounds = 10});
  const Registers registers(session.register_table());
  NoLink link;
  Stub stub(
      session, registers, [] { return std::vector<std::byte>(300, std::byte{'}'}); }, link);
  while (!lines.empty()) {
    const std::string_view line = take_until(lines, '\n');
    answer(stub, line.starts_with('!') ? "qRcmd," + to_hex(line.substr(1)) : std::string(line));
  }
}

}  // namespace
}  // namespace hindsight::debugger::gdb

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace gdb = hindsight::debugger::gdb;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      gdb::read_bytes(rest);
      break;
    case 1:
      gdb::evaluate(rest);
      break;
    default:
      gdb::ask(rest);
      break;
  }
  return 0;
}
