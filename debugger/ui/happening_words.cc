#include "debugger/ui/happening_words.h"

#include <fmt/format.h>

#include <array>

#include "debugger/ui/system_call_names_table.h"

namespace hindsight::debugger::ui {
namespace {

using Kind = session::Happening::Kind;

/// SDM vol. 3, table 6-1: mnemonics of the exceptions, and which of them push an error code.
struct ExceptionName {
  std::string_view name;
  bool has_error = false;
};
constexpr std::array<ExceptionName, 22> kExceptions = {
    {{"#DE"},       {"#DB"},       {"NMI"},       {"#BP"},      {"#OF"},       {"#BR"},
     {"#UD"},       {"#NM"},       {"#DF", true}, {},           {"#TS", true}, {"#NP", true},
     {"#SS", true}, {"#GP", true}, {"#PF", true}, {},           {"#MF"},       {"#AC", true},
     {"#MC"},       {"#XM"},       {"#VE"},       {"#CP", true}}};

std::string place_of(const ActivityIndex::Item& item) {
  const auto known = item.stretch->names.find(item.what->pc.value);
  if (known != item.stretch->names.end() && !known->second.starts_with("0x")) return known->second;
  return fmt::format("{:016x}", item.what->pc.value);
}

}  // namespace

std::string words(const ActivityIndex::Item& item) {
  const session::Happening& what = *item.what;
  switch (what.kind) {
    case Kind::exception: {
      const ExceptionName known =
          what.vector < kExceptions.size() ? kExceptions[what.vector] : ExceptionName{};
      const std::string name =
          known.name.empty() ? fmt::format("vector {:02x}", what.vector) : std::string(known.name);
      return fmt::format("{}{} at {}", name, known.has_error ? fmt::format(", error {:x},", what.value) : "",
                         place_of(item));
    }
    case Kind::interrupt:
      return fmt::format("vector {:02x} at {}", what.vector, place_of(item));
    case Kind::system_call: {
      const std::string_view name = system_call_name(what.value);
      return name.empty() ? fmt::format("number {}", what.value) : fmt::format("{} ({})", name, what.value);
    }
    case Kind::context_switch:
      return fmt::format("to the task at {:016x}", what.value);
    case Kind::device_read:
    case Kind::device_write:
      return fmt::format("{} {:x} {} {:x}", item.stretch->activity.sources[what.source], what.address,
                         what.kind == Kind::device_write ? "<-" : "->", what.value);
    case Kind::output:
      break;
  }
  return fmt::format("{} bytes out on {}", what.size, item.stretch->activity.sources[what.source]);
}

}  // namespace hindsight::debugger::ui
