// Which pieces of data can be replaced without the execution parting from the recorded one, found by trying:
// group testing over the pieces in the order in which they come. Knows no machine: an Experiment is one, or a
// test's. One thread. Deterministic: the same experiment gives the same answer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace hindsight::replay::strip {

/// Bytes [begin, end) of a unit of data, which the guest has from `comes` on.
struct Piece {
  std::uint32_t unit = 0;
  std::uint32_t begin = 0, end = 0;
  Icount comes;
  friend bool operator==(const Piece&, const Piece&) = default;
};

class Experiment {
 public:
  virtual ~Experiment() = default;
  /// Runs with these pieces replaced and no others, up to `limit`. Says by when the execution has parted, or
  /// nothing if it has not.
  virtual Result<std::optional<Icount>> run(std::span<const Piece> replaced, Icount limit) = 0;
  /// The smaller pieces of one; none if it cannot be divided.
  virtual std::vector<Piece> split(const Piece& piece) = 0;
};

struct SearchOptions {
  std::uint64_t trials = 1000;  ///< at most, give or take the few that secure what was found
  /// Called before each trial with its number and how far the execution is known to hold; may be empty.
  std::function<void(std::uint64_t trial, Icount holds)> progress = {};
};

struct Findings {
  std::vector<Piece> replaced;  ///< with these, a run to the end did not part
  std::uint64_t trials = 0;
  bool out_of_trials = false;  ///< more might be replaced
};

/// `pieces` in the order in which they come.
Result<Findings> search(Experiment& experiment, std::vector<Piece> pieces, const SearchOptions& options);

}  // namespace hindsight::replay::strip
