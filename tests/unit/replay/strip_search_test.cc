// The search on an experiment that knows which pieces are guilty.
#include <gtest/gtest.h>

#include <functional>

#include "replay/strip/search.h"

namespace hindsight::replay::strip {
namespace {

constexpr std::uint64_t kBetween = 1000;

/// Pieces of 8 bytes that come at regular times.
std::vector<Piece> pieces(std::uint32_t count) {
  std::vector<Piece> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back({i, 0, 8, Icount(kBetween * (i + 1))});
  return all;
}

class FakeExperiment final : public Experiment {
 public:
  /// Where the execution parts because of a replaced piece.
  using Judge = std::function<std::optional<Icount>(const Piece& piece)>;
  explicit FakeExperiment(Judge judge) : judge_(std::move(judge)) {}

  Result<std::optional<Icount>> run(std::span<const Piece> replaced, Icount limit) override {
    std::optional<Icount> first;
    for (const Piece& piece : replaced) {
      const auto parts = judge_(piece);
      if (parts && *parts <= limit) first = std::min(*parts, first.value_or(*parts));
    }
    return first;
  }
  std::vector<Piece> split(const Piece& piece) override {
    std::vector<Piece> bytes;
    for (std::uint32_t at = piece.begin; at < piece.end && piece.end - piece.begin > 1; ++at)
      bytes.push_back({piece.unit, at, at + 1, piece.comes});
    return bytes;
  }

 private:
  Judge judge_;
};

/// Byte 5 of this unit is guilty, `later` instructions after it came.
FakeExperiment::Judge guilty_byte(std::uint32_t unit, std::uint64_t later) {
  return [=](const Piece& piece) -> std::optional<Icount> {
    if (piece.unit != unit || piece.begin > 5 || piece.end <= 5) return std::nullopt;
    return piece.comes + later;
  };
}

std::uint64_t bytes_of(const std::vector<Piece>& all) {
  std::uint64_t sum = 0;
  for (const Piece& piece : all) sum += piece.end - piece.begin;
  return sum;
}

TEST(StripSearch, WhatNothingDependsOnIsReplacedInOneTrial) {
  FakeExperiment experiment([](const Piece&) { return std::nullopt; });
  const auto found = search(experiment, pieces(100), {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->replaced, pieces(100));
  EXPECT_EQ(found->trials, 1u);
  EXPECT_FALSE(found->out_of_trials);
}

TEST(StripSearch, OfAGuiltyPieceOnlyTheGuiltyByteStays) {
  FakeExperiment experiment(guilty_byte(40, 10));
  const auto found = search(experiment, pieces(100), {});
  ASSERT_TRUE(found);
  EXPECT_EQ(bytes_of(found->replaced), 799u);
  EXPECT_LT(found->trials, 25u);
}

TEST(StripSearch, APieceThatActsLongAfterItCameIsFound) {
  FakeExperiment experiment(guilty_byte(3, 90 * kBetween));
  const auto found = search(experiment, pieces(100), {});
  ASSERT_TRUE(found);
  EXPECT_EQ(bytes_of(found->replaced), 799u);
  EXPECT_LT(found->trials, 60u);
}

TEST(StripSearch, AFileOfWhichEachBlockIsGuiltyTakesFewTrials) {
  // Its checksum is compared when all of it came.
  FakeExperiment experiment([](const Piece& piece) -> std::optional<Icount> {
    if (piece.unit < 200 || piece.unit >= 700) return std::nullopt;
    return Icount(800 * kBetween);
  });
  const auto found = search(experiment, pieces(1000), {10'000});
  ASSERT_TRUE(found);
  for (const Piece& piece : found->replaced) EXPECT_TRUE(piece.unit < 200 || piece.unit >= 700);
  // A few of its neighbours may be taken for guilty.
  EXPECT_GE(bytes_of(found->replaced), 8u * 480);
  EXPECT_LT(found->trials, 2000u);
}

TEST(StripSearch, WithoutTrialsLeftItReturnsWhatHolds) {
  const auto judge = guilty_byte(40, 10);
  FakeExperiment experiment(judge);
  for (const std::uint64_t trials : {1u, 2u, 3u, 5u}) {
    const auto found = search(experiment, pieces(100), {trials});
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->out_of_trials);
    for (const Piece& piece : found->replaced) EXPECT_FALSE(judge(piece)) << trials;
    EXPECT_GE(bytes_of(found->replaced), trials < 5 ? 8u * 20 : 8u * 40);
  }
}

TEST(StripSearch, ARunThatPartsWithNothingReplacedIsAnError) {
  class Broken final : public Experiment {
   public:
    Result<std::optional<Icount>> run(std::span<const Piece>, Icount) override {
      return std::optional(Icount(10));
    }
    std::vector<Piece> split(const Piece&) override { return {}; }
  } experiment;
  const auto found = search(experiment, pieces(3), {});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.failure().message, "it parts by icount 10 with nothing replaced before");
}

}  // namespace
}  // namespace hindsight::replay::strip
