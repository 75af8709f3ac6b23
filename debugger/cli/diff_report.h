// What `hindsight diff` prints, for people or as one JSON object a line (replay/diff/DIFF.md lists them).
// Owned by the command; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "debugger/cli/memory_names.h"
#include "debugger/cli/memory_rows.h"
#include "replay/diff/machine_diff.h"
#include "replay/diff/parting.h"
#include "replay/diff/trace_diff.h"

namespace hindsight::debugger::cli {

struct ReportLimits {
  std::uint64_t bytes = 256;  ///< of memory that are shown
  std::uint64_t ranges = 32;  ///< of pages that are shown; JSON has all
};

class DiffReport final {
 public:
  DiffReport(bool json, ReportLimits limits) : json_(json), limits_(limits) {}

  /// Side 'a' or 'b'.
  void instant(char side, const std::string& trace, const replay::diff::Side& at, GuestVirt pc,
               const MemoryNames& names) const;
  void state(const replay::diff::MachineDifference& difference, const replay::diff::Side& a,
             const replay::diff::Side& b, const MemoryNames& names) const;

  void configuration(const std::vector<replay::diff::ConfigDifference>& differences) const;
  /// How the traces relate, in one line.
  void relation(const replay::diff::TraceDifference& difference, const traces::store::TraceReader& a,
                const traces::store::TraceReader& b) const;
  Status events(const replay::diff::TraceDifference& difference, traces::store::TraceReader& a,
                traces::store::TraceReader& b) const;
  /// `machine` stands at `parting.at`.
  void parting(const replay::diff::Parting& parting, engine::port::Machine& machine,
               const MemoryNames& names) const;
  /// Where a step from there led.
  void steps(const replay::diff::Parting& parting, GuestVirt pc_a, GuestVirt pc_b,
             const MemoryNames& names) const;
  void later(const replay::diff::TraceDifference& difference, const traces::store::TraceReader& a,
             const traces::store::TraceReader& b) const;
  void heading(const std::string& text) const;

 private:
  void fields(const replay::diff::MachineDifference& difference) const;
  void ranges(const replay::diff::MachineDifference& difference,
              const std::vector<std::vector<std::string>>& range_names) const;
  void bytes(const std::vector<MemoryRow>& rows, std::uint64_t all, const MemoryNames& names) const;
  Status event(const char* side, std::uint64_t number, const traces::store::Event& event,
               traces::store::TraceReader& trace) const;

  const bool json_;
  const ReportLimits limits_;
};

}  // namespace hindsight::debugger::cli
