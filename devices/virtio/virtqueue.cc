#include "devices/virtio/virtqueue.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/base/check.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::virtio {
namespace {

constexpr std::uint16_t kDescNext = 1;
constexpr std::uint16_t kDescWrite = 2;
constexpr std::uint16_t kDescIndirect = 4;
constexpr std::uint16_t kAvailNoInterrupt = 1;

// Offsets in the available ring (virtio 1.2, 2.7.6) and the used ring (2.7.8).
constexpr std::uint64_t kIndex = 2;
constexpr std::uint64_t kRing = 4;
constexpr std::uint64_t kDescriptorSize = 16;

}  // namespace

SegmentStream::SegmentStream(engine::port::GuestMemory& memory, std::span<const Segment> segments)
    : memory_(memory), segments_(segments) {
  for (const Segment& segment : segments) remaining_ += segment.length;
}

template <class Access>
bool SegmentStream::advance(std::uint64_t bytes, Access access) {
  if (bytes > remaining_) return false;
  std::uint64_t done = 0;
  while (done < bytes) {
    const Segment& segment = segments_.front();
    const std::uint64_t part = std::min(bytes - done, segment.length - offset_);
    if (part != 0 && !access(segment.address + offset_, done, part)) return false;
    done += part;
    offset_ += part;
    remaining_ -= part;
    if (offset_ == segment.length) {
      segments_ = segments_.subspan(1);
      offset_ = 0;
    }
  }
  return true;
}

bool SegmentStream::read(std::span<std::byte> out) {
  return advance(out.size(), [&](GuestPhys address, std::uint64_t done, std::uint64_t part) {
    return memory_.read(address, out.data() + done, part);
  });
}

bool SegmentStream::write(std::span<const std::byte> data) {
  return advance(data.size(), [&](GuestPhys address, std::uint64_t done, std::uint64_t part) {
    return memory_.write(address, data.data() + done, part);
  });
}

bool SegmentStream::skip(std::uint64_t bytes) {
  return advance(bytes, [](GuestPhys, std::uint64_t, std::uint64_t) { return true; });
}

Virtqueue::Virtqueue(engine::port::GuestMemory& memory, std::uint16_t max_size)
    : size(max_size), memory_(memory), max_size_(max_size) {
  CHECK(std::has_single_bit(max_size) && max_size <= kMaxChain, "queue size {}", max_size);
}

void Virtqueue::reset() {
  size = max_size_;
  enabled = false;
  msix_vector = kNoVector;
  descriptors = driver_area = device_area = 0;
  indirect_ = event_index_ = false;
  last_available_ = used_index_ = signalled_used_ = 0;
}

bool Virtqueue::enable() {
  if (descriptors % 16 != 0 || driver_area % 2 != 0 || device_area % 4 != 0) return false;
  // The last byte of each part must be RAM, and without wrapping round. That catches rings left at a wild
  // address at once; the rest is found when it is used.
  std::uint8_t probe = 0;
  const auto ends_in_ram = [&](std::uint64_t base, std::uint64_t bytes) {
    return base + bytes > base && memory_.read(GuestPhys(base), &probe, 1) &&
           memory_.read(GuestPhys(base + bytes - 1), &probe, 1);
  };
  enabled = ends_in_ram(descriptors, kDescriptorSize * size) && ends_in_ram(driver_area, kRing + 2u * size) &&
            ends_in_ram(device_area, kRing + 8u * size);
  return enabled;
}

void Virtqueue::use_features(bool indirect, bool event_index) {
  indirect_ = indirect;
  event_index_ = event_index;
}

bool Virtqueue::read16(std::uint64_t address, std::uint16_t& out) const {
  std::array<std::uint8_t, 2> bytes{};
  if (!memory_.read(GuestPhys(address), bytes.data(), bytes.size())) return false;
  out = static_cast<std::uint16_t>(load_little_endian(std::span(bytes)));
  return true;
}

bool Virtqueue::write16(std::uint64_t address, std::uint16_t value) {
  const std::array<std::uint8_t, 2> bytes{static_cast<std::uint8_t>(value),
                                          static_cast<std::uint8_t>(value >> 8)};
  return memory_.write(GuestPhys(address), bytes.data(), bytes.size());
}

bool Virtqueue::read_descriptor(std::uint64_t table, unsigned index, Descriptor& out) const {
  std::array<std::uint8_t, kDescriptorSize> bytes{};
  if (!memory_.read(GuestPhys(table + kDescriptorSize * index), bytes.data(), bytes.size())) return false;
  const std::span<const std::uint8_t> all(bytes);
  out.address = load_little_endian(all.first(8));
  out.length = static_cast<std::uint32_t>(load_little_endian(all.subspan(8, 4)));
  out.flags = static_cast<std::uint16_t>(load_little_endian(all.subspan(12, 2)));
  out.next = static_cast<std::uint16_t>(load_little_endian(all.subspan(14, 2)));
  return true;
}

