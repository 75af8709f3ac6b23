#include "debugger/query/call_tree.h"

#include <algorithm>
#include <tuple>

namespace hindsight::debugger::query {

CallTree::Index CallTree::child(Index parent, Function function) {
  if (function == kNoSymbol && parent != kRoot && nodes_[parent].function == kNoSymbol) return parent;
  const auto [found, is_new] = children_.try_emplace(Key{parent, function}, size());
  if (is_new) nodes_.push_back({.parent = parent, .function = function});
  return found->second;
}

void CallTree::add(const CallTree& other) {
  std::vector<Index> here(other.size(), kRoot);
  for (Index node = kRoot + 1; node < other.size(); ++node) {
    here[node] = child(here[other[node].parent], other[node].function);
    nodes_[here[node]].self += other[node].self;
    nodes_[here[node]].calls += other[node].calls;
  }
}

std::vector<std::uint64_t> CallTree::totals() const {
  std::vector<std::uint64_t> totals(size());
  for (Index node = size(); node-- > 0;) {
    totals[node] += nodes_[node].self;
    if (node != kRoot) totals[nodes_[node].parent] += totals[node];
  }
  return totals;
}

std::vector<FunctionProfile> by_function(const CallTree& tree) {
  std::unordered_map<std::uint64_t, std::size_t> places;
  std::vector<FunctionProfile> profiles;
  const std::vector<std::uint64_t> totals = tree.totals();
  for (CallTree::Index node = CallTree::kRoot + 1; node < tree.size(); ++node) {
    const Function function = tree[node].function;
    const auto [place, is_new] = places.try_emplace(function.value, profiles.size());
    if (is_new) profiles.push_back({.function = function});
    FunctionProfile& profile = profiles[place->second];
    profile.self += tree[node].self;
    profile.calls += tree[node].calls;
    // Only the outermost of calls within each other brings the total.
    CallTree::Index above = tree[node].parent;
    while (above != CallTree::kRoot && tree[above].function != function) above = tree[above].parent;
    if (above == CallTree::kRoot) profile.total += totals[node];
  }
  std::ranges::sort(profiles, [](const FunctionProfile& a, const FunctionProfile& b) {
    return std::tuple(b.self, b.total, a.function) < std::tuple(a.self, a.total, b.function);
  });
  return profiles;
}

}  // namespace hindsight::debugger::query
