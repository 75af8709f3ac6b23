#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/bench/guest/bench.h"

namespace bench {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{64} << 10;

std::vector<std::uint32_t> chain;
std::vector<std::uint64_t> source;
std::vector<std::uint64_t> target;

// One random cycle through `bytes` of memory, a step per cache line (Sattolo's shuffle).
void prepare_chain(std::size_t bytes) {
  constexpr std::size_t kStep = 64 / sizeof(std::uint32_t);
  const std::size_t lines = bytes / 64;
  std::vector<std::uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0U);
  Sequence sequence;
  for (std::size_t i = lines - 1; i > 0; --i) std::swap(order[i], order[sequence.next() % i]);
  chain.assign(lines * kStep, 0);
  for (std::size_t i = 0; i < lines; ++i) chain[i * kStep] = static_cast<std::uint32_t>(order[i] * kStep);
}

std::uint64_t follow(int steps) {
  std::uint32_t at = 0;
  for (int i = 0; i < steps; ++i) at = chain[at];
  return at;
}

std::uint64_t checksum() {
  std::uint64_t sum = 0;
  for (const std::uint64_t word : target) sum = sum * 31 + word;
  return sum;
}

}  // namespace

void prepare_chase_256k() { prepare_chain(std::size_t{256} << 10); }
std::uint64_t chase_256k() { return follow(30'000'000); }
void prepare_chase_64m() { prepare_chain(std::size_t{64} << 20); }
std::uint64_t chase_64m() { return follow(2'500'000); }

void prepare_copy() {
  source.resize(kCopyBytes / 8);
  target.assign(kCopyBytes / 8, 0);
  Sequence sequence;
  for (auto& word : source) word = sequence.next();
}

// Plain 64-bit loads and stores: the barrier keeps the compiler from making vectors or a memcpy of them.
std::uint64_t copy64() {
  for (int round = 0; round < 50'000; ++round) {
    const std::uint64_t* from = source.data();
    std::uint64_t* to = target.data();
    for (std::size_t i = 0; i < kCopyBytes / 8; ++i) {
      std::uint64_t word = from[i];
      asm volatile("" : "+r"(word));
      to[i] = word;
    }
  }
  return checksum();
}

std::uint64_t rep_movsb() {
  for (int round = 0; round < 40'000; ++round) {
    const void* from = source.data();
    void* to = target.data();
    std::size_t count = kCopyBytes;
    asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  }
  return checksum();
}

std::uint64_t rep_movsq() {
  for (int round = 0; round < 40'000; ++round) {
    const void* from = source.data();
    void* to = target.data();
    std::size_t count = kCopyBytes / 8;
    asm volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  }
  return checksum();
}

std::uint64_t rep_stosb() {
  for (int round = 0; round < 60'000; ++round) {
    void* to = target.data();
    std::size_t count = kCopyBytes;
    asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(round) : "memory");
  }
  return checksum();
}

}  // namespace bench