std::optional<unsigned> Virtqueue::available() const {
  std::uint16_t index = 0;
  if (!enabled) return 0;
  if (!read16(driver_area + kIndex, index)) return std::nullopt;
  const auto count = static_cast<std::uint16_t>(index - last_available_);
  if (count > size) return std::nullopt;
  return count;
}

Virtqueue::Pop Virtqueue::pop(Chain& out) {
  const std::optional<unsigned> count = available();
  if (!count) return Pop::broken;
  if (*count == 0) return Pop::empty;
  const std::uint64_t slot = last_available_ & (size - 1u);
  out.readable.clear();
  out.writable.clear();
  if (!read16(driver_area + kRing + 2 * slot, out.head)) return Pop::broken;
  if (out.head >= size) return Pop::broken;
  if (!walk(descriptors, size, out.head, false, out)) return Pop::broken;
  ++last_available_;
  return Pop::chain;
}

// Follows a chain in a table of `count` descriptors. A chain has at most as many links as its table has rows,
// so counting them ends every loop.
bool Virtqueue::walk(std::uint64_t table, unsigned count, unsigned first, bool indirect, Chain& out) const {
  unsigned index = first;
  for (unsigned links = 0; links < count; ++links) {
    Descriptor descriptor{};
    if (index >= count || !read_descriptor(table, index, descriptor)) return false;
    if ((descriptor.flags & kDescIndirect) != 0) {
      // virtio 1.2, 2.7.5.3.1: negotiated, not nested, and never together with NEXT.
      if (!indirect_ || indirect || (descriptor.flags & kDescNext) != 0) return false;
      const auto rows = static_cast<std::uint32_t>(descriptor.length / kDescriptorSize);
      if (descriptor.length % kDescriptorSize != 0 || rows == 0 || rows > kMaxChain) return false;
      return walk(descriptor.address, rows, 0, true, out);
    }
    const Segment segment{GuestPhys(descriptor.address), descriptor.length};
    if ((descriptor.flags & kDescWrite) != 0) {
      out.writable.push_back(segment);
    } else {
      // All readable parts come first (2.7.4.2).
      if (!out.writable.empty()) return false;
      out.readable.push_back(segment);
    }
    if ((descriptor.flags & kDescNext) == 0) return true;
    index = descriptor.next;
  }
  return false;
}

bool Virtqueue::push(std::uint16_t head, std::uint32_t written) {
  const std::uint64_t slot = used_index_ & (size - 1u);
  std::array<std::uint8_t, 8> element{};
  store_little_endian(std::span(element).first(4), head);
  store_little_endian(std::span(element).subspan(4), written);
  if (!memory_.write(GuestPhys(device_area + kRing + 8 * slot), element.data(), element.size())) return false;
  ++used_index_;
  return write16(device_area + kIndex, used_index_);
}

bool Virtqueue::request_notification() {
  if (!event_index_) return true;
  // avail_event follows the used ring (2.7.10): notify when the entry we take next is filled.
  return write16(device_area + kRing + 8u * size, last_available_);
}

bool Virtqueue::interrupt_wanted() {
  const auto pushed = static_cast<std::uint16_t>(used_index_ - signalled_used_);
  const std::uint16_t newest = used_index_;
  signalled_used_ = used_index_;
  if (pushed == 0) return false;
  std::uint16_t value = 0;
  if (event_index_) {
    // used_event follows the available ring: interrupt if the entry it names is among those just pushed.
    if (!read16(driver_area + kRing + 2u * size, value)) return true;
    return static_cast<std::uint16_t>(newest - value - 1) < pushed;
  }
  if (!read16(driver_area, value)) return true;
  return (value & kAvailNoInterrupt) == 0;
}

void Virtqueue::save(traces::schema::VirtqueueState::Builder out) const {
  out.setSize(size);
  out.setEnabled(enabled);
  out.setMsixVector(msix_vector);
  out.setDescriptors(descriptors);
  out.setDriverArea(driver_area);
  out.setDeviceArea(device_area);
  out.setLastAvailable(last_available_);
  out.setUsedIndex(used_index_);
  out.setSignalledUsed(signalled_used_);
}

void Virtqueue::load(traces::schema::VirtqueueState::Reader in) {
  size = std::has_single_bit(in.getSize()) && in.getSize() <= max_size_ ? in.getSize() : max_size_;
  enabled = in.getEnabled();
  msix_vector = in.getMsixVector();
  descriptors = in.getDescriptors();
  driver_area = in.getDriverArea();
  device_area = in.getDeviceArea();
  last_available_ = in.getLastAvailable();
  used_index_ = in.getUsedIndex();
  signalled_used_ = in.getSignalledUsed();
}

}  // namespace hindsight::devices::virtio
