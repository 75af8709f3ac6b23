#include "debugger/source/line_steps.h"

#include <algorithm>

namespace hindsight::debugger::source {
namespace {

constexpr std::size_t kMostStops = 1024;

std::vector<Dwarf_Off> calls_of(const Scopes& scopes) {
  std::vector<Dwarf_Off> calls;
  for (Dwarf_Die die : scopes)
    if (is_call(die)) calls.push_back(dwarf_dieoffset(&die));
  return calls;
}

bool same_line(const Line& a, const Line& b) { return a.file == b.file && a.number == b.number; }

}  // namespace

std::vector<const Line*> line_begins(DwarfFile& file, Unit& unit) {
  file.read(unit);
  std::vector<const Line*> begins;
  const Line* before = nullptr;
  for (std::size_t i = 0; i < unit.lines.size();) {
    // Of an address all rows: the last statement counts.
    const LinkAddress address = unit.lines[i].address;
    const Line* here = nullptr;
    bool end = false;
    for (; i < unit.lines.size() && unit.lines[i].address == address; ++i) {
      const Line& line = unit.lines[i];
      end |= line.end;
      if (line.statement && !line.end && line.number != 0) here = &line;
    }
    if (end) before = nullptr;
    if (here == nullptr) continue;
    if (before == nullptr || !same_line(*before, *here)) begins.push_back(here);
    before = here;
  }
  return begins;
}

std::vector<LineStop> line_stops(DwarfFile& file, Unit& unit, const Scopes& calls, const Line* but) {
  std::vector<LineStop> stops;
  if (calls.empty()) return stops;
  const std::vector<Dwarf_Off> chain = calls_of(calls);
  Dwarf_Die function = calls.front();
  for (const Line* line : line_begins(file, unit)) {
    if (but != nullptr && same_line(*line, *but)) continue;
    if (dwarf_haspc(&function, line->address) <= 0) continue;
    const std::vector<Dwarf_Off> there = calls_of(DwarfFile::scopes_in(function, line->address));
    if (there.size() > chain.size() || !std::equal(there.begin(), there.end(), chain.begin())) continue;
    const auto address = file.loaded(line->address);
    if (address) stops.push_back({*address, frame_rule(file, line->address)});
    if (stops.size() >= kMostStops) break;
  }
  return stops;
}

}  // namespace hindsight::debugger::source
