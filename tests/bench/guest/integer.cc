#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "tests/bench/guest/bench.h"

namespace bench {
namespace {

__extension__ using Wide = unsigned __int128;

// FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
std::array<std::uint32_t, 64> sha256_constants() {
  std::array<std::uint32_t, 64> k{};
  int found = 0;
  for (unsigned n = 2; found < 64; ++n) {
    bool prime = true;
    for (unsigned d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    // floor(cbrt(n) * 2^32) by bisection, whose cubes fit into 105 bits.
    std::uint64_t low = 0;
    std::uint64_t high = std::uint64_t{8} << 32;
    while (high - low > 1) {
      const std::uint64_t mid = low + (high - low) / 2;
      const auto m = static_cast<Wide>(mid);
      const bool below = m * m * m <= (static_cast<Wide>(n) << 96);
      (below ? low : high) = mid;
    }
    k[static_cast<std::size_t>(found++)] = static_cast<std::uint32_t>(low);
  }
  return k;
}

using Digest = std::array<std::uint32_t, 8>;

void sha256_block(Digest& h, const std::array<std::uint32_t, 64>& k, const std::uint32_t* block) {
  std::array<std::uint32_t, 64> w;
  std::copy_n(block, 16, w.begin());
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, hh] = h;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t t1 =
        hh + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
    const std::uint32_t t2 =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    hh = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const Digest add = {a, b, c, d, e, f, g, hh};
  for (std::size_t i = 0; i < 8; ++i) h[i] += add[i];
}

std::array<std::uint32_t, 256> crc_table;
std::vector<unsigned char> crc_data;
std::vector<std::uint32_t> sort_data;
std::vector<unsigned char> program;

void sort_range(std::uint32_t* low, std::uint32_t* high) {
  while (high - low > 12) {
    const std::uint32_t pivot = low[(high - low) / 2];
    std::uint32_t* i = low;
    std::uint32_t* j = high;
    while (i <= j) {
      while (*i < pivot) ++i;
      while (*j > pivot) --j;
      if (i <= j) std::swap(*i++, *j--);
    }
    sort_range(low, j);
    low = i;
  }
  for (std::uint32_t* i = low + 1; i <= high; ++i) {
    const std::uint32_t value = *i;
    std::uint32_t* j = i;
    for (; j > low && j[-1] > value; --j) *j = j[-1];
    *j = value;
  }
}

struct Record {
  int kind;
  int value;
  char text[32];
  Record* next;
};

[[gnu::noinline]] int classify(const Record& r) { return r.kind == 2 && r.text[2] > 'm' ? 1 : r.value & 3; }

[[gnu::noinline]] void assign(Record& to, const Record& from, int value) {
  to = from;
  to.value = value + classify(from);
  to.kind = (from.kind + value) % 3;
  to.text[value & 15] = static_cast<char>('a' + value % 26);
}

[[gnu::noinline]] unsigned fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

template <int N>
[[gnu::noinline]] std::uint64_t step(std::uint64_t x) {
  return x * 5 + N;
}

}  // namespace

std::uint64_t sha256() {
  constexpr int kBlocks = 500'000;
  const auto k = sha256_constants();
  Digest h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint32_t, 16> block{};
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    block[i & 15] ^= i;
    sha256_block(h, k, block.data());
  }
  return (std::uint64_t{h[0]} << 32) | h[1];
}

void prepare_crc32() {
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
    crc_table[i] = c;
  }
  crc_data.resize(std::size_t{1} << 20);
  Sequence sequence;
  for (auto& byte : crc_data) byte = static_cast<unsigned char>(sequence.next());
}

std::uint64_t crc32() {
  std::uint32_t crc = ~0U;
  for (int round = 0; round < 100; ++round) {
    for (const unsigned char byte : crc_data) crc = crc_table[(crc ^ byte) & 255] ^ (crc >> 8);
  }
  return ~crc;
}

void prepare_quicksort() {
  sort_data.resize(2'500'000);
  Sequence sequence;
  for (auto& value : sort_data) value = static_cast<std::uint32_t>(sequence.next());
}

std::uint64_t quicksort() {
  sort_range(sort_data.data(), sort_data.data() + sort_data.size() - 1);
  return std::is_sorted(sort_data.begin(), sort_data.end()) ? sort_data[sort_data.size() / 2] : 0;
}

std::uint64_t records() {
  constexpr int kRounds = 12'000'000;
  static Record pool[64];
  for (int i = 0; i < 64; ++i) {
    std::strcpy(pool[i].text, "some string of a record");
    pool[i].kind = i % 3;
    pool[i].next = &pool[(i * 7 + 1) % 64];
  }
  Record* r = pool;
  std::uint64_t sum = 0;
  for (int i = 0; i < kRounds; ++i) {
    Record* to = r->next;
    assign(*to, *r, i);
    to->next = &pool[(i * 7 + 1) & 63];
    sum += static_cast<std::uint64_t>(std::strcmp(r->text, to->text) < 0) + std::strlen(to->text);
    r = to;
  }
  return sum;
}

// A stack machine of eight operations; a program that counts down and mixes an accumulator.
void prepare_bytecode() { program = {0, 1, 2, 3, 4, 5, 6, 3, 1, 2, 5, 4, 0, 2, 6, 7}; }

std::uint64_t bytecode() {
  std::uint64_t a = 1;
  std::uint64_t b = 2;
  std::uint64_t counter = 7'000'000;
  std::uint64_t slots[8] = {};
  std::size_t pc = 0;
  const unsigned char* code = program.data();
  while (true) {
    switch (code[pc++]) {
      case 0:
        a += b;
        break;
      case 1:
        b ^= a >> 3;
        break;
      case 2:
        slots[a & 7] += b;
        break;
      case 3:
        a = a * 3 + 1;
        break;
      case 4:
        b += slots[b & 7];
        break;
      case 5:
        std::swap(a, b);
        break;
      case 6:
        if ((a & 1) != 0) b += 7;
        break;
      default:
        if (--counter == 0) return a ^ b;
        pc = 0;
    }
  }
}

std::uint64_t calls() { return fibonacci(38); }

std::uint64_t indirect() {
  using Step = std::uint64_t (*)(std::uint64_t);
  static Step volatile const steps[8] = {step<1>, step<2>, step<3>, step<4>,
                                         step<5>, step<6>, step<7>, step<8>};
  std::uint64_t x = 1;
  for (int i = 0; i < 80'000'000; ++i) x = steps[i & 7](x);
  return x;
}

}  // namespace bench
