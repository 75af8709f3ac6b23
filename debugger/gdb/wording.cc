#include "debugger/gdb/wording.h"

#include <fmt/format.h>

namespace hindsight::debugger::gdb {
namespace {

using engine::port::AccessOrigin;

std::string who(AccessOrigin origin, const std::string& pc) {
  switch (origin) {
    case AccessOrigin::instruction:
      return "the instruction at " + pc;
    case AccessOrigin::page_walk:
      return "the page walk of the instruction at " + pc;
    case AccessOrigin::dma:
      return "a device, before the instruction at " + pc;
  }
  return "?";
}

}  // namespace

std::string in_words(session::Session& session, GuestVirt address) {
  const std::string bare = fmt::format("{:#x}", address.value), name = session.describe(address);
  return name == bare ? bare : fmt::format("{} <{}>", bare, name);
}

std::string in_words(session::Position at) {
  return at.delivery == 0 ? fmt::format("{}", at.icount.value)
                          : fmt::format("{}+{}", at.icount.value, at.delivery);
}

std::string in_words(session::Session& session, const session::Hit& hit) {
  std::string at = in_words(hit.before);
  if (hit.access) {
    const auto& access = *hit.access;
    const std::string values = access.write ? fmt::format("{:#x}, before {:#x}", access.after, access.before)
                                            : fmt::format("{:#x}", access.after);
    return fmt::format("{}: {} {} bytes at physical {:#x} by {}: {}", at, access.write ? "wrote" : "read",
                       access.size, access.physical.value, who(access.origin, in_words(session, access.pc)),
                       values);
  }
  if (hit.delivery) {
    const auto& delivery = *hit.delivery;
    const std::string code =
        delivery.error_code ? fmt::format(", error code {:#x}", *delivery.error_code) : "";
    return fmt::format("{}: {} {:#x} at {}, handler {}{}", at, delivery.interrupt ? "interrupt" : "exception",
                       delivery.vector, in_words(session, delivery.pc), in_words(session, delivery.handler),
                       code);
  }
  if (hit.device) {
    const auto& device = *hit.device;
    return fmt::format("{}: {} of {} bytes {} {} {:#x} ({}) by the instruction at {}: {:#x}", at,
                       device.write ? "write" : "read", device.size, device.write ? "to" : "from",
                       device.port ? "port" : "address", device.address,
                       device.device.empty() ? "nobody answers" : device.device, in_words(session, device.pc),
                       device.value);
  }
  return at;
}

}  // namespace hindsight::debugger::gdb
