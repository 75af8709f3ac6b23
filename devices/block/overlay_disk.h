// The contents of a disk: a base image outside the machine, and in memory every 4 KiB page that the guest has
// written. Shared by the block devices, each of which owns one; the run loop's thread only.
// Deterministic: base data come from HostPort::sample, and which sectors are sampled follows from the guest's
// requests and the overlay alone; each write is also sent out, so that a replay is checked against it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "engine/port/nondet.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::block {

constexpr std::uint64_t kSectorSize = 512;

class OverlayDisk final {
 public:
  /// A disk of `sectors` sectors over `channel`.
  OverlayDisk(engine::port::HostPort& host, engine::port::Channel channel, std::uint64_t sectors);

  [[nodiscard]] std::uint64_t sectors() const { return sectors_; }
  /// Whether `count` sectors from `sector` lie on the disk. The operations below CHECK it.
  [[nodiscard]] bool contains(std::uint64_t sector, std::uint64_t count) const {
    return count <= sectors_ && sector <= sectors_ - count;
  }
  /// Whole sectors only.
  void read(std::uint64_t sector, std::span<std::byte> out);
  void write(std::uint64_t sector, std::span<const std::byte> data);
  /// Writes zeros; whole pages of zeros take no memory.
  void write_zeros(std::uint64_t sector, std::uint64_t count);

  void save(capnp::List<traces::schema::DiskPageState>::Builder out) const;
  /// The number of entries save wants.
  [[nodiscard]] std::size_t page_count() const { return overlay_.size(); }
  void load(capnp::List<traces::schema::DiskPageState>::Reader in);

 private:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::uint64_t kPageSectors = kPageBytes / kSectorSize;
  using Page = std::array<std::byte, kPageBytes>;

  Page& writable_page(std::uint64_t index, bool whole);
  void emit(std::uint64_t sector, std::span<const std::byte> data);

  engine::port::HostPort& host_;
  engine::port::Channel channel_;
  std::uint64_t sectors_;
  std::map<std::uint64_t, std::unique_ptr<Page>> overlay_;  // by page index; null: all zeros
};

}  // namespace hindsight::devices::block
