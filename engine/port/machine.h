// A whole machine as record, replay and the debugger drive it. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/base/types.h"
#include "engine/port/debug.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"

namespace hindsight::engine::port {

enum class StopReason : std::uint8_t {
  reached = 0,       ///< the requested Icount
  power_off = 1,     ///< the guest switched itself off
  reset = 2,         ///< the guest asked for a reset
  triple_fault = 3,  ///< the CPU shut down
  idle_forever = 4,  ///< every CPU halted, no timer armed, no input to come
  interrupted = 5,   ///< request_stop()
  observed = 6,      ///< an Observer asked for it
};

/// Told of a page before it changes for the first time in an epoch: whoever still needs the old contents
/// keeps them now.
class PageKeeper {
 public:
  virtual ~PageKeeper() = default;
  virtual void about_to_change(std::uint64_t index, const std::byte* contents) = 0;
};

/// Guest RAM with dirty tracking by epochs, for digests and snapshots.
class RamPages {
 public:
  virtual ~RamPages() = default;
  [[nodiscard]] virtual std::uint64_t page_count() const = 0;
  /// The kPageSize bytes of RAM page `index` (pages of RAM only, counted without the hole below 4 GiB).
  [[nodiscard]] virtual const std::byte* page(std::uint64_t index) const = 0;
  [[nodiscard]] virtual GuestPhys address_of(std::uint64_t index) const = 0;
  /// Replaces a page's contents (restoring a snapshot); tracked like any other write.
  virtual void set_page(std::uint64_t index, const std::byte* contents) = 0;
  /// Starts a new epoch and returns the number of the one that ended (epochs start at 1; every page counts as
  /// dirtied in epoch 0 unless written since).
  virtual std::uint32_t end_epoch() = 0;
  /// Calls `visit` for each page dirtied in an epoch after `epoch`, in ascending order.
  virtual void for_each_dirty_after(std::uint32_t epoch,
                                    const std::function<void(std::uint64_t index)>& visit) const = 0;
  /// At most one keeper at a time; borrowed. nullptr: none.
  virtual void set_keeper(PageKeeper* keeper) = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;
  [[nodiscard]] virtual Instant now() const = 0;
  /// Runs until exactly `until` instructions are retired in total, or an earlier stop. Inputs due at `until`
  /// are not yet delivered when it returns `reached`.
  virtual StopReason run(Icount until) = 0;
  /// Makes run() return `interrupted` at the next slice boundary. Any thread, and signal handlers.
  virtual void request_stop() = 0;
  /// Every stateful part, in a fixed order, CPUs first. RAM is apart. The last one is the machine's own
  /// timeline: it is to be loaded before the others, which arm their timers by its clock.
  [[nodiscard]] virtual std::span<Stateful* const> parts() const = 0;
  [[nodiscard]] virtual RamPages& ram() = 0;
  [[nodiscard]] virtual DebugPort& debug() = 0;
  /// One line for divergence reports: where the CPU is ("rip=ffffffff81000000 cpl=0").
  [[nodiscard]] virtual std::string describe() const = 0;
};

}  // namespace hindsight::engine::port
