#include "tests/support/device_world.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::tests::support {

port::TimerService::TimerId FakeTime::create(std::string_view name, std::function<void()> callback) {
  timers_.push_back({std::string(name), std::move(callback), false, VirtualTime()});
  return static_cast<TimerId>(timers_.size() - 1);
}

void FakeTime::arm(TimerId timer, VirtualTime deadline) {
  timers_.at(timer).armed = true;
  timers_.at(timer).deadline = deadline;
}

void FakeTime::cancel(TimerId timer) { timers_.at(timer).armed = false; }

std::size_t FakeTime::earliest() const {
  std::size_t best = timers_.size();
  for (std::size_t i = 0; i < timers_.size(); ++i) {
    if (timers_[i].armed && (best == timers_.size() || timers_[i].deadline < timers_[best].deadline))
      best = i;
  }
  return best;
}

VirtualTime FakeTime::next_deadline() const {
  const std::size_t best = earliest();
  return best == timers_.size() ? VirtualTime::max() : timers_[best].deadline;
}

void FakeTime::advance(std::uint64_t nanoseconds, unsigned max_fires) {
  const VirtualTime end = now_ + nanoseconds;
  for (unsigned fired = 0; fired < max_fires; ++fired) {
    const std::size_t best = earliest();
    if (best == timers_.size() || timers_[best].deadline > end) break;
    now_ = std::max(now_, timers_[best].deadline);
    timers_[best].armed = false;
    timers_[best].callback();
  }
  now_ = end;
}

void FakeBus::map_mmio(std::string_view name, GuestPhys base, std::uint64_t size, port::IoHandler& handler) {
  for (const auto& [start, range] : mmio) {
    CHECK(base.value + size <= start || start + range.size <= base.value, "{} overlaps {}", name, range.name);
  }
  mmio[base.value] = {std::string(name), size, &handler};
}

void FakeBus::unmap_mmio(GuestPhys base) { CHECK(mmio.erase(base.value) == 1); }

void FakeBus::map_ports(std::string_view name, std::uint16_t base, std::uint16_t count,
                        port::IoHandler& handler) {
  for (const auto& [start, range] : ports) {
    CHECK(std::uint64_t{base} + count <= start || start + range.size <= base, "{} overlaps {}", name,
          range.name);
  }
  ports[base] = {std::string(name), count, &handler};
}

void FakeBus::unmap_ports(std::uint16_t base) { CHECK(ports.erase(base) == 1); }

namespace {

const FakeBus::Range* find(const std::map<std::uint64_t, FakeBus::Range>& ranges, std::uint64_t address,
                           std::uint64_t& offset) {
  auto after = ranges.upper_bound(address);
  if (after == ranges.begin()) return nullptr;
  --after;
  offset = address - after->first;
  return offset < after->second.size ? &after->second : nullptr;
}

std::uint64_t all_ones(unsigned size) { return ~std::uint64_t{0} >> (64 - 8 * size); }

}  // namespace

std::uint64_t FakeBus::read_mmio(std::uint64_t address, unsigned size) {
  std::uint64_t offset = 0;
  const Range* range = find(mmio, address, offset);
  return range ? range->handler->read(offset, size) : all_ones(size);
}

void FakeBus::write_mmio(std::uint64_t address, unsigned size, std::uint64_t value) {
  std::uint64_t offset = 0;
  if (const Range* range = find(mmio, address, offset)) range->handler->write(offset, size, value);
}

std::uint64_t FakeBus::in(std::uint16_t address, unsigned size) {
  std::uint64_t offset = 0;
  const Range* range = find(ports, address, offset);
  return range ? range->handler->read(offset, size) : all_ones(size);
}

void FakeBus::out(std::uint16_t address, std::uint64_t value, unsigned size) {
  std::uint64_t offset = 0;
  if (const Range* range = find(ports, address, offset)) range->handler->write(offset, size, value);
}

bool FakeMemory::read(GuestPhys address, void* out, std::uint64_t size) const {
  if (address.value > bytes.size() || size > bytes.size() - address.value) return false;
  if (size != 0) std::memcpy(out, bytes.data() + address.value, size);
  return true;
}

bool FakeMemory::write(GuestPhys address, const void* data, std::uint64_t size) {
  if (address.value > bytes.size() || size > bytes.size() - address.value) return false;
  if (size != 0) std::memcpy(bytes.data() + address.value, data, size);
  return true;
}

void FakeHost::sample(port::Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  ++samples;
  if (on_sample) return on_sample(channel, argument, out);
  std::fill(out.begin(), out.end(), std::byte{0});
  if (channel != port::Channel::wall_clock) return;
  for (std::size_t i = 0; i < out.size() && i < 8; ++i) {
    out[i] = static_cast<std::byte>(wall_clock_ns >> (8 * i));
  }
}

void FakeHost::output(port::Channel channel, std::span<const std::byte> data) {
  std::string& text = outputs[channel];
  for (const std::byte byte : data) text.push_back(static_cast<char>(byte));
}

}  // namespace hindsight::tests::support
