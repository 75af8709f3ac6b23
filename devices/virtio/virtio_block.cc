#include "devices/virtio/virtio_block.h"

#include <algorithm>
#include <vector>

#include "engine/base/little_endian.h"

namespace hindsight::devices::virtio {
namespace {

// Feature bits (5.2.3).
constexpr unsigned kSegMax = 2;
constexpr unsigned kReadOnly = 5;
constexpr unsigned kBlkSize = 6;
constexpr unsigned kFlush = 9;
constexpr unsigned kDiscard = 13;
constexpr unsigned kWriteZeroes = 14;

// Request types and status (5.2.6).
constexpr std::uint32_t kTypeIn = 0;
constexpr std::uint32_t kTypeOut = 1;
constexpr std::uint32_t kTypeFlush = 4;
constexpr std::uint32_t kTypeGetId = 8;
constexpr std::uint32_t kTypeDiscard = 11;
constexpr std::uint32_t kTypeWriteZeroes = 13;
constexpr std::uint8_t kOk = 0;
constexpr std::uint8_t kIoError = 1;
constexpr std::uint8_t kUnsupported = 2;

constexpr std::uint16_t kQueueSizes[] = {256};
constexpr std::uint32_t kSegments = 254;  // two descriptors of the queue are the header and the status
constexpr std::uint32_t kMaxZeroSectors = 8192;
constexpr std::uint32_t kMaxZeroSegments = 16;
constexpr std::size_t kIdSize = 20;
constexpr std::size_t kRangeSize = 16;
constexpr std::size_t kStaging = 64 * 1024;

// struct virtio_blk_config (5.2.4).
std::array<std::byte, 60> make_config(const BlockOptions& options) {
  std::array<std::byte, 60> config{};
  const auto put = [&](std::size_t at, std::size_t size, std::uint64_t value) {
    store_little_endian(std::span(config).subspan(at, size), value);
  };
  put(0, 8, options.sectors);
  put(12, 4, kSegments);
  put(20, 4, block::kSectorSize);
  put(36, 4, kMaxZeroSectors);
  put(40, 4, kMaxZeroSegments);
  put(44, 4, 8);  // discards are best aligned to a page of the overlay
  put(48, 4, kMaxZeroSectors);
  put(52, 4, kMaxZeroSegments);
  put(56, 1, 1);
  return config;
}

}  // namespace

VirtioBlock::VirtioBlock(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
                         const BlockOptions& options, unsigned slot)
    : options_(options),
      disk_(host, engine::port::Channel::disk0, options.sectors),
      config_(make_config(options)),
      transport_(bus, slot, "virtio_block", DeviceType::block, 0x018000, kQueueSizes, memory, *this) {}

std::uint64_t VirtioBlock::device_features() const {
  std::uint64_t features = feature_bit(kSegMax) | feature_bit(kBlkSize) | feature_bit(kFlush);
  if (options_.read_only) return features | feature_bit(kReadOnly);
  return features | feature_bit(kDiscard) | feature_bit(kWriteZeroes);
}

void VirtioBlock::process(unsigned queue) {
  Chain chain;
  for (unsigned left = transport_.waiting(queue); left > 0 && transport_.take(queue, chain); --left) {
    const std::optional<std::uint32_t> written = serve(chain);
    if (!written) return transport_.fail("malformed block request");
    transport_.give(queue, chain, *written);
  }
  transport_.finish(queue);
}

// Carries out one request; returns the used length, or nothing if the chain itself is wrong.
std::optional<std::uint32_t> VirtioBlock::serve(const Chain& chain) {
  SegmentStream in(transport_.memory(), chain.readable);
  SegmentStream out(transport_.memory(), chain.writable);
  std::array<std::byte, 16> header{};
  if (!in.read(header) || out.remaining() == 0) return std::nullopt;
  const auto type = static_cast<std::uint32_t>(load_little_endian(std::span(header).first(4)));
  const Request request{in, out, out.remaining() - 1, load_little_endian(std::span(header).subspan(8))};

  const std::optional<std::uint8_t> status = dispatch(type, request);
  if (!status) return std::nullopt;
  // The status is the last writable byte, wherever a failed request stopped.
  const std::byte last{*status};
  const bool complete = out.remaining() == 1;
  if (!out.skip(out.remaining() - 1) || !out.write({&last, 1})) return std::nullopt;
  // The length counts only what was written without a gap (2.7.8.2).
  return complete ? static_cast<std::uint32_t>(request.data_size + 1) : 0;
}

std::optional<std::uint8_t> VirtioBlock::dispatch(std::uint32_t type, const Request& request) {
  switch (type) {
    case kTypeIn:
      return read_sectors(request);
    case kTypeOut:
      return write_sectors(request);
    case kTypeFlush:
      return kOk;
    case kTypeGetId:
      return write_id(request);
    case kTypeDiscard:
    case kTypeWriteZeroes:
      return zero_ranges(request, type == kTypeDiscard);
    default:
      return kUnsupported;
  }
}

std::optional<std::uint8_t> VirtioBlock::read_sectors(const Request& request) {
  const std::uint64_t sectors = request.data_size / block::kSectorSize;
  if (request.data_size % block::kSectorSize != 0 || !disk_.contains(request.sector, sectors))
    return kIoError;
  std::vector<std::byte> staging(std::min<std::uint64_t>(kStaging, request.data_size));
  for (std::uint64_t done = 0; done < request.data_size;) {
    const auto part = std::span(staging).first(std::min<std::uint64_t>(kStaging, request.data_size - done));
    disk_.read(request.sector + done / block::kSectorSize, part);
    if (!request.out.write(part)) return std::nullopt;
    done += part.size();
  }
  return kOk;
}

std::optional<std::uint8_t> VirtioBlock::write_sectors(const Request& request) {
  const std::uint64_t size = request.in.remaining();
  if (options_.read_only || size % block::kSectorSize != 0 ||
      !disk_.contains(request.sector, size / block::kSectorSize))
    return kIoError;
  std::vector<std::byte> staging(std::min<std::uint64_t>(kStaging, size));
  for (std::uint64_t done = 0; done < size;) {
    const auto part = std::span(staging).first(std::min<std::uint64_t>(kStaging, size - done));
    if (!request.in.read(part)) return std::nullopt;
    disk_.write(request.sector + done / block::kSectorSize, part);
    done += part.size();
  }
  return kOk;
}

std::optional<std::uint8_t> VirtioBlock::write_id(const Request& request) {
  std::array<std::byte, kIdSize> id{};
  for (std::size_t i = 0; i < std::min(options_.serial.size(), id.size()); ++i)
    id[i] = static_cast<std::byte>(options_.serial[i]);
  const std::size_t size = std::min<std::uint64_t>(id.size(), request.data_size);
  if (!request.out.write(std::span(id).first(size))) return std::nullopt;
  return kOk;
}

// Discarded sectors read as zeros here, so both requests are the same but for their flags (5.2.6.2).
std::optional<std::uint8_t> VirtioBlock::zero_ranges(const Request& request, bool discard) {
  const std::uint64_t size = request.in.remaining();
  if (options_.read_only) return kUnsupported;
  if (size == 0 || size % kRangeSize != 0 || size / kRangeSize > kMaxZeroSegments) return kIoError;
  for (std::uint64_t done = 0; done < size; done += kRangeSize) {
    std::array<std::byte, kRangeSize> range{};
    if (!request.in.read(range)) return std::nullopt;
    const std::uint64_t sector = load_little_endian(std::span(range).first(8));
    const std::uint64_t count = load_little_endian(std::span(range).subspan(8, 4));
    const std::uint64_t flags = load_little_endian(std::span(range).subspan(12));
    if ((flags & ~std::uint64_t{1}) != 0 || (discard && flags != 0)) return kUnsupported;
    if (count > kMaxZeroSectors || !disk_.contains(sector, count)) return kIoError;
    disk_.write_zeros(sector, count);
  }
  return kOk;
}

void VirtioBlock::save(traces::schema::VirtioBlockState::Builder out) const {
  transport_.save(out.initTransport());
  disk_.save(out.initOverlay(static_cast<unsigned>(disk_.page_count())));
}

void VirtioBlock::load(traces::schema::VirtioBlockState::Reader in) {
  disk_.load(in.getOverlay());
  transport_.load(in.getTransport());
}

}  // namespace hindsight::devices::virtio
