// The virtio block device (virtio 1.2, 5.2) over an OverlayDisk. Owned by the board; the run loop's thread
// only. Deterministic: requests are carried out in ring order inside the notification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "devices/block/overlay_disk.h"
#include "devices/virtio/virtio_pci.h"
#include "engine/port/nondet.h"
#include "engine/port/stateful.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

struct BlockOptions {
  std::uint64_t sectors = 0;
  bool read_only = false;
  std::string serial = "hindsight0";  ///< at most 20 bytes are shown
};

class VirtioBlock final : public VirtioModel,
                          public engine::port::StatefulAs<traces::schema::VirtioBlockState> {
 public:
  VirtioBlock(pci::PciBus& bus, engine::port::GuestMemory& memory, engine::port::HostPort& host,
              const BlockOptions& options, unsigned slot = kBlockSlot);

  [[nodiscard]] VirtioPci& transport() { return transport_; }

  [[nodiscard]] std::uint64_t device_features() const override;
  [[nodiscard]] std::span<const std::byte> device_config() const override { return config_; }
  void process(unsigned queue) override;
  void device_reset() override {}

  [[nodiscard]] std::string_view state_name() const override { return "virtio_block"; }
  void save(traces::schema::VirtioBlockState::Builder out) const override;
  void load(traces::schema::VirtioBlockState::Reader in) override;

 private:
  struct Request {
    SegmentStream& in;
    SegmentStream& out;
    std::uint64_t data_size;  // writable bytes before the status byte
    std::uint64_t sector;
  };

  std::optional<std::uint32_t> serve(const Chain& chain);
  std::optional<std::uint8_t> dispatch(std::uint32_t type, const Request& request);
  std::optional<std::uint8_t> read_sectors(const Request& request);
  std::optional<std::uint8_t> write_sectors(const Request& request);
  std::optional<std::uint8_t> write_id(const Request& request);
  std::optional<std::uint8_t> zero_ranges(const Request& request, bool discard);

  BlockOptions options_;
  block::OverlayDisk disk_;
  std::array<std::byte, 60> config_;
  VirtioPci transport_;
};

}  // namespace hindsight::devices::virtio
