#include "replay/snapshot/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace hindsight::replay::snapshot {
namespace {

std::vector<PageRef> copies(PagePool& pool, std::size_t count, std::uint8_t with) {
  const std::vector<std::byte> contents(kPageSize, std::byte{with});
  std::vector<PageRef> pages;
  while (pages.size() < count) pages.push_back(pool.copy(contents.data()));
  return pages;
}

bool all_hold(const std::vector<PageRef>& pages, std::uint8_t value) {
  return std::ranges::all_of(pages, [&](const PageRef& page) {
    return std::ranges::all_of(page->bytes, [&](std::byte byte) { return byte == std::byte{value}; });
  });
}

TEST(PagePool, EveryPageIsItsOwn) {
  const auto pool = std::make_shared<PagePool>();
  const auto ones = copies(*pool, 700, 1), twos = copies(*pool, 700, 2);
  EXPECT_TRUE(all_hold(ones, 1));
  EXPECT_TRUE(all_hold(twos, 2));
}

TEST(PagePool, GivesMemoryBackAndUsesWhatIsFree) {
  const auto pool = std::make_shared<PagePool>();
  auto many = copies(*pool, 5'000, 1);
  const std::uint64_t most = pool->bytes();
  EXPECT_GE(most, 5'000 * kPageSize);
  for (std::size_t i = 0; i < many.size(); i += 2) many[i].reset();
  const auto others = copies(*pool, 2'500, 2);
  EXPECT_EQ(pool->bytes(), most);
  many.clear();
  EXPECT_TRUE(all_hold(others, 2));
  EXPECT_LE(pool->bytes(), most);
}

TEST(PagePool, KeepsOneChunkWhenAllPagesAreGone) {
  const auto pool = std::make_shared<PagePool>();
  const std::uint64_t chunk = (copies(*pool, 1, 1), pool->bytes());
  copies(*pool, 5'000, 1);
  EXPECT_EQ(pool->bytes(), chunk);
}

TEST(PagePool, PagesOutliveWhoeverAskedForThem) {
  std::vector<PageRef> pages;
  {
    const auto pool = std::make_shared<PagePool>();
    pages = copies(*pool, 1'000, 3);
  }
  EXPECT_TRUE(all_hold(pages, 3));
}

TEST(PagePool, ManyThreadsShareOne) {
  const auto pool = std::make_shared<PagePool>();
  std::vector<std::thread> threads;
  for (std::uint8_t value = 1; value <= 4; ++value)
    threads.emplace_back([&pool, value] {
      for (int round = 0; round < 5; ++round) EXPECT_TRUE(all_hold(copies(*pool, 300, value), value));
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace hindsight::replay::snapshot
