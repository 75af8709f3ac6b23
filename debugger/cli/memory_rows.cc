#include "debugger/cli/memory_rows.h"

#include <algorithm>

namespace hindsight::debugger::cli {
namespace {

namespace diff = replay::diff;

/// "jiffies (CPU 0's)" of "jiffies+0x8 (CPU 0's)".
std::string without_offset(const std::string& name) {
  const std::size_t plus = std::min(name.find("+0x"), name.size());
  return name.substr(0, plus) + name.substr(std::min(name.find(' ', plus), name.size()));
}

}  // namespace

MemoryRows memory_rows(const diff::MachineDifference& difference, const diff::Side& a, const diff::Side& b,
                       const MemoryNames& names) {
  constexpr std::size_t kWide = 16, kMostOfRange = 4096, kMostNames = 4, kMostRows = 100'000;
  MemoryRows rows;
  for (const diff::PageRange& range : difference.ranges) {
    std::vector<std::string>& here = rows.range_names.emplace_back();
    std::size_t left = kMostOfRange;
    diff::for_each_run(a, b, range, [&](const diff::ByteRun& run) {
      for (std::size_t i = 0; i < run.a.size(); i += kWide) {
        const std::size_t size = std::min(kWide, run.a.size() - i);
        const auto piece_a = run.a.subspan(i, size), piece_b = run.b.subspan(i, size);
        const GuestPhys at = physical_of(run.offset + i);
        std::string name = names.data(at);
        const std::string base = without_offset(name);
        if (!base.empty() && here.size() < kMostNames && std::ranges::find(here, base) == here.end())
          here.push_back(base);
        if (rows.all.size() < kMostRows || !name.empty()) {
          rows.all.push_back(
              {at, {piece_a.begin(), piece_a.end()}, {piece_b.begin(), piece_b.end()}, std::move(name)});
        }
      }
      left -= std::min(left, run.a.size() / 8);
      return left > 0;
    });
  }
  std::stable_partition(rows.all.begin(), rows.all.end(),
                        [](const MemoryRow& row) { return !row.name.empty(); });
  return rows;
}

}  // namespace hindsight::debugger::cli
