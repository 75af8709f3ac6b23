// Everything that happened along the timeline, in lanes, so that how dense it is can be told at any zoom
// without looking at each. Gathered stretch by stretch; a stretch is immutable and shared by all later
// indexes. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "debugger/session/session.h"

namespace hindsight::debugger::ui {

struct LaneInfo {
  enum class Group : std::uint8_t {
    exceptions,
    interrupts,
    system_calls,
    context_switches,
    device,
    output,
    input,
    sample
  };
  Group group = Group::exceptions;
  unsigned vector = 0;  ///< of interrupts
  std::string name;     ///< for people: "irq ec", "serial0"
  friend bool operator==(const LaneInfo&, const LaneInfo&) = default;
};

/// What one stretch holds; `lanes` in the order of ActivityIndex::lanes(), perhaps fewer.
struct Stretch {
  session::Activity activity;
  std::vector<std::vector<std::uint64_t>> lanes;              ///< icounts, in order
  std::unordered_map<std::uint64_t, std::string> names = {};  ///< of code addresses; only looked up
};

class ActivityIndex final {
 public:
  /// Appends a stretch that begins where the last one ended.
  void add(session::Activity activity, std::unordered_map<std::uint64_t, std::string> names = {});
  /// The trace's inputs and samples, which need no gathering.
  void set_events(const std::vector<session::EventInfo>& events);

  [[nodiscard]] const std::vector<LaneInfo>& lanes() const { return lanes_; }
  /// Everything up to here is known.
  [[nodiscard]] session::Position gathered_to() const { return gathered_to_; }
  [[nodiscard]] std::uint64_t total(std::size_t lane) const;

  /// How much of `lane` happened in each of `columns` equal parts of [from, to).
  [[nodiscard]] std::vector<std::uint32_t> density(std::size_t lane, std::uint64_t from, std::uint64_t to,
                                                   std::size_t columns) const;
  /// The happening of that lane nearest to `icount`, within `reach`; its icount.
  [[nodiscard]] std::optional<std::uint64_t> nearest(std::size_t lane, std::uint64_t icount,
                                                     std::uint64_t reach) const;
  /// The first happenings in [from, to), at most `most`, for lists and hovering.
  struct Item {
    const Stretch* stretch;
    const session::Happening* what;
  };
  [[nodiscard]] std::vector<Item> items(std::uint64_t from, std::uint64_t to, std::size_t most) const;
  [[nodiscard]] const std::vector<std::shared_ptr<const Stretch>>& stretches() const { return stretches_; }
  [[nodiscard]] std::size_t lane_of(const Stretch& stretch, const session::Happening& what) const;

 private:
  std::size_t lane(const LaneInfo& info);
  [[nodiscard]] std::optional<std::size_t> find(const LaneInfo& info) const;
  static LaneInfo info_of(const session::Activity& activity, const session::Happening& what);

  std::vector<LaneInfo> lanes_;
  std::vector<std::shared_ptr<const Stretch>> stretches_;
  std::shared_ptr<const Stretch> events_;  ///< spans the whole trace
  session::Position gathered_to_;
};

}  // namespace hindsight::debugger::ui
