#include "debugger/gdb/stub.h"

#include <algorithm>
#include <vector>

#include "debugger/gdb/packet.h"
#include "debugger/gdb/wording.h"

namespace hindsight::debugger::gdb {
namespace {

using session::Direction;
using session::Stop;
using session::StopKind;

constexpr std::string_view kThread = "1";  // the one virtual CPU
constexpr std::string_view kPast = "E.the past cannot be changed: registers and memory are as recorded";
constexpr std::string_view kMalformed = "E.malformed packet";
// <gdb/signals.h>: SIGINT, SIGTRAP
constexpr unsigned kSigInt = 2, kSigTrap = 5;

/// "0" and "-1" are any and all (E.1).
bool names_the_thread(std::string_view id) { return id == kThread || id == "0" || id == "-1"; }

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Addresses are virtual: what is mapped where changes with every address space, and gdb refuses to read what
/// a map leaves out (E.15). So all of it may be asked for, and what is not mapped says so when it is read.
constexpr std::string_view kMemoryMap =
    "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map SYSTEM \"gdb-memory-map.dtd\">\n<memory-map>\n"
    "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>\n"
    "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>\n</memory-map>\n";

/// The part of a document that qXfer asks for: "m" when more follows, else "l" (E.4).
std::string part_of(std::string_view document, std::string_view offset_and_length) {
  const auto offset = parse_hex(take_until(offset_and_length, ','));
  const auto length = parse_hex(offset_and_length);
  if (!offset || !length) return "E00";
  if (*offset >= document.size()) return "l";
  const std::string_view part = document.substr(*offset, *length);
  return (*offset + part.size() < document.size() ? "m" : "l") + escape(part);
}

}  // namespace

Stub::Stub(session::Session& session, const Registers& registers, ProgramFileMaker program_file, Link& link)
    : session_(session),
      registers_(registers),
      link_(link),
      program_file_(std::move(program_file)),
      stop_points_(session, registers),
      stepper_(session, stop_points_),
      monitor_(session, link, stepper_) {}

Reply Stub::handle(std::string_view packet) {
  Reply reply = answer(packet);
  // An error's text is read as it stands, without escapes.
  if (reply.payload && reply.payload->starts_with("E.")) {
    for (char& c : *reply.payload) {
      if (std::string_view("#$}*\n").find(c) != std::string_view::npos) c = ' ';
    }
  }
  return reply;
}

Reply Stub::answer(std::string_view packet) {
  if (packet == "QStartNoAckMode") return {"OK", false, true};
  if (packet == "D") return {"OK", true, false, true};
  if (packet == "k") return {std::nullopt, true, false};
  const std::string_view rest = packet.substr(std::min<std::size_t>(1, packet.size()));
  switch (packet.empty() ? '\0' : packet[0]) {
    case '?':
      return {stop_reply(Stop{StopKind::arrived, session_.now(), {}, {}})};
    case 'g':
      return {all_registers()};
    case 'p':
      return {one_register(rest)};
    case 'm':
    case 'x':
      return {memory(rest, packet[0] == 'x')};
    case 'G':
    case 'P':
    case 'M':
    case 'X':
      return {std::string(kPast)};
    case 'H':
      return {select_thread(rest)};
    case 'T':
      return {names_the_thread(rest) ? "OK" : "E.there is no such thread"};
    case 'Z':
    case 'z':
      return {stop_points_.handle(packet)};
    case 'c':
    case 'C':
    case 's':
    case 'S':
      return {old_style_resume(packet)};
    case 'b':
      if (packet == "bs") return {step(Direction::backward)};
      if (packet == "bc") return {run(Direction::backward)};
      return {""};
    case 'R':
      return {"E.a recording is not restarted: monitor seek begin"};
    case 'q':
      return {query(packet)};
    case 'Q':
      return {set(packet)};
    case 'v':
      return {extended(packet)};
    default:
      return {""};
  }
}

std::string Stub::query(std::string_view packet) {
  std::string_view arguments = packet;
  const std::string_view name = take_until(arguments, ':');
  if (name == "qSupported") {
    return fmt::format(
        "PacketSize={:x};QStartNoAckMode+;qXfer:features:read+;qXfer:memory-map:read+;ReverseStep+;"
        "ReverseContinue+;"
        "ConditionalBreakpoints+;swbreak+;hwbreak+;vContSupported+;binary-upload+{}",
        kMaxRequest, program_file_.offered() ? ";qXfer:exec-file:read+" : "");
  }
  if (name == "qXfer") return transfer(arguments);
  if (packet == "qC") return fmt::format("QC{}", kThread);
  // The guest was there before gdb, so that gdb detaches from it when it quits, and does not kill it.
  if (name == "qAttached") return "1";
  if (packet == "qfThreadInfo") return fmt::format("m{}", kThread);
  if (packet == "qsThreadInfo") return "l";
  if (packet.starts_with("qThreadExtraInfo,")) return to_hex("virtual CPU 0");
  if (packet.starts_with("qRcmd,")) return monitor(packet.substr(6));
  return {};
}

std::string Stub::transfer(std::string_view request) {
  const std::string_view object = take_until(request, ':'), operation = take_until(request, ':'),
                         annex = take_until(request, ':');
  if (operation != "read") return {};
  if (object == "features") {
    return annex == "target.xml" ? part_of(registers_.description(), request) : "E00";
  }
  if (object == "memory-map") return annex.empty() ? part_of(kMemoryMap, request) : "E00";
  if (object == "exec-file" && program_file_.offered()) {
    const auto path = program_file_.path();
    return path ? part_of(*path, request) : "E.no symbols are known for this guest";
  }
  return {};
}

std::string Stub::set(std::string_view packet) {
  if (packet == "QNonStop:0") return "OK";
  if (packet == "QNonStop:1") return "E.non-stop mode is not supported: the machine has one timeline";
  return {};
}

std::string Stub::extended(std::string_view packet) {
  if (packet == "vMustReplyEmpty") return {};
  if (packet == "vCont?") return "vCont;c;C;s;S;t;r";
  if (packet.starts_with("vCont;")) return resume(packet.substr(6));
  if (packet.starts_with("vFile:")) return program_file_.handle(packet.substr(6));
  return {};
}

std::string Stub::all_registers() {
  const auto values = session_.registers();
  std::string out;
  for (unsigned i = 0; i < registers_.count(); ++i) out += registers_.value(i, values);
  return out;
}

std::string Stub::one_register(std::string_view number) {
  const auto index = parse_hex(number);
  if (!index || *index >= registers_.count()) return "E.there is no such register";
  return registers_.value(static_cast<unsigned>(*index), session_.registers());
}

std::string Stub::memory(std::string_view arguments, bool binary) {
  const auto address = parse_hex(take_until(arguments, ','));
  const auto length = parse_hex(arguments);
  if (!address || !length) return std::string(kMalformed);
  // A byte may take two characters; gdb asks for the rest itself.
  std::vector<std::byte> bytes(std::min<std::uint64_t>(*length, kMaxRequest / 2));
  const std::size_t got = session_.read(GuestVirt(*address), bytes);
  if (got == 0 && *length != 0) return "E14";  // to gdb 13 a text here is malformed data; EFAULT
  const std::string_view data = as_text(std::span(bytes).first(got));
  return binary ? "b" + escape(data) : to_hex(data);
}

std::string Stub::select_thread(std::string_view packet) {
  if (packet.empty()) return std::string(kMalformed);
  return names_the_thread(packet.substr(1)) ? "OK" : "E.there is no such thread";
}

std::string Stub::old_style_resume(std::string_view packet) {
  if (packet[0] == 'C' || packet[0] == 'S') return "E.the past cannot be changed: no signal can be sent";
  if (packet.size() > 1) return "E.the past cannot be changed: it goes on where it went on";
  return packet == "s" ? step(Direction::forward) : run(Direction::forward);
}

std::string Stub::resume(std::string_view actions) {
  while (!actions.empty()) {
    std::string_view action = take_until(actions, ';');
    const std::string_view what = take_until(action, ':');
    const std::string_view thread = action;
    // The first action that fits a thread counts (E.2, `vCont`).
    if (what.empty() || (!thread.empty() && !names_the_thread(thread))) continue;
    switch (what[0]) {
      case 'c':
        return run(Direction::forward);
      case 's':
        return step(Direction::forward);
      case 'r':
        return step_range(what.substr(1));
      case 't':  // between moves everything stands
        return stop_reply(Stop{StopKind::arrived, session_.now(), {}, {}});
      case 'C':
      case 'S':
        return "E.the past cannot be changed: no signal can be sent";
      default:
        return std::string(kMalformed);
    }
  }
  return "E.there is no such thread";
}

std::string Stub::step(Direction direction) {
  return stop_reply(link_.move([&] { return stepper_.step(direction); }));
}

std::string Stub::run(Direction direction) {
  return stop_reply(link_.move([&] { return session_.run(direction); }));
}

std::string Stub::step_range(std::string_view range) {
  const auto first = parse_hex(take_until(range, ','));
  const auto end = parse_hex(range);
  if (!first || !end) return std::string(kMalformed);
  return stop_reply(link_.move([&]() -> Result<Stop> {
    for (;;) {
      auto stop = stepper_.step(Direction::forward);
      if (!stop || stop->kind != StopKind::arrived || stop->hit) return stop;
      const std::uint64_t pc = session_.pc().value;
      if (pc < *first || pc >= *end || stop_points_.breaks_at(pc)) return stop;
      if (link_.interrupted()) {
        stop->kind = StopKind::interrupted;
        return stop;
      }
    }
  }));
}

std::string Stub::reason(const Stop& stop) const {
  if (stop.kind == StopKind::begin) return "replaylog:begin;";
  if (stop.kind == StopKind::end) return "replaylog:end;";
  if (!stop.hit) return {};
  const auto point = stop_points_.find(stop.hit->id);
  if (!point) return {};
  std::string_view name;
  switch (point->type) {
    case StopPointType::software:
      return "swbreak:;";
    case StopPointType::hardware:
      return "hwbreak:;";
    case StopPointType::write:
      name = "watch";
      break;
    case StopPointType::read:
      name = "rwatch";
      break;
    case StopPointType::access:
      name = "awatch";
      break;
  }
  // gdb finds its watchpoint by the address, so one within the watched range is named.
  std::uint64_t address = point->address;
  const auto& access = stop.hit->access;
  if (access && access->origin == engine::port::AccessOrigin::instruction &&
      access->linear.value - address < point->length) {
    address = access->linear.value;
  }
  return fmt::format("{}:{:x};", name, address);
}

std::string Stub::stop_reply(const Result<Stop>& stop) {
  if (!stop) return "E." + stop.failure().message;
  if (stop->kind == StopKind::end && !stop->text.empty()) link_.console(stop->text + "\n");
  if (stop->hit && !stop_points_.find(stop->hit->id)) link_.console(in_words(session_, *stop->hit) + "\n");
  const unsigned signal = stop->kind == StopKind::interrupted ? kSigInt : kSigTrap;
  std::string out = fmt::format("T{:02x}{}", signal, reason(*stop));
  const auto values = session_.registers();
  for (const unsigned number : {Registers::kFramePointer, Registers::kStackPointer, Registers::kPc}) {
    out += fmt::format("{:02x}:{};", number, registers_.value(number, values));
  }
  return out + fmt::format("thread:{};", kThread);
}

std::string Stub::monitor(std::string_view hex) {
  const auto line = from_hex(hex);
  if (!line) return std::string(kMalformed);
  const auto answer = monitor_.run(*line);
  if (!answer) {
    // gdb shows no text with an error here, so it comes before it.
    link_.console("hindsight: " + answer.failure().message + "\n");
    return "E01";
  }
  if (!answer->empty()) link_.console(*answer);
  return "OK";
}

}  // namespace hindsight::debugger::gdb
