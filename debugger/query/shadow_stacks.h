// The call stacks of a guest that runs, kept beside it: told of every transfer and delivery, in order, it
// counts in a call tree which function each instruction belongs to. There is a stack for each context that
// the guest switches between, told apart by where its stack pointer lies. Owned by whoever looks at a piece
// of history; one thread. What it says depends on what it is told alone.
//
// A stretch between two transfers counts for the function in which it ends. So the counts are exact, but for
// functions that are left by a jump into another one: what ran there since the last call or return counts for
// the other one.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "debugger/query/call_tree.h"
#include "engine/port/debug.h"

namespace hindsight::debugger::query {

class ShadowStacks final {
 public:
  /// A stack pointer that is not known.
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

  struct Frame {
    Function function;
    std::uint64_t stack = kUnknown;  ///< where its return address lies, or the last place that is its own
  };
  /// The guest as it is after the event that is told.
  class Guest {
   public:
    virtual ~Guest() = default;
    virtual Function function_of(GuestVirt pc) = 0;
    /// The present stack, outermost first; may be empty.
    virtual std::vector<Frame> unwound() = 0;
    virtual bool in_user() = 0;
  };

  ShadowStacks(CallTree& tree, Guest& guest) : tree_(tree), guest_(guest) {}

  void begin(Icount now);
  void transfer(const engine::port::Transfer& transfer);
  void delivery(const engine::port::Delivery& delivery);
  void end(Icount now);

 private:
  struct Entry {
    std::uint64_t stack;
    CallTree::Index node;
  };
  using Thread = std::vector<Entry>;
  static constexpr unsigned kStackBits = 14;  ///< Linux aligns its stacks to their size of 16 KiB
  static constexpr std::size_t kDeepest = 4096;
  [[nodiscard]] static std::uint64_t region(std::uint64_t stack) { return stack >> kStackBits; }
  /// A linear address of the lower half.
  [[nodiscard]] static bool low(std::uint64_t address) { return address >> 63 == 0; }

  void called(const engine::port::Transfer& transfer);
  void returned(const engine::port::Transfer& transfer);
  void entered(const engine::port::Transfer& transfer);
  void left(const engine::port::Transfer& transfer);

  [[nodiscard]] Thread& stack() { return threads_[active_]; }
  [[nodiscard]] Thread unwound();
  void push(std::uint64_t stack, GuestVirt to);
  /// Takes away what lies below the stack pointer, and so has been left.
  void drop_below(std::uint64_t stack);
  /// Whether the stack pointer lies on a stack of the present context; what was put on others since is left.
  bool back_on(std::uint64_t stack, bool unknown_fits);
  /// Makes the context that the stack pointer belongs to the present one.
  void switch_to(std::uint64_t stack, const engine::port::Transfer& transfer);
  void leave_for(Function caller);
  /// The present function is the one at `pc`, however the CPU came there.
  void stand_in(GuestVirt pc);
  void count_up_to(Icount now);

  CallTree& tree_;
  Guest& guest_;
  Icount counted_{0};  ///< all before is in the tree
  bool user_ = false;
  std::size_t active_ = 0;
  std::vector<Thread> threads_{1};
  std::unordered_map<std::uint64_t, std::size_t> owners_;  ///< by region; never walked
  std::uint64_t owned_region_ = kUnknown;                  ///< the last one that was given to active_
};

}  // namespace hindsight::debugger::query
