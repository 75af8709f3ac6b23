#include "replay/diff/parting.h"

#include <algorithm>

#include "replay/record/state_digest.h"

namespace hindsight::replay::diff {
namespace {

using timeline::Arrival;
using timeline::Move;
using timeline::Timeline;

/// Both timelines, moved together.
class Pair final {
 public:
  Pair(Timeline& a, Timeline& b) : a_(a), b_(b), digester_a_(a.machine()), digester_b_(b.machine()) {}

  Status seek(Position to) {
    if (const Status moved = done(a_.seek(to)); !moved) return moved;
    return done(b_.seek(to));
  }
  /// One position on. False: history ends for one of them.
  Result<bool> step() {
    for (Timeline* line : {&a_, &b_}) {
      const Result<Move> move = line->step_forward(1);
      if (!move) return move.failure();
      if (move->arrival == Arrival::interrupted) return error("interrupted");
      if (move->arrival == Arrival::end) return false;
    }
    return true;
  }
  [[nodiscard]] bool equal() {
    if (a_.now() != b_.now()) return false;
    const traces::store::Digest a = digester_a_.take(false, {}), b = digester_b_.take(false, {});
    const auto same_part = [](const traces::store::PartDigest& x, const traces::store::PartDigest& y) {
      return x.name == y.name && x.hash == y.hash;
    };
    return a.at == b.at && a.ram == b.ram && std::ranges::equal(a.parts, b.parts, same_part);
  }
  Result<bool> equal_at(Position at) {
    if (const Status sought = seek(at); !sought) return sought.failure();
    return equal();
  }
  [[nodiscard]] Parting parting(std::optional<Position> at) const { return {at, a_.now(), b_.now()}; }
  [[nodiscard]] Position first() const { return std::max(a_.first(), b_.first()); }
  [[nodiscard]] Position last() const { return std::min(a_.last(), b_.last()); }

 private:
  static Status done(const Result<Move>& move) {
    if (!move) return move.failure();
    if (move->arrival == Arrival::interrupted) return error("interrupted");
    return Done{};
  }

  Timeline& a_;
  Timeline& b_;
  record::StateDigester digester_a_, digester_b_;
};

using Found = Result<std::optional<Parting>>;

/// Instructions that are compared one by one.
constexpr std::uint64_t kNear = 64;

/// From a position where they are equal, where `pair` stands, on to the step that parts them.
Found walk(Pair& pair, Position equal, Icount until) {
  while (equal.icount < until) {
    const Result<bool> stepped = pair.step();
    if (!stepped) return stepped.failure();
    if (!pair.equal()) return std::optional(pair.parting(equal));
    if (!*stepped) break;
    equal = pair.parting({}).next_a;
  }
  return std::optional<Parting>();
}

/// They are equal at `low` and differ at `high`.
Found bisect(Pair& pair, Icount low, Icount high) {
  while (high - low > 1) {
    const Icount middle = low + (high - low) / 2;
    const Result<bool> equal = pair.equal_at({middle, 0});
    if (!equal) return equal.failure();
    (*equal ? low : high) = middle;
  }
  if (const Status sought = pair.seek({low, 0}); !sought) return sought.failure();
  return walk(pair, {low, 0}, high);
}

/// They differ at `high`.
Found search_back(Pair& pair, Icount high) {
  const Icount first = pair.first().icount;
  for (std::uint64_t distance = 1;; distance *= 2) {
    const Icount low = high - first > distance ? high - distance : first;
    const Result<bool> equal = pair.equal_at({low, 0});
    if (!equal) return equal.failure();
    if (*equal) return bisect(pair, low, high);
    if (low == first) return std::optional(pair.parting(std::nullopt));
    high = low;
  }
}

/// They are equal at `low`.
Found search_on(Pair& pair, Icount low) {
  const Icount last = pair.last().icount;
  for (std::uint64_t distance = kNear; low < last; distance *= 2) {
    const Icount next = low + std::min(distance, last - low);
    const Result<bool> equal = pair.equal_at({next, 0});
    if (!equal) return equal.failure();
    if (!*equal) return bisect(pair, low, next);
    low = next;
  }
  return std::optional<Parting>();
}

}  // namespace

Found first_difference(Timeline& a, Timeline& b, Position from) {
  Pair pair(a, b);
  from = std::clamp(from, pair.first(), std::max(pair.last(), pair.first()));
  const Result<bool> equal = pair.equal_at(from);
  if (!equal) return equal.failure();
  if (!*equal) return search_back(pair, from.icount);
  // Most often it is the very step that takes in what differs.
  const Icount near = std::min(from.icount + kNear, pair.last().icount);
  const Found found = walk(pair, from, near);
  if (!found || *found) return found;
  return search_on(pair, near);
}

}  // namespace hindsight::replay::diff
