#include "debugger/symbols/kernel_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace hindsight::debugger::symbols {
namespace {

constexpr std::uint32_t kMostDescriptorBits = 20, kLeastDataBits = 8, kMostDataBits = 30;
constexpr std::size_t kMostText = std::size_t{64} << 20;

// A descriptor's state lies in the two highest bits of its id.
constexpr unsigned kStateShift = 62;
constexpr std::uint64_t kIdMask = (std::uint64_t{1} << kStateShift) - 1;
constexpr std::uint64_t kCommitted = 1, kFinalized = 2;

struct DescriptorRing {  // struct prb_desc_ring
  std::uint32_t count_bits, padding;
  std::uint64_t descriptors, infos, head_id, tail_id;
};
struct DataRing {  // struct prb_data_ring
  std::uint32_t size_bits, padding;
  std::uint64_t data, head, tail;
};
struct Descriptor {  // struct prb_desc
  std::uint64_t state_and_id, begin, next;
};
struct Info {  // struct printk_info
  std::uint64_t sequence, nanoseconds;
  std::uint16_t text_size;
  std::uint8_t facility, flags_and_level;
  std::uint32_t caller;
  std::array<char, 64> device;
};
static_assert(sizeof(DescriptorRing) == 40 && sizeof(DataRing) == 32 && sizeof(Descriptor) == 24 &&
              sizeof(Info) == 88);

struct Ring {
  DescriptorRing descriptors;
  DataRing data;
};

bool is_pointer(std::uint64_t value) { return kKernelHalf.contains(GuestVirt{value}); }

std::optional<Ring> ring_at(const MemoryView& memory, GuestVirt at) {
  const auto descriptors = load<DescriptorRing>(memory, at);
  if (!descriptors || descriptors->count_bits == 0 || descriptors->count_bits > kMostDescriptorBits ||
      !is_pointer(descriptors->descriptors) || !is_pointer(descriptors->infos))
    return std::nullopt;
  // From 6.8 on one more word lies between.
  for (const std::uint64_t offset : {std::uint64_t{40}, std::uint64_t{48}}) {
    const auto data = load<DataRing>(memory, at + offset);
    if (data && data->size_bits >= kLeastDataBits && data->size_bits <= kMostDataBits &&
        is_pointer(data->data))
      return Ring{*descriptors, *data};
  }
  return std::nullopt;
}

std::optional<Ring> find_ring(const MemoryView& memory, const KernelSymbols& kernel) {
  for (const Symbol& symbol : kernel.find("prb")) {
    const auto pointer = load<std::uint64_t>(memory, symbol.address);
    if (symbol.absolute || !pointer || !is_pointer(*pointer)) continue;
    if (const auto ring = ring_at(memory, GuestVirt{*pointer})) return ring;
  }
  return std::nullopt;
}

/// A record's text, which lies behind its id; nothing if that was overwritten.
std::optional<std::string> text_of(const MemoryView& memory, const DataRing& ring,
                                   const Descriptor& descriptor, const Info& info) {
  if ((descriptor.begin & 1) != 0) return std::string();  // odd positions stand for no text
  const std::uint64_t mask = (std::uint64_t{1} << ring.size_bits) - 1;
  std::uint64_t begin = descriptor.begin & mask;
  std::uint64_t size = (descriptor.next - descriptor.begin) & mask;
  const bool ends_the_ring = (descriptor.next & mask) == 0;
  if (descriptor.begin >> ring.size_bits != descriptor.next >> ring.size_bits && !ends_the_ring) {
    begin = 0;  // what does not fit before the end starts over
    size = descriptor.next & mask;
  }
  const GuestVirt at = GuestVirt{ring.data} + begin;
  const auto id = load<std::uint64_t>(memory, at);
  if (!id || *id != (descriptor.state_and_id & kIdMask) || size < sizeof *id) return std::nullopt;
  std::string text(std::min<std::uint64_t>(info.text_size, size - sizeof *id), '\0');
  if (!memory.read(at + sizeof *id, std::as_writable_bytes(std::span(text)))) return std::nullopt;
  return text;
}

}  // namespace

std::string LogRecord::line() const {
  const std::string time =
      fmt::format("[{:5}.{:06}] ", nanoseconds / 1'000'000'000, nanoseconds / 1000 % 1'000'000);
  std::string out = time;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += time;
  }
  return out;
}

Result<std::vector<LogRecord>> read_log(const MemoryView& memory, const KernelSymbols& kernel) {
  const auto ring = find_ring(memory, kernel);
  if (!ring) return error("no printk ring buffer is to be found by the symbol prb");
  const DescriptorRing& descriptors = ring->descriptors;
  const std::uint64_t count = std::uint64_t{1} << descriptors.count_bits;
  const std::uint64_t tail = descriptors.tail_id & kIdMask, head = descriptors.head_id & kIdMask;
  std::vector<LogRecord> records;
  std::size_t bytes = 0;
  for (std::uint64_t i = 0; i < count && bytes < kMostText; ++i) {
    const std::uint64_t id = (tail + i) & kIdMask, index = id & (count - 1);
    const auto descriptor =
        load<Descriptor>(memory, GuestVirt{descriptors.descriptors} + index * sizeof(Descriptor));
    const auto info = load<Info>(memory, GuestVirt{descriptors.infos} + index * sizeof(Info));
    if (descriptor && info && (descriptor->state_and_id & kIdMask) == id) {
      const std::uint64_t state = descriptor->state_and_id >> kStateShift;
      const bool readable = state == kCommitted || state == kFinalized;
      auto text = readable ? text_of(memory, ring->data, *descriptor, *info) : std::nullopt;
      if (text) {
        bytes += text->size() + sizeof(LogRecord);
        records.push_back(
            {info->sequence, info->nanoseconds, unsigned{info->flags_and_level} >> 5, std::move(*text)});
      }
    }
    if (id == head) break;
  }
  return records;
}

}  // namespace hindsight::debugger::symbols
