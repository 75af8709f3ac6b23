#include "tests/support/sample_kernels.h"

#include <span>

#include "engine/base/little_endian.h"

namespace hindsight::tests::support {
namespace {

void put(std::vector<std::byte>& bytes, std::size_t offset, std::uint64_t value, unsigned size) {
  store_little_endian(std::span(bytes).subspan(offset, size), value);
}

}  // namespace

std::vector<std::byte> bzimage(std::size_t payload) {
  std::vector<std::byte> file(1024 + payload);
  put(file, 0x1F1, 1, 1);
  put(file, 0x1FE, 0xAA55, 2);
  put(file, 0x201, 0x6A, 1);
  put(file, 0x202, 0x53726448, 4);
  put(file, 0x206, 0x20F, 2);
  put(file, 0x211, 1, 1);
  put(file, 0x22C, 0x7FFFFFFF, 4);
  put(file, 0x230, 0x200000, 4);
  put(file, 0x236, 1, 2);
  put(file, 0x238, 2047, 4);
  put(file, 0x258, 0x1000000, 8);
  put(file, 0x260, 0x100000, 4);
  put(file, 1024 + 0x200, 0xF4, 1);
  return file;
}

std::vector<std::byte> pvh_elf(std::uint32_t entry) {
  std::vector<std::byte> file(0x1000);
  put(file, 0, 0x464C457F, 4);
  put(file, 4, 2, 1);
  put(file, 5, 1, 1);
  put(file, 0x20, 0x40, 8);
  put(file, 0x36, 56, 2);
  put(file, 0x38, 2, 2);
  put(file, 0x40, 1, 4);
  put(file, 0x40 + 8, 0x800, 8);
  put(file, 0x40 + 24, 0x1000000, 8);
  put(file, 0x40 + 32, 0x100, 8);
  put(file, 0x40 + 40, 0x5000, 8);
  put(file, 0x78, 4, 4);
  put(file, 0x78 + 8, 0x400, 8);
  put(file, 0x78 + 32, 20, 8);
  put(file, 0x400, 4, 4);
  put(file, 0x404, 4, 4);
  put(file, 0x408, 18, 4);
  put(file, 0x40C, 0x006E6558, 4);
  put(file, 0x410, entry, 4);
  put(file, 0x8FF, 0x99, 1);
  return file;
}

}  // namespace hindsight::tests::support
