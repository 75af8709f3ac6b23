#include "debugger/query/shadow_stacks.h"

#include <algorithm>

namespace hindsight::debugger::query {

using engine::port::Delivery;
using engine::port::Transfer;

void ShadowStacks::begin(Icount now) {
  counted_ = now;
  user_ = guest_.in_user();
  stack() = unwound();
}

void ShadowStacks::transfer(const Transfer& transfer) {
  switch (transfer.kind) {
    case Transfer::Kind::call:
      if (!user_) called(transfer);
      break;
    case Transfer::Kind::ret:
      if (!user_) returned(transfer);
      break;
    case Transfer::Kind::enter:
      entered(transfer);
      break;
    case Transfer::Kind::leave:
      left(transfer);
      break;
  }
}

void ShadowStacks::called(const Transfer& transfer) {
  const std::uint64_t caller = transfer.stack + 8;
  if (!stack().empty() && !back_on(caller, false)) {
    // A function that goes to another stack, such as the interrupts' one, and calls from there is not left.
    const Function present = tree_[stack().back().node].function;
    if (present != guest_.function_of(transfer.from)) switch_to(caller, transfer);
  }
  drop_below(caller);
  stand_in(transfer.from);
  count_up_to(transfer.at.icount + 1);
  push(transfer.stack, transfer.to);
}

void ShadowStacks::returned(const Transfer& transfer) {
  const std::uint64_t slot = transfer.stack - 8;
  const bool switched = !stack().empty() && !back_on(slot, false);
  if (switched) switch_to(slot, transfer);
  drop_below(slot);
  stand_in(transfer.from);
  count_up_to(transfer.at.icount + 1);
  drop_below(transfer.stack);
  const bool lost =
      stack().empty() || (switched && tree_[stack().back().node].function != guest_.function_of(transfer.to));
  // Another context came to have this stack.
  if (lost) stack() = unwound();
  leave_for(guest_.function_of(transfer.to));
  // A retpoline calls a function by returning to it.
  if (guest_.function_of(transfer.to) == transfer.to) stand_in(transfer.to);
}

void ShadowStacks::entered(const Transfer& transfer) {
  if (!user_) stand_in(transfer.from);
  count_up_to(transfer.at.icount + 1);
  user_ = false;
  push(low(transfer.stack) ? kUnknown : transfer.stack, transfer.to);
}

void ShadowStacks::left(const Transfer& transfer) {
  stand_in(transfer.from);
  count_up_to(transfer.at.icount + 1);
  if (low(transfer.to.value) && guest_.in_user()) {
    user_ = true;
    stack().assign(1, {kUnknown, tree_.child(CallTree::kRoot, kUser)});
    return;
  }
  if (back_on(transfer.stack, true)) drop_below(transfer.stack);
}

void ShadowStacks::delivery(const Delivery& delivery) {
  if (!user_) {
    if (!stack().empty() && region(stack().back().stack) == region(delivery.stack))
      drop_below(delivery.stack);
    stand_in(delivery.pc);
  }
  count_up_to(delivery.at.icount);
  user_ = false;
  push(delivery.stack, delivery.handler);
}

void ShadowStacks::end(Icount now) { count_up_to(now); }

ShadowStacks::Thread ShadowStacks::unwound() {
  Thread thread;
  CallTree::Index node = CallTree::kRoot;
  for (const Frame& frame : guest_.unwound()) {
    node = tree_.child(node, frame.function);
    thread.push_back({frame.stack, node});
    if (frame.stack != kUnknown) owners_[region(frame.stack)] = active_;
  }
  owned_region_ = kUnknown;
  return thread;
}

void ShadowStacks::push(std::uint64_t stack_pointer, GuestVirt to) {
  Thread& present = stack();
  // Deeper than any kernel's stack: something that leaves no trace on it, and is not kept apart.
  if (present.size() >= kDeepest) present.erase(present.begin() + 1, present.begin() + kDeepest / 2);
  const CallTree::Index parent = present.empty() ? CallTree::kRoot : present.back().node;
  const CallTree::Index node = tree_.child(parent, guest_.function_of(to));
  tree_[node].calls++;
  present.push_back({stack_pointer, node});
  if (stack_pointer == kUnknown || region(stack_pointer) == owned_region_) return;
  owned_region_ = region(stack_pointer);
  owners_[owned_region_] = active_;
}

void ShadowStacks::drop_below(std::uint64_t stack_pointer) {
  Thread& present = stack();
  while (!present.empty() && present.back().stack < stack_pointer &&
         region(present.back().stack) == region(stack_pointer))
    present.pop_back();
}

bool ShadowStacks::back_on(std::uint64_t stack_pointer, bool unknown_fits) {
  Thread& present = stack();
  const auto fits = [&](const Entry& entry) { return region(entry.stack) == region(stack_pointer); };
  if (present.empty()) return false;
  if (fits(present.back()) || present.back().stack == kUnknown) return true;
  const auto found = std::find_if(present.rbegin(), present.rend(), [&](const Entry& entry) {
    return fits(entry) || (unknown_fits && entry.stack == kUnknown);
  });
  if (found == present.rend()) return false;
  present.erase(found.base(), present.end());
  return true;
}

void ShadowStacks::switch_to(std::uint64_t stack_pointer, const Transfer& transfer) {
  const auto owner = owners_.find(region(stack_pointer));
  owned_region_ = kUnknown;
  if (owner != owners_.end() && owner->second != active_) {
    active_ = owner->second;
    if (back_on(stack_pointer, false)) return;
  } else if (owner == owners_.end()) {
    active_ = threads_.size();
    threads_.emplace_back();
  }
  stack() = unwound();
  // As it was before the transfer, which is still to be counted.
  if (transfer.kind == Transfer::Kind::ret) {
    const CallTree::Index caller = stack().empty() ? CallTree::kRoot : stack().back().node;
    stack().push_back({stack_pointer, tree_.child(caller, guest_.function_of(transfer.from))});
  } else if (!stack().empty()) {
    stack().pop_back();
  }
}

/// A function may have moved its return address, as entry code does that saves registers on its way.
void ShadowStacks::leave_for(Function caller) {
  Thread& present = stack();
  if (present.size() < 2 || tree_[present.back().node].function == caller) return;
  if (tree_[present[present.size() - 2].node].function == caller) present.pop_back();
}

void ShadowStacks::stand_in(GuestVirt pc) {
  Thread& present = stack();
  const Function function = guest_.function_of(pc);
  if (function == kWithin && !present.empty()) return;
  if (present.empty()) {
    present.push_back({kUnknown, tree_.child(CallTree::kRoot, function)});
    return;
  }
  Entry& top = present.back();
  const Function there = tree_[top.node].function;
  if (there == function) return;
  const bool from_user = there == kUser;
  const CallTree::Index node = tree_.child(from_user ? top.node : tree_[top.node].parent, function);
  tree_[node].calls++;
  if (from_user) {
    present.push_back({kUnknown, node});
  } else {
    top.node = node;
  }
}

void ShadowStacks::count_up_to(Icount now) {
  if (stack().empty()) stack().push_back({kUnknown, tree_.child(CallTree::kRoot, kNoSymbol)});
  tree_[stack().back().node].self += now - counted_;
  counted_ = now;
}

}  // namespace hindsight::debugger::query
