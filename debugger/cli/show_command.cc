#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>

#include "debugger/cli/look.h"
#include "debugger/cli/source_output.h"
#include "debugger/session/positions.h"

namespace hindsight::debugger::cli {
namespace {

using session::RegisterInfo;
using session::RegisterValue;
using session::Session;

/// A complaint for the user, with the exit code that goes with it.
struct Refusal {
  int code;
  std::string line;
};
using Outcome = std::optional<Refusal>;

Refusal usage(std::string line) { return {kUsage, std::move(line)}; }

std::optional<std::uint64_t> number_of(std::string_view text) {
  const int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "0x1234" or a symbol.
Result<GuestVirt> address_of(Session& session, const std::string& text) {
  if (const auto number = number_of(text)) return GuestVirt{*number};
  return session.resolve(text);
}

std::string value_text(const RegisterInfo& info, const RegisterValue& value) {
  if (info.bits > 64) return fmt::format("{:0{}x}{:016x}", value[1], (info.bits - 64) / 4, value[0]);
  return fmt::format("{:0{}x}", value[0], std::max(1, info.bits / 4));
}

Outcome show_registers(Session& session, const std::vector<std::string>&) {
  const auto table = session.register_table();
  const std::vector<RegisterValue> values = session.registers();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::string value = value_text(table[i], values[i]);
    const bool code = table[i].name == "rip";
    fmt::print("{:<14} {}{}\n", table[i].name, value,
               code ? "  " + session.describe(GuestVirt{values[i][0]}) : "");
  }
  return {};
}

Outcome show_stack(Session& session, const std::vector<std::string>&) {
  const auto stack = session.call_stack();
  if (!stack) return Refusal{kBadInput, stack.failure().message};
  fmt::print("{}", *stack);
  return {};
}

/// With debug information; see show_command.
Outcome show_no_variables(Session&, const std::vector<std::string>&) {
  return usage("variables: --symbols FILE expected");
}

Outcome show_lines(session::Sources& sources) {
  print_frames(sources.frames());
  return {};
}

/// Of the frame that is asked for, else of the innermost that has lines.
Outcome show_variables(session::Sources& sources, const std::vector<std::string>& words) {
  const std::vector<session::SourceFrame> frames = sources.frames();
  auto frame = words.empty() ? std::optional<std::uint64_t>(0) : number_of(words[0]);
  if (!frame || *frame >= frames.size())
    return usage(fmt::format("variables [FRAME] expected, of {} frames", frames.size()));
  if (words.empty())
    while (*frame + 1 < frames.size() && !frames[*frame].place) ++*frame;
  if (!frames[*frame].place)
    return Refusal{kBadInput,
                   fmt::format("no line is known for frame {}: {}", *frame, frames[*frame].function)};
  fmt::print("#{} {} at {}:{}\n", *frame, frames[*frame].function, frames[*frame].place->file,
             frames[*frame].place->line);
  print_variables(sources.variables(*frame));
  return {};
}

Outcome show_memory(Session& session, const std::vector<std::string>& words) {
  constexpr std::uint64_t kMost = 1 << 20, kLine = 16;
  const auto length = words.size() > 1 ? number_of(words[1]) : std::optional<std::uint64_t>(64);
  if (words.empty() || !length || *length > kMost)
    return usage("memory ADDRESS [LENGTH] expected, of at most 1 MiB");
  const bool physical = words[0].starts_with("phys:");
  const auto address = physical ? Result<GuestVirt>(GuestVirt{number_of(words[0].substr(5)).value_or(0)})
                                : address_of(session, words[0]);
  if (!address) return usage(address.failure().message);
  std::vector<std::byte> bytes(*length);
  const std::size_t got =
      physical ? session.read(GuestPhys{address->value}, bytes) : session.read(*address, bytes);
  for (std::size_t at = 0; at < got; at += kLine) {
    std::string hex, text;
    for (std::size_t i = at; i < std::min<std::size_t>(at + kLine, got); ++i) {
      const auto byte = std::to_integer<unsigned>(bytes[i]);
      hex += fmt::format(" {:02x}", byte);
      text += byte >= 0x20 && byte < 0x7F ? static_cast<char>(byte) : '.';
    }
    fmt::print("{:016x} {:<48}  {}\n", address->value + at, hex, text);
  }
  if (got < *length)
    return Refusal{kBadInput, fmt::format("nothing can be read at {:#x}", address->value + got)};
  return {};
}

Outcome show_walk(Session& session, const std::vector<std::string>& words) {
  if (words.empty()) return usage("walk ADDRESS expected");
  const auto address = address_of(session, words[0]);
  if (!address) return usage(address.failure().message);
  fmt::print("{}", session.page_walk(*address));
  return {};
}

Outcome show_state(Session& session, const std::vector<std::string>& words) {
  const auto fields = session.state(words.empty() ? "" : words[0]);
  if (fields.empty() && !words.empty())
    return usage(
        fmt::format("the machine has no part \"{}\": hindsight show TRACE state lists all", words[0]));
  for (const session::StateField& field : fields)
    fmt::print("{}.{} = {}\n", field.part, field.path, field.value);
  return {};
}

std::uint64_t register_of(Session& session, std::string_view name) {
  const auto table = session.register_table();
  const auto found = std::ranges::find(table, name, &RegisterInfo::name);
  return found == table.end() ? 0 : session.registers()[static_cast<std::size_t>(found - table.begin())][0];
}

std::vector<std::uint64_t> read_table(Session& session, std::string_view name) {
  const std::uint64_t limit = register_of(session, fmt::format("{}_limit", name));
  std::vector<std::uint64_t> words((std::min<std::uint64_t>(limit, 0xFFFF) + 1) / 8);
  const std::size_t got = session.read(GuestVirt{register_of(session, fmt::format("{}_base", name))},
                                       std::as_writable_bytes(std::span(words)));
  words.resize(got / 8);
  return words;
}

/// SDM vol. 3, 3.4.5: code and data segments, and the system descriptors of 16 bytes.
void print_gdt(const std::vector<std::uint64_t>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t low = words[i];
    const bool present = (low >> 47 & 1) != 0, segment = (low >> 44 & 1) != 0;
    if (!present) continue;
    std::uint64_t base = (low >> 16 & 0xFFFFFF) | (low >> 56 & 0xFF) << 24;
    std::uint64_t limit = (low & 0xFFFF) | (low >> 48 & 0xF) << 16;
    if ((low >> 55 & 1) != 0) limit = limit << 12 | 0xFFF;
    const std::uint64_t type = low >> 40 & 0xF;
    const std::size_t selector = i * 8;
    const char* kind = segment ? ((type & 8) != 0 ? "code" : "data") : type == 2 ? "LDT" : "TSS";
    if (!segment && i + 1 < words.size()) base |= words[++i] << 32;
    fmt::print("gdt {:#06x}  {:<4} base {:016x} limit {:08x} dpl {}{}\n", selector, kind, base, limit,
               low >> 45 & 3, (low >> 53 & 1) != 0 ? " 64-bit" : "");
  }
}

/// SDM vol. 3, 6.14.1: gates of 16 bytes.
void print_idt(Session& session, const std::vector<std::uint64_t>& words) {
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const std::uint64_t low = words[i], high = words[i + 1];
    if ((low >> 47 & 1) == 0) continue;
    const GuestVirt handler{(low & 0xFFFF) | (low >> 32 & 0xFFFF0000) | high << 32};
    fmt::print("idt {:#04x}  {:<9} {:04x}:{:016x} dpl {} ist {}  {}\n", i / 2,
               (low >> 40 & 1) != 0 ? "trap" : "interrupt", low >> 16 & 0xFFFF, handler.value, low >> 45 & 3,
               low >> 32 & 7, session.describe(handler));
  }
}

