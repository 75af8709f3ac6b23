#include "replay/strip/search.h"

#include <algorithm>
#include <tuple>

namespace hindsight::replay::strip {
namespace {

/// So many pieces are divided before the result is secured by a run to the end.
constexpr std::size_t kBatch = 256;

bool before(const Piece& a, const Piece& b) {
  return std::tie(a.comes, a.unit, a.begin) < std::tie(b.comes, b.unit, b.begin);
}

class Search final {
 public:
  Search(Experiment& experiment, const SearchOptions& options) : experiment_(experiment), options_(options) {}

  Result<Findings> run(std::vector<Piece> pieces) {
    replaced_ = std::move(pieces);
    if (const Status settled = settle_twice(); !settled) return settled.failure();
    while (!out_ && !kept_.empty()) {
      if (const Status refined = refine(); !refined) return refined.failure();
    }
    return Findings{std::move(secured_), trials_, out_};
  }

 private:
  using Parting = std::optional<Icount>;

  Result<Parting> try_first(std::size_t count, Icount limit) {
    if (options_.progress) options_.progress(trials_, holds_);
    ++trials_;
    return experiment_.run(std::span(replaced_).first(count), limit);
  }
  [[nodiscard]] bool spent() { return out_ = out_ || trials_ >= options_.trials; }

  [[nodiscard]] std::size_t come_by(Icount limit) const {
    const auto end = std::ranges::upper_bound(replaced_, limit, {}, &Piece::comes);
    return static_cast<std::size_t>(end - replaced_.begin());
  }

  /// The first piece with which (and those before it) the execution parts by `limit`, which it does with all
  /// of them. Mostly it is among the last that came, so those are tried first. Nothing: no trials are left.
  Result<std::optional<std::size_t>> find_guilty(Icount limit) {
    std::size_t good = 0, bad = come_by(limit);
    for (std::size_t step = 1, next = 0; good == 0 && bad > 1; step *= 2) {
      next = step < bad ? bad - step : 0;
      if (next == 0) break;
      if (const Status tried = probe(next, limit, good, bad); !tried) return tried.failure();
      if (spent()) return std::optional<std::size_t>();
    }
    while (bad > good + 1) {
      if (const Status tried = probe(good + (bad - good) / 2, limit, good, bad); !tried)
        return tried.failure();
      if (spent()) return std::optional<std::size_t>();
    }
    if (bad == 0) return error("it parts by icount {} with nothing replaced before", limit.value);
    return std::optional(bad - 1);
  }
  Status probe(std::size_t count, Icount& limit, std::size_t& good, std::size_t& bad) {
    const auto parting = try_first(count, limit);
    if (!parting) return parting.failure();
    if (!*parting) {
      good = count;
      return Done{};
    }
    limit = std::min(limit, **parting);
    bad = std::min(count, come_by(limit));
    return Done{};
  }

  /// Guilty pieces mostly have guilty neighbours: each find beside the last one takes twice as many with it,
  /// which are only assumed to be guilty.
  void keep(std::size_t guilty, Icount limit) {
    const bool after = guilty == gap_, behind = guilty + 1 == gap_;
    streak_ = after || behind ? std::min<std::size_t>(streak_ * 2, 1 << 20) : 1;
    const std::size_t first = behind ? guilty - std::min(guilty, streak_ - 1) : guilty;
    const std::size_t end = after ? std::min(guilty + streak_, come_by(limit)) : guilty + 1;
    for (std::size_t i = first; i < end; ++i) (i == guilty ? kept_ : assumed_).push_back(replaced_[i]);
    replaced_.erase(replaced_.begin() + static_cast<std::ptrdiff_t>(first),
                    replaced_.begin() + static_cast<std::ptrdiff_t>(end));
    gap_ = first;
  }

