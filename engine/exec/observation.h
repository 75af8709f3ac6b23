// What a debugger asked the machine to watch for, and where on the timeline the machine stands. Owned by the
// machine; the run loop's thread. Holds nothing that the guest could see.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/mmu/io_bus.h"
#include "engine/port/debug.h"

namespace hindsight::engine::exec {

class Observation final : public mmu::IoObserver {
 public:
  /// The sites of breakpoints by their offset in a page: code there never becomes part of a block, so that
  /// the run loop sees every arrival, whatever the address space.
  using Offsets = std::bitset<kPageSize>;

  void set(const port::Interests& interests, port::Observer* observer);
  [[nodiscard]] const port::Interests& interests() const { return interests_; }
  [[nodiscard]] const Offsets& offsets() const { return offsets_; }

  /// The observer asked to stop, and the machine has not stopped yet.
  [[nodiscard]] bool stopping() const { return stopping_; }
  /// Whether the machine must stop now; once.
  bool take_stop() {
    const bool stop = stopping_;
    stopping_ = false;
    return stop;
  }

  [[nodiscard]] port::Position position(Icount icount) const {
    return {icount, icount == delivered_at_ ? deliveries_ : 0};
  }
  void stand_at(port::Position position) {
    delivered_at_ = position.icount;
    deliveries_ = position.delivery;
    stopping_ = false;
    devices_.clear();
  }

  /// The instruction at `pc` is next: true if the machine is to stop before it.
  [[nodiscard]] bool arrives(port::Position at, std::uint64_t pc);
  void delivered(port::Delivery delivery, Icount icount);
  void transferred(const port::Transfer& transfer);
  /// The instruction at `pc` that began at `at` has ended: tells what it accessed.
  void instruction_done(port::Position at, std::uint64_t pc, std::vector<port::Access>& accesses);

  // mmu::IoObserver
  void device_accessed(const port::DeviceAccess& access) override { devices_.push_back(access); }

 private:
  port::Interests interests_;
  port::Observer* observer_ = nullptr;
  std::unordered_set<std::uint64_t> breakpoints_;
  Offsets offsets_;
  bool stopping_ = false;
  Icount delivered_at_{0};
  std::uint32_t deliveries_ = 0;
  std::vector<port::DeviceAccess> devices_;  ///< by the instruction that is being executed
};

}  // namespace hindsight::engine::exec
