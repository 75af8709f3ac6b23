#include "debugger/cli/diff_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"
#include "debugger/session/positions.h"
#include "replay/play/divergence.h"

namespace hindsight::debugger::cli {
namespace {

namespace diff = replay::diff;
namespace store = traces::store;
using diff::MachineDifference;
using diff::Side;
using engine::port::Position;

std::string channel_name(std::uint16_t channel) {
  return replay::play::channel_name(static_cast<engine::port::Channel>(channel));
}

std::string symbol_text(const std::string& symbol) { return symbol.empty() ? "" : "  " + symbol; }

std::string end_text(const store::TraceReader& trace) {
  return trace.end() ? std::string(store::name_of(trace.end()->reason)) : "the recorder was interrupted";
}

const char* relation_name(diff::Relation relation) {
  switch (relation) {
    case diff::Relation::equal:
      return "equal";
    case diff::Relation::a_is_prefix:
      return "a is a prefix";
    case diff::Relation::b_is_prefix:
      return "b is a prefix";
    case diff::Relation::different:
      return "different";
    case diff::Relation::unexplained:
      break;
  }
  return "unexplained";
}

}  // namespace

void DiffReport::heading(const std::string& text) const {
  if (!json_) fmt::print("{}\n", text);
}

void DiffReport::instant(char side, const std::string& trace, const Side& at, GuestVirt pc,
                         const MemoryNames& names) const {
  const std::string symbol = names.code(pc);
  if (json_) {
    fmt::print(
        "{{\"kind\":\"instant\",\"side\":\"{}\",\"trace\":{},\"icount\":{},\"delivery\":{},\"time\":{},"
        "\"pc\":\"{:#x}\",\"symbol\":{}}}\n",
        side, json_string(trace), at.at.icount.value, at.at.delivery, at.time.value, pc.value,
        json_string(symbol));
    return;
  }
  fmt::print("{}: {} at icount {}, virtual time {:.9f} s, pc {:016x}{}\n", side, trace,
             session::text_of(at.at), static_cast<double>(at.time.value) / 1e9, pc.value,
             symbol_text(symbol));
}

void DiffReport::fields(const MachineDifference& difference) const {
  for (const diff::PartDifference& part : difference.parts) {
    if (!json_) fmt::print("{}\n", part.part);
    std::size_t width = 16;
    for (const auto& field : part.fields) width = std::max(width, field.field.size());
    for (const replay::play::FieldDifference& field : part.fields) {
      if (json_) {
        fmt::print("{{\"kind\":\"field\",\"part\":{},\"field\":{},\"a\":{},\"b\":{}}}\n",
                   json_string(part.part), json_string(field.field), json_string(field.a),
                   json_string(field.b));
      } else {
        fmt::print("  {:<{}}  {:<20} {}\n", field.field, width, field.a, field.b);
      }
    }
  }
}

void DiffReport::ranges(const MachineDifference& difference,
                        const std::vector<std::vector<std::string>>& range_names) const {
  for (std::size_t i = 0; i < difference.ranges.size(); ++i) {
    const diff::PageRange& range = difference.ranges[i];
    const GuestPhys first = physical_of(range.first << kPageBits);
    const std::vector<std::string>& names = range_names[i];
    if (json_) {
      std::vector<std::string> quoted;
      for (const std::string& name : names) quoted.push_back(json_string(name));
      fmt::print("{{\"kind\":\"pages\",\"physical\":\"{:#x}\",\"pages\":{},\"bytes\":{},\"names\":[{}]}}\n",
                 first.value, range.count, range.bytes, fmt::join(quoted, ","));
    } else if (i < limits_.ranges) {
      fmt::print("  {:09x}..{:09x}  {:>12} {:>16}{}\n", first.value,
                 first.value + (range.count << kPageBits) - 1, counted(range.count, "page"),
                 counted(range.bytes, "byte"), symbol_text(fmt::format("{}", fmt::join(names, ", "))));
    } else {
      fmt::print("  … and {} (--pages N shows more)\n", counted(difference.ranges.size() - i, "more range"));
      return;
    }
  }
}

void DiffReport::bytes(const std::vector<MemoryRow>& rows, std::uint64_t all,
                       const MemoryNames& names) const {
  std::uint64_t shown = 0;
  for (const MemoryRow& row : rows) {
    if (shown >= limits_.bytes) break;
    for (std::size_t i = 0; i < row.a.size(); ++i) shown += row.a[i] != row.b[i] ? 1 : 0;
    const auto linear = names.linear(row.at);
    if (json_) {
      fmt::print("{{\"kind\":\"bytes\",\"physical\":\"{:#x}\",{}\"name\":{},\"a\":\"{}\",\"b\":\"{}\"}}\n",
                 row.at.value, linear ? fmt::format("\"linear\":\"{:#x}\",", linear->value) : "",
                 json_string(row.name), hex(row.a), hex(row.b));
    } else {
      fmt::print("  {:09x}  {:<16}  {:<32}  {:<32}{}\n", row.at.value,
                 linear ? fmt::format("{:016x}", linear->value) : "-", hex(row.a), hex(row.b),
                 symbol_text(row.name));
    }
  }
  if (!json_ && shown < all) {
    fmt::print("  … {} of {} that differ are shown, those with a name first (--bytes N shows more)\n",
               grouped(shown), counted(all, "byte"));
  }
}

void DiffReport::state(const MachineDifference& difference, const Side& a, const Side& b,
                       const MemoryNames& names) const {
  fields(difference);
  if (json_) {
    fmt::print("{{\"kind\":\"memory\",\"pages\":{},\"bytes\":{},\"ramPagesA\":{},\"ramPagesB\":{}}}\n",
               difference.pages, difference.bytes, difference.pages_a, difference.pages_b);
  } else if (difference.pages_a != difference.pages_b) {
    fmt::print("memory: {} pages of a, {} of b; only the first {} are compared\n",
               grouped(difference.pages_a), grouped(difference.pages_b),
               grouped(std::min(difference.pages_a, difference.pages_b)));
  }
  if (difference.pages == 0) return heading("memory: no byte differs");
  const MemoryRows rows = memory_rows(difference, a, b, names);
  heading(fmt::format("memory: {} of {} differ, {}, by physical address", grouped(difference.pages),
                      counted(std::min(difference.pages_a, difference.pages_b), "page"),
                      counted(difference.bytes, "byte")));
  ranges(difference, rows.range_names);
  if (limits_.bytes == 0) return;
  heading("bytes: physical address, linear address, a, b");
  bytes(rows.all, difference.bytes, names);
}

void DiffReport::configuration(const std::vector<diff::ConfigDifference>& differences) const {
  heading("the traces are of different machines:");
  for (const diff::ConfigDifference& difference : differences) {
    if (json_) {
      fmt::print("{{\"kind\":\"configuration\",\"field\":{},\"a\":{},\"b\":{}}}\n",
                 json_string(difference.field), json_string(difference.a), json_string(difference.b));
    } else {
      fmt::print("  {}\n    a: {}\n    b: {}\n", difference.field, difference.a, difference.b);
    }
  }
}

void DiffReport::relation(const diff::TraceDifference& difference, const store::TraceReader& a,
                          const store::TraceReader& b) const {
  if (json_) {
    fmt::print("{{\"kind\":\"relation\",\"relation\":\"{}\",\"events\":{},\"digests\":{}}}\n",
               relation_name(difference.relation), difference.events, difference.digests);
    return;
  }
  const std::string common = fmt::format("{} and {} agree", counted(difference.events, "event"),
                                         counted(difference.digests, "digest"));
  const auto prefix = [&](char which, const store::TraceReader& shorter, char other,
                          const store::TraceReader& longer) {
    fmt::print("{} is a prefix of {}: {}; {} ends at icount {} ({}), {} at icount {} ({})\n", which, other,
               common, which, diff::end_of(shorter).icount.value, end_text(shorter), other,
               diff::end_of(longer).icount.value, end_text(longer));
  };
  switch (difference.relation) {
    case diff::Relation::equal:
      fmt::print("equal: {}, up to the end at icount {} ({})\n", common, diff::end_of(a).icount.value,
                 end_text(a));
      return;
    case diff::Relation::a_is_prefix:
      return prefix('a', a, 'b', b);
    case diff::Relation::b_is_prefix:
      return prefix('b', b, 'a', a);
    case diff::Relation::different:
      fmt::print("different: {}\n", common);
      return;
    case diff::Relation::unexplained:
      break;
  }
  fmt::print("different, though nothing that came in differs before: {}\n", common);
  if (difference.digest) {
    fmt::print(
        "the digests at icount {} differ in {}: one of the two was recorded by a build or a host that "
        "computes differently; hindsight verify says which\n",
        difference.digest->at.icount.value, fmt::join(difference.digest->components, ", "));
  }
}

Status DiffReport::event(const char* side, std::uint64_t number, const store::Event& event,
                         store::TraceReader& trace) const {
  const Result<store::Bytes> payload = trace.payload(event);
  if (!payload) return payload.failure();
  if (json_) {
    fmt::print(
        "{{\"kind\":\"event\",\"side\":\"{}\",\"number\":{},\"icount\":{},\"time\":{},\"what\":{},"
        "\"channel\":{},\"argument\":{},\"size\":{},\"payload\":\"{}\"}}\n",
        side, number, event.at.icount.value, event.at.time.value, json_string(store::name_of(event.kind)),
        json_string(channel_name(event.channel)), event.argument, event.size, hex(*payload));
    return Done{};
  }
  constexpr std::size_t kShown = 24;
  const auto shown = std::span(*payload).first(std::min(kShown, payload->size()));
  const std::string argument =
      event.kind == store::EventKind::sample ? fmt::format(" argument {}", event.argument) : std::string();
  fmt::print("  {:<4} {:>6} {:>14} {:>14} {:<6} {} {} bytes{}: {}{}\n", side, number, event.at.icount.value,
             event.at.time.value, store::name_of(event.kind), channel_name(event.channel), event.size,
             argument, hex(shown), payload->size() > kShown ? "…" : "");
  return Done{};
}

Status DiffReport::events(const diff::TraceDifference& difference, store::TraceReader& a,
                          store::TraceReader& b) const {
  if (!difference.event) return Done{};
  const diff::EventDifference& found = *difference.event;
  heading("events: number, icount, virtual time in ns");
  std::uint64_t number = found.number - found.last_common.size();
  for (const store::Event& common : found.last_common) {
    if (const Status printed = event("both", number++, common, a); !printed) return printed;
  }
  if (found.a) {
    if (const Status printed = event("a", found.number, *found.a, a); !printed) return printed;
  } else {
    heading("  a    none");
  }
  if (found.b) {
    if (const Status printed = event("b", found.number, *found.b, b); !printed) return printed;
  } else {
    heading("  b    none");
  }
  return Done{};
}

void DiffReport::parting(const diff::Parting& parting, engine::port::Machine& machine,
                         const MemoryNames& names) const {
  const GuestVirt pc = machine.debug().pc();
  const InstructionText instruction = instruction_at_pc(machine);
  const std::string symbol = names.code(pc);
  if (json_) {
    fmt::print(
        "{{\"kind\":\"parting\",\"icount\":{},\"delivery\":{},\"time\":{},\"pc\":\"{:#x}\","
        "\"symbol\":{},\"bytes\":\"{:02x}\",\"instruction\":{}}}\n",
        parting.at->icount.value, parting.at->delivery, machine.now().time.value, pc.value,
        json_string(symbol), fmt::join(instruction.bytes, ""), json_string(instruction.text));
    return;
  }
  fmt::print("they agree in everything up to icount {}, virtual time {:.9f} s:\n",
             session::text_of(*parting.at), static_cast<double>(machine.now().time.value) / 1e9);
  fmt::print("  {:016x}  {:<24}{}{}\n", pc.value, fmt::format("{:02x}", fmt::join(instruction.bytes, "")),
             instruction.text, symbol_text(symbol));
}

void DiffReport::steps(const diff::Parting& parting, GuestVirt pc_a, GuestVirt pc_b,
                       const MemoryNames& names) const {
  const auto step = [&](const char* side, Position next, GuestVirt pc) {
    const bool delivered =
        parting.at && next.icount == parting.at->icount && next.delivery > parting.at->delivery;
    const std::string symbol = names.code(pc);
    if (json_) {
      fmt::print(
          "{{\"kind\":\"step\",\"side\":\"{}\",\"icount\":{},\"delivery\":{},\"pc\":\"{:#x}\",\"symbol\":{}}}"
          "\n",
          side, next.icount.value, next.delivery, pc.value, json_string(symbol));
    } else {
      fmt::print("  {:<4} {}; then icount {}, pc {:016x}{}\n", side,
                 delivered ? "takes an exception or interrupt" : "executes it", session::text_of(next),
                 pc.value, symbol_text(symbol));
    }
  };
  if (parting.next_a == parting.next_b && pc_a == pc_b) return step("both", parting.next_a, pc_a);
  step("a", parting.next_a, pc_a);
  step("b", parting.next_b, pc_b);
}

void DiffReport::later(const diff::TraceDifference& difference, const store::TraceReader& a,
                       const store::TraceReader& b) const {
  if (!difference.later.empty()) heading(difference.event ? "events from there on:" : "events:");
  for (const diff::EventCount& count : difference.later) {
    if (json_) {
      fmt::print(
          "{{\"kind\":\"later\",\"what\":{},\"channel\":{},\"a\":{},\"b\":{},\"otherContents\":{},"
          "\"otherInstant\":{}}}\n",
          json_string(store::name_of(count.kind)), json_string(channel_name(count.channel)), count.a, count.b,
          count.other_contents, count.other_instant);
    } else {
      fmt::print(
          "  {:<6} {:<14} {} in a, {} in b; in order, {} with other contents, {} only at another time\n",
          store::name_of(count.kind), channel_name(count.channel), count.a, count.b, count.other_contents,
          count.other_instant);
    }
  }
  for (const diff::ConsoleDifference& console : difference.consoles) {
    if (json_) {
      std::vector<std::string> lines;
      for (const std::string& line : console.text) lines.push_back(json_string(line));
      fmt::print(
          "{{\"kind\":\"console\",\"channel\":{},\"line\":{},\"linesA\":{},\"linesB\":{},\"text\":[{}]}}\n",
          json_string(channel_name(console.channel)), console.line, console.lines_a, console.lines_b,
          fmt::join(lines, ","));
      continue;
    }
    fmt::print("{} differs from line {} on ({} in a, {} in b){}:\n", channel_name(console.channel),
               console.line, counted(console.lines_a, "line"), counted(console.lines_b, "line"),
               console.a_is_prefix   ? "; b goes on where a ends"
               : console.b_is_prefix ? "; a goes on where b ends"
                                     : "");
    for (const std::string& line : console.text) fmt::print("  {}\n", line);
  }
  if (difference.consoles.empty() && difference.relation == diff::Relation::different)
    heading("the consoles show the same");
  for (const auto& [side, trace] : {std::pair{'a', &a}, std::pair{'b', &b}}) {
    const store::Instant end = diff::end_of(*trace);
    if (json_) {
      fmt::print("{{\"kind\":\"end\",\"side\":\"{}\",\"icount\":{},\"time\":{},\"reason\":{}}}\n", side,
                 end.icount.value, end.time.value, json_string(end_text(*trace)));
    } else {
      fmt::print("{} ends at icount {}, virtual time {:.9f} s ({})\n", side, end.icount.value,
                 static_cast<double>(end.time.value) / 1e9, end_text(*trace));
    }
  }
}

}  // namespace hindsight::debugger::cli
