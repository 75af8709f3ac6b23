#include "devices/block/overlay_disk.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::block {

OverlayDisk::OverlayDisk(engine::port::HostPort& host, engine::port::Channel channel, std::uint64_t sectors)
    : host_(host), channel_(channel), sectors_(sectors) {}

void OverlayDisk::read(std::uint64_t sector, std::span<std::byte> out) {
  CHECK(out.size() % kSectorSize == 0 && contains(sector, out.size() / kSectorSize), "sector {}", sector);
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t at = sector * kSectorSize + done;
    const std::uint64_t index = at / kPageBytes;
    const std::uint64_t within = at % kPageBytes;
    const auto next = overlay_.lower_bound(index);
    if (next != overlay_.end() && next->first == index) {
      const std::size_t part = std::min<std::size_t>(kPageBytes - within, out.size() - done);
      if (next->second != nullptr) {
        std::memcpy(out.data() + done, next->second->data() + within, part);
      } else {
        std::memset(out.data() + done, 0, part);
      }
      done += part;
      continue;
    }
    // Everything up to the next page of the overlay comes from the base in one sample.
    std::size_t part = out.size() - done;
    if (next != overlay_.end()) part = std::min<std::size_t>(part, next->first * kPageBytes - at);
    host_.sample(channel_, at / kSectorSize, out.subspan(done, part));
    done += part;
  }
}

// The page to write to; `whole` if all of it is about to be overwritten.
OverlayDisk::Page& OverlayDisk::writable_page(std::uint64_t index, bool whole) {
  const auto [entry, fresh] = overlay_.try_emplace(index);
  if (entry->second == nullptr) {
    entry->second = std::make_unique<Page>();
    if (fresh && !whole) {
      const std::uint64_t first = index * kPageSectors;
      const std::uint64_t count = std::min(kPageSectors, sectors_ - first);
      host_.sample(channel_, first, std::span(*entry->second).first(count * kSectorSize));
    }
  }
  return *entry->second;
}

void OverlayDisk::write(std::uint64_t sector, std::span<const std::byte> data) {
  CHECK(data.size() % kSectorSize == 0 && contains(sector, data.size() / kSectorSize), "sector {}", sector);
  std::size_t done = 0;
  while (done < data.size()) {
    const std::uint64_t at = sector * kSectorSize + done;
    const std::uint64_t within = at % kPageBytes;
    const std::size_t part = std::min<std::size_t>(kPageBytes - within, data.size() - done);
    Page& page = writable_page(at / kPageBytes, part == kPageBytes);
    std::memcpy(page.data() + within, data.data() + done, part);
    done += part;
  }
  emit(sector, data);
}

void OverlayDisk::write_zeros(std::uint64_t sector, std::uint64_t count) {
  CHECK(contains(sector, count), "sector {}", sector);
  static constexpr Page kZeros{};
  while (count != 0) {
    const std::uint64_t within = sector % kPageSectors;
    const std::uint64_t part = std::min(kPageSectors - within, count);
    const auto zeros = std::span<const std::byte>(kZeros).first(part * kSectorSize);
    if (part == kPageSectors) {
      overlay_[sector / kPageSectors] = nullptr;
      emit(sector, zeros);
    } else {
      write(sector, zeros);
    }
    sector += part;
    count -= part;
  }
}

void OverlayDisk::emit(std::uint64_t sector, std::span<const std::byte> data) {
  std::vector<std::byte> record(8 + data.size());
  store_little_endian(std::span(record).first(8), sector);
  std::memcpy(record.data() + 8, data.data(), data.size());
  host_.output(channel_, record);
}

void OverlayDisk::save(capnp::List<traces::schema::DiskPageState>::Builder out) const {
  unsigned i = 0;
  for (const auto& [index, page] : overlay_) {
    out[i].setIndex(index);
    if (page != nullptr) out[i].setData({reinterpret_cast<const kj::byte*>(page->data()), page->size()});
    ++i;
  }
}

void OverlayDisk::load(capnp::List<traces::schema::DiskPageState>::Reader in) {
  overlay_.clear();
  for (const auto entry : in) {
    // Pages beyond the disk or of another size cannot have been saved by this class; they are left out.
    const auto data = entry.getData();
    if (entry.getIndex() >= (sectors_ + kPageSectors - 1) / kPageSectors) continue;
    if (data.size() != 0 && data.size() != kPageBytes) continue;
    std::unique_ptr<Page>& page = overlay_[entry.getIndex()];
    page = data.size() == 0 ? nullptr : std::make_unique<Page>();
    if (page != nullptr) std::memcpy(page->data(), data.begin(), kPageBytes);
  }
}

}  // namespace hindsight::devices::block
