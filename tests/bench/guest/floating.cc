#include <emmintrin.h>

#include <bit>
#include <cmath>
#include <vector>

#include "tests/bench/guest/bench.h"

namespace bench {
namespace {

struct Body {
  double x, y, z, vx, vy, vz, mass;
};

std::vector<float> left;
std::vector<float> right;

void advance(Body (&bodies)[5], double dt) {
  for (int i = 0; i < 5; ++i) {
    for (int j = i + 1; j < 5; ++j) {
      Body& a = bodies[i];
      Body& b = bodies[j];
      const double dx = a.x - b.x;
      const double dy = a.y - b.y;
      const double dz = a.z - b.z;
      const double square = dx * dx + dy * dy + dz * dz;
      const double magnitude = dt / (square * std::sqrt(square));
      a.vx -= dx * b.mass * magnitude, a.vy -= dy * b.mass * magnitude, a.vz -= dz * b.mass * magnitude;
      b.vx += dx * a.mass * magnitude, b.vy += dy * a.mass * magnitude, b.vz += dz * a.mass * magnitude;
    }
  }
  for (Body& body : bodies) body.x += dt * body.vx, body.y += dt * body.vy, body.z += dt * body.vz;
}

}  // namespace

std::uint64_t nbody() {
  Body bodies[5];
  for (int i = 0; i < 5; ++i) {
    bodies[i] = {3.0 * i, 1.0 + i * i, 0.5 * i, 0.1 * i, 0.3 - 0.1 * i, 0.05 * i, 1.0 / (1 + i)};
  }
  for (int i = 0; i < 1'500'000; ++i) advance(bodies, 0.001);
  return std::bit_cast<std::uint64_t>(bodies[0].x + bodies[4].z);
}

std::uint64_t mandelbrot() {
  constexpr int kSize = 700;
  std::uint64_t inside = 0;
  for (int py = 0; py < kSize; ++py) {
    for (int px = 0; px < kSize; ++px) {
      const double cx = px * 3.0 / kSize - 2.0;
      const double cy = py * 2.0 / kSize - 1.0;
      double x = 0;
      double y = 0;
      int i = 0;
      for (; i < 300 && x * x + y * y < 4.0; ++i) {
        const double next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
      }
      inside += static_cast<std::uint64_t>(i);
    }
  }
  return inside;
}

void prepare_packed() {
  left.resize(4096);
  right.resize(4096);
  for (std::size_t i = 0; i < left.size(); ++i) {
    left[i] = static_cast<float>(i) * 0.25F;
    right[i] = 1.0F + static_cast<float>(i % 7) * 0.125F;
  }
}

std::uint64_t packed_sse() {
  __m128 sum = _mm_setzero_ps();
  __m128i hash = _mm_setzero_si128();
  for (int round = 0; round < 60'000; ++round) {
    for (std::size_t i = 0; i < left.size(); i += 4) {
      const __m128 a = _mm_loadu_ps(&left[i]);
      const __m128 b = _mm_loadu_ps(&right[i]);
      sum = _mm_add_ps(_mm_mul_ps(sum, _mm_set1_ps(0.5F)), _mm_sub_ps(_mm_mul_ps(a, b), _mm_max_ps(a, b)));
      hash = _mm_add_epi32(_mm_slli_epi32(hash, 1), _mm_xor_si128(hash, _mm_castps_si128(sum)));
    }
  }
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(hash));
}

std::uint64_t x87() {
  volatile long double scale = 1.000001L;
  long double a = 1.0L;
  long double b = 2.0L;
  for (int i = 0; i < 16'000'000; ++i) {
    a = a * scale + b;
    b = b / scale - a * 0.25L;
    if (a > 1e6L) a *= 1e-6L;
    if (b < -1e6L) b *= 1e-6L;
  }
  return std::bit_cast<std::uint64_t>(static_cast<double>(a - b));
}

}  // namespace bench