Outcome show_tables(Session& session, const std::vector<std::string>&) {
  constexpr std::uint64_t kLma = 1 << 10;
  if ((register_of(session, "efer") & kLma) == 0)
    return Refusal{kBadInput, "descriptor tables are shown in long mode; the CPU is not in it here"};
  print_gdt(read_table(session, "gdtr"));
  print_idt(session, read_table(session, "idtr"));
  return {};
}

struct Topic {
  const char* name;
  Outcome (*show)(Session& session, const std::vector<std::string>& words);
};
constexpr Topic kTopics[] = {{"registers", show_registers},   {"stack", show_stack},
                             {"memory", show_memory},         {"walk", show_walk},
                             {"state", show_state},           {"tables", show_tables},
                             {"variables", show_no_variables}};

}  // namespace

std::string show_topics() {
  std::string names;
  for (const Topic& topic : kTopics) names += fmt::format("{}{}", names.empty() ? "" : ", ", topic.name);
  return names;
}

int show_command(const ShowOptions& options) {
  const auto* topic = std::ranges::find_if(kTopics, [&](const Topic& t) { return options.topic == t.name; });
  const auto complain = [](const Refusal& refusal) {
    fmt::print(stderr, "hindsight: {}\n", refusal.line);
    return refusal.code;
  };
  if (topic == std::end(kTopics))
    return complain(usage(fmt::format("{} expected, found {}", show_topics(), options.topic)));
  const Look look = look_into(options.look);
  if (!look) return look.code;
  Session& session = *look.session;
  const auto sources = open_sources(session, options.source);
  if (!sources) return complain({kBadInput, sources.failure().message});
  Outcome refusal;
  if (*sources && options.topic == "stack")
    refusal = show_lines(**sources);
  else if (*sources && options.topic == "variables")
    refusal = show_variables(**sources, options.words);
  else
    refusal = topic->show(session, options.words);
  if (*sources)
    for (const std::string& trouble : (*sources)->troubles()) fmt::print(stderr, "hindsight: {}\n", trouble);
  return refusal ? complain(*refusal) : kOk;
}

}  // namespace hindsight::debugger::cli
