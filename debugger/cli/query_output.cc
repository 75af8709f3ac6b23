#include "debugger/cli/query_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"
#include "debugger/session/positions.h"
#include "replay/play/divergence.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Access;
using engine::port::AccessOrigin;

// SDM vol. 3, table 6-1.
constexpr std::array<std::string_view, 22> kExceptions = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",    "#TS",
    "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

std::string_view exception_name(std::uint8_t vector) {
  return vector < kExceptions.size() ? kExceptions[vector] : std::string_view();
}

std::string_view origin_name(AccessOrigin origin) {
  switch (origin) {
    case AccessOrigin::instruction:
      return "instruction";
    case AccessOrigin::page_walk:
      return "page walk";
    case AccessOrigin::dma:
      return "DMA";
  }
  return "";
}

/// A value of `size` bytes; of a longer one the first 8.
std::string value_text(std::uint64_t value, std::uint32_t size) {
  const unsigned shown = std::min(size, 8U);
  if (shown < 8) value &= (std::uint64_t{1} << (8 * shown)) - 1;
  return fmt::format("{:0{}x}", value, 2 * shown);
}

/// Bytes as one little-endian number, or as they lie where that is no number.
std::string bytes_value(const std::vector<std::byte>& bytes) {
  if (bytes.size() > 8 || (bytes.size() & (bytes.size() - 1)) != 0) return hex(bytes);
  std::vector<std::byte> big(bytes.rbegin(), bytes.rend());
  return "0x" + hex(big);
}

std::string code_text(GuestVirt pc, const std::string& name) {
  return name.empty() ? fmt::format("{:016x}", pc.value) : fmt::format("{:016x} {}", pc.value, name);
}

std::string printable(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c >= ' ' && c <= '~') {
      text += c;
    } else if (c != '\r' && c != '\n') {
      text += '.';
    }
  }
  return text;
}

bool is_console(engine::port::Channel channel) {
  return channel == engine::port::Channel::serial0 || channel == engine::port::Channel::virtio_console;
}

std::string address_text(const Access& access) {
  return access.origin == AccessOrigin::instruction && access.linear.value != 0
             ? fmt::format("{:016x}", access.linear.value)
             : fmt::format("phys:{:#x}", access.physical.value);
}

std::string origin_note(const Access& access) {
  return access.origin == AccessOrigin::instruction ? "" : fmt::format("  ({})", origin_name(access.origin));
}

class TextOutput final : public QueryOutput {
 public:
  [[nodiscard]] std::string last_write(const query::LastWrite& last) const override {
    const Access& access = last.write.access;
    std::string text = fmt::format(
        "at       {}\nby       {}\npc       {}\nwrote    {} at {} (physical {:#x})\nvalue    {} -> {}{}\n",
        session::text_of(access.at), origin_name(access.origin), code_text(access.pc, last.write.name),
        counted(access.size, "byte"), address_text(access), access.physical.value,
        value_text(access.before, access.size), value_text(access.after, access.size),
        access.size > 8 ? " (the first 8 bytes)" : "");
    for (std::size_t i = 0; i < last.stack.size(); ++i) {
      const query::NamedFrame& frame = last.stack[i];
      text += fmt::format("{}#{:<2} {:016x} {}{}\n", i == 0 ? "stack    " : "         ", i, frame.pc.value,
                          frame.name.empty() ? "?" : frame.name, frame.interrupted ? " (interrupted)" : "");
    }
    if (!last.stack_end.empty())
      text += fmt::format("{}({})\n", last.stack.empty() ? "stack    " : "         ", last.stack_end);
    return text;
  }
  [[nodiscard]] std::string write(const query::Write& write) const override {
    const Access& access = write.access;
    return fmt::format("{:>14}  {}  {} -> {}{}  {}{}\n", session::text_of(access.at), address_text(access),
                       value_text(access.before, access.size), value_text(access.after, access.size),
                       access.size > 8 ? fmt::format("… ({} bytes)", access.size) : "",
                       code_text(access.pc, write.name), origin_note(access));
  }
  [[nodiscard]] std::string change(const query::Change& change) const override {
    return fmt::format("{:>14}  {} -> {}  {}{}\n", session::text_of(change.access.at),
                       bytes_value(change.before), bytes_value(change.after),
                       code_text(change.access.pc, change.name), origin_note(change.access));
  }
  [[nodiscard]] std::string call(const query::Call& call) const override {
    std::string arguments;
    for (const std::uint64_t argument : call.arguments)
      arguments += fmt::format("{}{:#x}", arguments.empty() ? "" : ", ", argument);
    std::string text =
        fmt::format("{:>14}  {}({})  from {}", session::text_of(call.at),
                    call.name.empty() ? fmt::format("{:#x}", call.function.value) : call.name, arguments,
                    call.caller.empty() ? fmt::format("{:#x}", call.return_address.value) : call.caller);
    if (call.returned)
      text += fmt::format("  = {:#x} after {}", call.returned->value,
                          counted(call.returned->at.icount - call.at.icount, "instruction"));
    return text + "\n";
  }
  [[nodiscard]] std::string event(const query::Event& event) const override {
    const std::string start =
        fmt::format("{:>14}  {:<9}  ", session::text_of(event.at), query::name_of(event.kind));
    if (event.kind == query::Event::Kind::exception || event.kind == query::Event::Kind::interrupt) {
      const engine::port::Delivery& delivery = event.delivery;
      std::string what = fmt::format("{}", delivery.vector);
      if (!delivery.interrupt && !exception_name(delivery.vector).empty())
        what = exception_name(delivery.vector);
      if (delivery.error_code) what += fmt::format("({:#x})", *delivery.error_code);
      return fmt::format(
          "{}{:<9}  at {} -> {}\n", start, what, code_text(delivery.pc, event.where),
          event.handler.empty() ? fmt::format("{:#x}", delivery.handler.value) : event.handler);
    }
    constexpr std::size_t kShown = 32;
    const auto shown = std::span(event.payload).first(std::min(kShown, event.payload.size()));
    const std::string what = is_console(event.channel)             ? printable(event.payload)
                             : shown.size() < event.payload.size() ? hex(shown) + "…"
                                                                   : hex(shown);
    return fmt::format("{}{}  {}: {}\n", start, replay::play::channel_name(event.channel),
                       counted(event.payload.size(), "byte"), what);
  }
};