  /// Keeps pieces until a run to the end does not part.
  Status settle() {
    streak_ = 1;
    gap_ = ~std::size_t{0};
    while (true) {
      const auto parting = try_first(replaced_.size(), Icount::max());
      if (!parting) return parting.failure();
      if (!*parting) break;
      holds_ = **parting;
      const auto guilty = spent() ? Result(std::optional<std::size_t>()) : find_guilty(**parting);
      if (!guilty) return guilty.failure();
      if (!*guilty) return retreat();
      keep(**guilty, **parting);
    }
    secured_ = replaced_;
    return Done{};
  }

  /// No trials are left: keeps more and more of what was not tried, from the end, until a run does not part.
  /// What was secured before is the least.
  Status retreat() {
    for (std::size_t count = come_by(holds_); count > 0; count /= 2) {
      const auto parting = try_first(count, Icount::max());
      if (!parting) return parting.failure();
      if (*parting) continue;
      replaced_.resize(count);
      if (bytes(replaced_) > bytes(secured_)) secured_ = replaced_;
      return Done{};
    }
    return Done{};
  }
  static std::uint64_t bytes(const std::vector<Piece>& pieces) {
    std::uint64_t sum = 0;
    for (const Piece& piece : pieces) sum += piece.end - piece.begin;
    return sum;
  }

  /// Those that were only assumed to be guilty get a trial of their own.
  Status settle_twice() {
    if (const Status settled = settle(); !settled) return settled;
    if (out_ || assumed_.empty()) return Done{};
    replaced_.insert(replaced_.end(), assumed_.begin(), assumed_.end());
    assumed_.clear();
    std::ranges::sort(replaced_, before);
    const Status settled = settle();
    kept_.insert(kept_.end(), assumed_.begin(), assumed_.end());
    assumed_.clear();
    return settled;
  }

  /// Divides some of the pieces that were kept, and tries their parts.
  Status refine() {
    std::ranges::sort(kept_, before);
    const auto batch = kept_.begin() + static_cast<std::ptrdiff_t>(std::min(kept_.size(), kBatch));
    std::vector<std::vector<Piece>> parts;
    std::for_each(kept_.begin(), batch,
                  [&](const Piece& whole) { parts.push_back(experiment_.split(whole)); });
    kept_.erase(kept_.begin(), batch);
    const std::size_t count = replaced_.size();
    for (const auto& of_one : parts) replaced_.insert(replaced_.end(), of_one.begin(), of_one.end());
    if (replaced_.size() == count) return Done{};
    std::ranges::sort(replaced_, before);
    if (const Status settled = settle_twice(); !settled) return settled;
    for (const auto& of_one : parts) leave_if_guilty(of_one);
    return Done{};
  }

  /// What is guilty in all its many parts is so to the last byte, as what has a checksum is: they are not
  /// divided any more.
  void leave_if_guilty(const std::vector<Piece>& parts) {
    constexpr std::size_t kMany = 4;
    const auto guilty = [&](const Piece& part) { return std::ranges::find(kept_, part) != kept_.end(); };
    if (parts.size() < kMany || !std::ranges::all_of(parts, guilty)) return;
    std::erase_if(kept_, [&](const Piece& piece) { return std::ranges::find(parts, piece) != parts.end(); });
  }

  Experiment& experiment_;
  const SearchOptions& options_;
  std::vector<Piece> replaced_;       ///< of the next trial, in order
  std::vector<Piece> kept_;           ///< not divided yet
  std::vector<Piece> assumed_;        ///< kept with a neighbour
  std::vector<Piece> secured_;        ///< a run to the end did not part
  std::size_t gap_ = 0, streak_ = 1;  ///< where the last find was taken out of replaced_; how many at a time
  std::uint64_t trials_ = 0;
  bool out_ = false;
  Icount holds_;
};

}  // namespace

Result<Findings> search(Experiment& experiment, std::vector<Piece> pieces, const SearchOptions& options) {
  if (pieces.empty()) return Findings{};
  return Search(experiment, options).run(std::move(pieces));
}

}  // namespace hindsight::replay::strip
