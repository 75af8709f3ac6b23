#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/host/x64/code_cache.h"

namespace hindsight::engine::host::x64 {
namespace {

TEST(X64CodeCache, WhatIsWrittenCanBeCalledAtItsTwin) {
  auto cache = CodeCache::create(std::size_t{1} << 20);
  ASSERT_TRUE(cache) << cache.failure().message;
  cache->begin()[5] = 0xC3;  // ret
  EXPECT_EQ(cache->offset(cache->begin() + 5), 5u);
  EXPECT_NE(cache->executable(5), cache->begin() + 5);
  reinterpret_cast<void (*)()>(const_cast<std::uint8_t*>(cache->executable(5)))();
}

TEST(X64CodeCache, ALimitOnFileSizesDoesNotConcernIt) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto cache = CodeCache::create(std::size_t{1} << 20);
  if (cache) cache->end()[-1] = 1;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(cache) << cache.failure().message;
}

TEST(X64CodeCache, MoreThanAGibibyteIsRefused) {
  const auto cache = CodeCache::create((std::size_t{1} << 30) + 1);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.failure().message, "a code cache of 1073741825 bytes: at most 1 GiB expected");
}

}  // namespace
}  // namespace hindsight::engine::host::x64