/// "icount":…,"delivery":…
std::string json_position(query::Position at) {
  return fmt::format("\"icount\":{},\"delivery\":{}", at.icount.value, at.delivery);
}

std::string json_address(std::uint64_t address) { return fmt::format("\"{:#x}\"", address); }

std::string json_access(const Access& access, const std::string& name) {
  return fmt::format("{},\"pc\":{},\"symbol\":{},\"origin\":{},\"physical\":{},\"linear\":{},\"size\":{}",
                     json_position(access.at), json_address(access.pc.value), json_string(name),
                     json_string(origin_name(access.origin)), json_address(access.physical.value),
                     access.origin == AccessOrigin::instruction ? json_address(access.linear.value) : "null",
                     access.size);
}

class JsonOutput final : public QueryOutput {
 public:
  [[nodiscard]] std::string last_write(const query::LastWrite& last) const override {
    std::string stack;
    for (const query::NamedFrame& frame : last.stack)
      stack += fmt::format("{}{{\"pc\":{},\"symbol\":{},\"interrupted\":{}}}", stack.empty() ? "" : ",",
                           json_address(frame.pc.value), json_string(frame.name), frame.interrupted);
    return fmt::format("{{{},\"stack\":[{}],\"stackEnd\":{}}}\n", body(last.write), stack,
                       json_string(last.stack_end));
  }
  [[nodiscard]] std::string write(const query::Write& write) const override {
    return fmt::format("{{{}}}\n", body(write));
  }
  [[nodiscard]] std::string change(const query::Change& change) const override {
    return fmt::format("{{\"kind\":\"change\",{},\"before\":{},\"after\":{}}}\n",
                       json_access(change.access, change.name), json_string(hex(change.before)),
                       json_string(hex(change.after)));
  }
  [[nodiscard]] std::string call(const query::Call& call) const override {
    std::string arguments;
    for (const std::uint64_t argument : call.arguments)
      arguments += (arguments.empty() ? "" : ",") + json_address(argument);
    std::string returned = "null";
    if (call.returned)
      returned = fmt::format("{{{},\"value\":{}}}", json_position(call.returned->at),
                             json_address(call.returned->value));
    return fmt::format(
        "{{\"kind\":\"call\",{},\"function\":{},\"symbol\":{},\"returnAddress\":{},\"caller\":{},"
        "\"arguments\":[{}],\"returned\":{}}}\n",
        json_position(call.at), json_address(call.function.value), json_string(call.name),
        json_address(call.return_address.value), json_string(call.caller), arguments, returned);
  }
  [[nodiscard]] std::string event(const query::Event& event) const override {
    const std::string start =
        fmt::format("{{\"kind\":{},{}", json_string(query::name_of(event.kind)), json_position(event.at));
    if (event.kind == query::Event::Kind::exception || event.kind == query::Event::Kind::interrupt) {
      const engine::port::Delivery& delivery = event.delivery;
      return fmt::format(
          "{},\"vector\":{},\"errorCode\":{},\"pc\":{},\"symbol\":{},\"handler\":{},\"handlerSymbol\":{}}}\n",
          start, delivery.vector, delivery.error_code ? fmt::format("{}", *delivery.error_code) : "null",
          json_address(delivery.pc.value), json_string(event.where), json_address(delivery.handler.value),
          json_string(event.handler));
    }
    return fmt::format("{},\"channel\":{},\"argument\":{},\"size\":{},\"payload\":{}}}\n", start,
                       json_string(replay::play::channel_name(event.channel)), event.argument,
                       event.payload.size(), json_string(hex(event.payload)));
  }

 private:
  static std::string body(const query::Write& write) {
    const Access& access = write.access;
    return fmt::format("\"kind\":\"write\",{},\"before\":\"0x{}\",\"after\":\"0x{}\"",
                       json_access(access, write.name), value_text(access.before, access.size),
                       value_text(access.after, access.size));
  }
};

}  // namespace

std::unique_ptr<QueryOutput> text_output() { return std::make_unique<TextOutput>(); }
std::unique_ptr<QueryOutput> json_output() { return std::make_unique<JsonOutput>(); }

}  // namespace hindsight::debugger::cli
