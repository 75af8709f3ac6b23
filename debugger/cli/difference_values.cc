#include "debugger/cli/difference_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"
#include "debugger/cli/memory_rows.h"
#include "debugger/session/x86_registers.h"
#include "replay/play/divergence.h"

namespace hindsight::debugger::cli {
namespace {

namespace diff = replay::diff;
namespace store = traces::store;
using session::TracesDifference;

constexpr std::string_view kCpu = "cpu0";
constexpr std::size_t kMostMemory = 20'000, kMostRanges = 10'000;

std::string hex_of(const session::RegisterInfo& info, const session::RegisterValue& value) {
  if (info.bits > 64) return fmt::format("{:0{}x}{:016x}", value[1], (info.bits - 64) / 4, value[0]);
  return fmt::format("{:0{}x}", value[0], (info.bits + 3) / 4);
}

std::string channel_name(std::uint16_t channel) {
  return replay::play::channel_name(static_cast<engine::port::Channel>(channel));
}

std::string end_text(const store::TraceReader& trace) {
  const store::Instant end = diff::end_of(trace);
  return fmt::format("at {} ({})", grouped(end.icount.value),
                     trace.end() ? std::string(store::name_of(trace.end()->reason))
                                 : std::string("the recorder was interrupted"));
}

std::string relation_text(const diff::TraceDifference& difference) {
  const std::string common = fmt::format("{} and {} agree", counted(difference.events, "event"),
                                         counted(difference.digests, "digest"));
  switch (difference.relation) {
    case diff::Relation::equal:
      return "equal: " + common;
    case diff::Relation::a_is_prefix:
      return "equal as far as this trace goes, the other one goes on: " + common;
    case diff::Relation::b_is_prefix:
      return "equal as far as the other trace goes, this one goes on: " + common;
    case diff::Relation::different:
      return "they part: " + common;
    case diff::Relation::unexplained:
      break;
  }
  return "they differ though nothing that came in does; hindsight verify says which is wrong: " + common;
}

Result<TracesDifference::Event> event_of(char side, std::uint64_t number, const store::Event& event,
                                         store::TraceReader& trace) {
  const Result<store::Bytes> payload = trace.payload(event);
  if (!payload) return payload.failure();
  constexpr std::size_t kShown = 24;
  const auto shown = std::span(*payload).first(std::min(kShown, payload->size()));
  return TracesDifference::Event{
      side,
      number,
      {event.at.icount, 0},
      fmt::format("{} {}, {}: {}{}", store::name_of(event.kind), channel_name(event.channel),
                  counted(event.size, "byte"), hex(shown), payload->size() > kShown ? "…" : "")};
}

Status add_events(const diff::EventDifference& found, store::TraceReader& a, store::TraceReader& b,
                  TracesDifference& out) {
  const auto add = [&](char side, std::uint64_t number, const store::Event& event,
                       store::TraceReader& trace) -> Status {
    auto row = event_of(side, number, event, trace);
    if (!row) return row.failure();
    out.events.push_back(std::move(*row));
    return Done{};
  };
  std::uint64_t number = found.number - found.last_common.size();
  for (const store::Event& common : found.last_common)
    if (const Status added = add(' ', number++, common, a); !added) return added;
  if (found.a)
    if (const Status added = add('a', found.number, *found.a, a); !added) return added;
  if (found.b)
    if (const Status added = add('b', found.number, *found.b, b); !added) return added;
  return Done{};
}

}  // namespace

session::Place place_of(engine::port::Machine& machine, const MemoryNames& names) {
  const GuestVirt pc = machine.debug().pc();
  return {machine.debug().position(), machine.now().time, pc, names.code(pc)};
}

session::StateDifference state_difference(const ComparedSide& a, const ComparedSide& b,
                                          const MemoryNames& names) {
  session::StateDifference out;
  const auto table = session::x86_register_table();
  for (std::size_t i = 0; i < table.size(); ++i)
    if (a.registers[i] != b.registers[i])
      out.registers.push_back({std::string(kCpu), std::string(table[i].name),
                               hex_of(table[i], a.registers[i]), hex_of(table[i], b.registers[i])});
  const diff::MachineDifference difference = diff::compare(a.side, b.side);
  for (const diff::PartDifference& part : difference.parts)
    for (const replay::play::FieldDifference& field : part.fields)
      out.fields.push_back({part.part, field.field, field.a, field.b});
  out.pages = difference.pages;
  out.bytes = difference.bytes;
  MemoryRows rows = memory_rows(difference, a.side, b.side, names);
  for (std::size_t i = 0; i < std::min(kMostRanges, difference.ranges.size()); ++i) {
    const diff::PageRange& range = difference.ranges[i];
    out.ranges.push_back(
        {physical_of(range.first << kPageBits), range.count, range.bytes, std::move(rows.range_names[i])});
  }
  for (std::size_t i = 0; i < std::min(kMostMemory, rows.all.size()); ++i) {
    MemoryRow& row = rows.all[i];
    out.memory.push_back(
        {row.at, names.linear(row.at), std::move(row.name), std::move(row.a), std::move(row.b)});
  }
  return out;
}

Result<TracesDifference> traces_difference(const diff::TraceDifference& difference, store::TraceReader& a,
                                           store::TraceReader& b) {
  TracesDifference out;
  out.relation = relation_text(difference);
  out.equal = difference.relation == diff::Relation::equal;
  if (difference.event)
    if (const Status added = add_events(*difference.event, a, b, out); !added) return added.failure();
  for (const diff::EventCount& count : difference.later)
    out.later.push_back({fmt::format("{} {}", store::name_of(count.kind), channel_name(count.channel)),
                         count.a, count.b, count.other_contents, count.other_instant});
  for (const diff::ConsoleDifference& console : difference.consoles)
    out.consoles.push_back({channel_name(console.channel), console.line, console.text});
  out.end_a = end_text(a);
  out.end_b = end_text(b);
  return out;
}

}  // namespace hindsight::debugger::cli
