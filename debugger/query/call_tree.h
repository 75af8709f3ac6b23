// What ran, by who called whom: a tree of functions with exact counts of instructions. Values; one thread.
// Whatever order pieces of history are counted in, merging them in time's order gives one tree.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::debugger::query {

/// A function: the address where its symbol begins, or one of these.
using Function = GuestVirt;
inline constexpr Function kNoSymbol{0};  ///< code that no symbol covers
inline constexpr Function kUser{1};      ///< all of user space
inline constexpr Function kWithin{2};  ///< code that functions jump to for their end, such as a return thunk

class CallTree final {
 public:
  using Index = std::uint32_t;
  static constexpr Index kRoot = 0;

  struct Node {
    Index parent = kRoot;
    Function function;
    std::uint64_t self = 0;   ///< instructions
    std::uint64_t calls = 0;  ///< entries
  };

  CallTree() { nodes_.push_back({}); }
  /// The function as called from that place; made when there is none. Code without symbols that calls such
  /// code stays one place.
  Index child(Index parent, Function function);
  [[nodiscard]] Node& operator[](Index node) { return nodes_[node]; }
  [[nodiscard]] const Node& operator[](Index node) const { return nodes_[node]; }
  /// Parents come before their children.
  [[nodiscard]] Index size() const { return static_cast<Index>(nodes_.size()); }
  void add(const CallTree& other);
  /// Of each node: its own instructions and those of all below it.
  [[nodiscard]] std::vector<std::uint64_t> totals() const;

 private:
  struct Key {
    Index parent;
    Function function;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return (key.function.value ^ (std::uint64_t{key.parent} << 40)) * 0x9e37'79b9'7f4a'7c15 >> 20;
    }
  };
  std::vector<Node> nodes_;
  std::unordered_map<Key, Index, Hash> children_;  ///< never walked
};

/// One function, wherever it was called from.
struct FunctionProfile {
  Function function;
  std::uint64_t self = 0;
  std::uint64_t total = 0;  ///< with what it called; a recursive function's calls of itself count once
  std::uint64_t calls = 0;
};
/// In the order of self, largest first.
[[nodiscard]] std::vector<FunctionProfile> by_function(const CallTree& tree);

}  // namespace hindsight::debugger::query
