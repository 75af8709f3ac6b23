#include "engine/mmu/physical_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::engine::mmu {

Result<std::unique_ptr<PhysicalMemory>> PhysicalMemory::create(std::uint64_t bytes) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 40;
  if (bytes == 0 || bytes % kPageSize != 0 || bytes > kMax)
    return error("memory of {} bytes: expected a multiple of {} up to {}", bytes, kPageSize, kMax);
  void* base =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return error("cannot reserve {} bytes of guest memory: {}", bytes, std::strerror(errno));
  madvise(base, bytes, MADV_HUGEPAGE);
  return std::unique_ptr<PhysicalMemory>(new PhysicalMemory(static_cast<std::byte*>(base), bytes));
}

namespace {

/// All pages are gone through at the end of each epoch: so many at once, which the compiler makes vectors of.
/// There are entries for some pages more than RAM has.
constexpr std::uint64_t kStride = 64;

constexpr std::uint64_t whole_strides(std::uint64_t pages) {
  return (pages + kStride - 1) / kStride * kStride;
}

}  // namespace

PhysicalMemory::PhysicalMemory(std::byte* base, std::uint64_t bytes)
    : base_(base),
      bytes_(bytes),
      low_end_(std::min(bytes, kLowRamEnd.value)),
      high_end_(bytes > kLowRamEnd.value ? kHighRam.value + bytes - kLowRamEnd.value : 0),
      flags_(whole_strides(bytes >> kPageBits)),
      epochs_(whole_strides(bytes >> kPageBits)) {}

PhysicalMemory::~PhysicalMemory() { munmap(base_, bytes_); }

void PhysicalMemory::mark(std::uint64_t ram_page, PageFlag flag) {
  if (flags_[ram_page] & flag) return;
  flags_[ram_page] |= flag;
  if (flags_[ram_page] & kWriteCached) {
    watcher_->drop_write_access(ram_page);
    unmark(ram_page, kWriteCached);
  }
}

void PhysicalMemory::write_table(std::uint64_t ram_page, std::uint64_t offset, const void* data,
                                 std::uint64_t size) {
  const std::uint64_t first = offset & ~std::uint64_t{7};
  const std::uint64_t last = (offset + size - 1) & ~std::uint64_t{7};
  std::byte* const page = host(ram_page);
  for (std::uint64_t at = first; at <= last; at += 8) {
    std::uint64_t before, after;
    std::memcpy(&before, page + at, 8);
    const std::uint64_t from = std::max(at, offset), to = std::min(at + 8, offset + size);
    std::memcpy(page + from, static_cast<const std::byte*>(data) + (from - offset), to - from);
    std::memcpy(&after, page + at, 8);
    if (before != after) watcher_->table_written(address_of(ram_page) + at, before, after);
  }
}

void PhysicalMemory::write_tracked(std::uint64_t ram_page, std::uint64_t offset, const void* data,
                                   std::uint64_t size) {
  dirty(ram_page);
  if (flags_[ram_page] & kCode) watcher_->code_written(address_of(ram_page) + offset, size);
  if (flags_[ram_page] & kTable)
    write_table(ram_page, offset, data, size);
  else
    std::memcpy(host(ram_page) + offset, data, size);
}

bool PhysicalMemory::contains(GuestPhys address, std::uint64_t size) const {
  const auto inside = [&](std::uint64_t begin, std::uint64_t end) {
    return address.value >= begin && address.value < end && size <= end - address.value;
  };
  return inside(0, low_end_.value) || inside(kHighRam.value, high_end_.value);
}

bool PhysicalMemory::read(GuestPhys address, void* out, std::uint64_t size) const {
  if (!contains(address, size)) return false;
  std::memcpy(out, page(*ram_page(address)) + (address.value & kPageMask), size);
  return true;
}

bool PhysicalMemory::write(GuestPhys address, const void* data, std::uint64_t size) {
  if (!contains(address, size)) return false;
  const auto* from = static_cast<const std::byte*>(data);
  while (size > 0) {
    const std::uint64_t offset = address.value & kPageMask;
    const std::uint64_t part = std::min(size, kPageSize - offset);
    const std::uint64_t page = *ram_page(address);
    std::uint64_t before = 0;
    std::memcpy(&before, host(page) + offset, std::min<std::uint64_t>(part, sizeof before));
    write_tracked(page, offset, from, part);
    if (flags_[page] & kWatchWrite) watcher_->watched_page_written(address, part, before);
    address += part;
    from += part;
    size -= part;
  }
  return true;
}

void PhysicalMemory::set_page(std::uint64_t index, const std::byte* contents) {
  if (std::memcmp(page(index), contents, kPageSize) == 0) return;
  dirty(index);
  if (flags_[index] & kCode) watcher_->code_replaced(index, contents);
  // A page table that changes a lot is forgotten on the way.
  constexpr std::uint64_t kRun = 64;
  std::uint64_t at = 0;
  for (; at < kPageSize && (flags_[index] & kTable); at += kRun)
    if (std::memcmp(page(index) + at, contents + at, kRun) != 0) write_table(index, at, contents + at, kRun);
  std::memcpy(host(index) + at, contents + at, kPageSize - at);
}

std::uint32_t PhysicalMemory::end_epoch() {
  watcher_->drop_all_write_access();
  for (std::uint64_t first = 0; first < flags_.size(); first += kStride)
    for (std::uint64_t i = 0; i < kStride; ++i) flags_[first + i] &= static_cast<std::uint8_t>(~kWriteCached);
  return epoch_++;
}

void PhysicalMemory::for_each_dirty_after(std::uint32_t epoch,
                                          const std::function<void(std::uint64_t)>& visit) const {
  for (std::uint64_t first = 0; first < epochs_.size(); first += kStride) {
    std::uint32_t newest = 0;
    for (std::uint64_t i = 0; i < kStride; ++i) newest = std::max(newest, epochs_[first + i]);
    if (newest <= epoch) continue;
    for (std::uint64_t index = first; index < first + kStride; ++index)
      if (epochs_[index] > epoch) visit(index);
  }
}

}  // namespace hindsight::engine::mmu
